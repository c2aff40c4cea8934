"""Builds the parts that calls share once, and closes them: composition, and nothing else."""

from modules.llm_services.loops import running_loop
from modules.llm_services.providers.factory import problem_of

from .retiring import retiring_models
from .runtime import Runtime
from .runtimes import held, hold, media_store, release, runtime_for, runtime_of
from .startup import configured

__all__ = [
    "Runtime",
    "configured",
    "held",
    "hold",
    "media_store",
    "problem_of",
    "release",
    "retiring_models",
    "running_loop",
    "runtime_for",
    "runtime_of",
]

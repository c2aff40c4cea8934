"""Builds the parts that calls share once, and closes them: composition, and nothing else."""

from .loops import running_loop
from .runtime import Runtime
from .runtimes import held, hold, media_store, release, runtime_for, runtime_of

__all__ = [
    "Runtime",
    "held",
    "hold",
    "media_store",
    "release",
    "running_loop",
    "runtime_for",
    "runtime_of",
]

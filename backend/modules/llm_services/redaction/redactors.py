"""Redactors of the operator's own, by the names that ``LLM_REDACTORS`` gives."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from modules.llm_services.exceptions import LLMConfigurationError

Redactor: TypeAlias = Callable[[str], str]
_PROBE = "The quick brown fox jumps over the lazy dog."


def load_redactors(names: str) -> tuple[Redactor, ...]:
    """The functions that a comma-separated list of ``package.module:function`` names.

    Each is tried once with a harmless sentence. Raises `LLMConfigurationError`.
    """
    return tuple(_load(name.strip()) for name in names.split(",") if name.strip())


def _load(name: str) -> Redactor:
    module, _, function = name.partition(":")
    if not module or not function:
        raise _fault(name, "is not of the form package.module:function")
    try:
        redactor: Any = getattr(import_module(module), function)
        answer = "" if inspect.iscoroutinefunction(redactor) else redactor(_PROBE)
    except Exception as error:
        raise _fault(name, f"cannot be used: {type(error).__name__}: {error}") from error
    if not isinstance(answer, str) or inspect.iscoroutinefunction(redactor):
        raise _fault(name, "must be a plain function that takes a text and gives a text")
    return redactor  # type: ignore[no-any-return]  # what it is was tried, not declared


def _fault(name: str, problem: str) -> LLMConfigurationError:
    return LLMConfigurationError(f"LLM_REDACTORS: {name[:100]!r} {problem}")

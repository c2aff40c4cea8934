"""What a caller offers a model to call."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import ToolSpec

from .basics import kind, number, one_of, shown, whole

MAX_TOOLS = 128
MAX_DESCRIPTION = 4_096
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHOICES = frozenset({"auto", "none", "required"})


def tools(name: str, value: Any) -> tuple[Any, ...]:
    """A list of functions, Pydantic models and specs: their own shape is checked later."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise LLMInputError(f"{name} must be a list of functions or models, not {kind(value)}")
    if not 1 <= len(value) <= MAX_TOOLS:
        raise LLMInputError(f"{name} must hold 1 to {MAX_TOOLS} tools, not {len(value)}")
    for index, item in enumerate(value):
        if not isinstance(item, ToolSpec) and not callable(item):
            raise LLMInputError(
                f"{name}[{index}] must be a function, a subclass of pydantic.BaseModel or a "
                f"ToolSpec, not {shown(item)}"
            )
        if isinstance(item, type) and not issubclass(item, BaseModel):
            raise LLMInputError(
                f"{name}[{index}] is the class {item.__name__}; of classes only subclasses of "
                "pydantic.BaseModel are tools"
            )
    return tuple(value)


def tool_choice(name: str, value: Any) -> str:
    """A word, or what may be a tool's name."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise LLMInputError(f"{name} must be auto, none, required or a tool's name")
    return value


def yes_or_no(name: str, value: Any) -> bool:
    """True or False, and nothing that only counts as one."""
    if not isinstance(value, bool):
        raise LLMInputError(f"{name} must be True or False, not {shown(value)}")
    return value


max_rounds = whole(1, 100)
max_cost = number(0, 1_000_000, above=True)
on_tool_error = one_of(Literal["tell", "raise"])


def check_runnable(offered: Sequence[ToolSpec]) -> None:
    """Tools that are to be run need a function."""
    for index, spec in enumerate(offered):
        if spec.function is None:
            raise LLMInputError(
                f"tools[{index}] ({spec.name}) cannot be run: give a function, or a ToolSpec with "
                "one; a model alone is for generate_response"
            )


def tool_specs(offered: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """Tools that fit together: good names, each once, and schemas of objects."""
    seen: set[str] = set()
    for index, spec in enumerate(offered):
        _check_spec(f"tools[{index}]", spec)
        if spec.name in seen:
            raise LLMInputError(f"tools[{index}] has the name of another tool: {spec.name!r}")
        seen.add(spec.name)
    return tuple(offered)


def _check_spec(name: str, spec: ToolSpec) -> None:
    said: Any = spec.name  # a spec is made by the caller, and nothing checked it
    description: Any = spec.description
    parameters: Any = spec.parameters
    if not isinstance(said, str) or not _NAME.fullmatch(said) or said in _CHOICES:
        raise LLMInputError(
            f"{name} has the name {shown(said)}; a tool's name is 1 to 64 letters, digits, "
            "_ or -, and not auto, none or required"
        )
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        raise LLMInputError(
            f"{name} ({spec.name}) must have a description of at most {MAX_DESCRIPTION} characters"
        )
    if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
        raise LLMInputError(
            f'{name} ({spec.name}) must have parameters that are a JSON schema of type "object"'
        )


def check_choice(choice: str | None, offered: Sequence[ToolSpec], given: Mapping[str, Any]) -> None:
    """What is said about tools must be about tools that are there."""
    names = [spec.name for spec in offered]
    if not offered:
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in given:
                raise LLMInputError(f"{name} is for calls with tools, and none are given")
    elif choice is not None and choice not in _CHOICES and choice not in names:
        raise LLMInputError(
            f"tool_choice {choice!r} is not auto, none or required, and no tool has that name: "
            f"there are {', '.join(names)}"
        )

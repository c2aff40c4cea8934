"""What a caller offers a model to call."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import ToolSpec

from .basics import (
    check_json,
    guarded,
    items,
    kind,
    number,
    one_of,
    plain_text,
    sendable_text,
    shown,
    whole,
)

MAX_TOOLS = 128
MAX_DESCRIPTION = 4_096
MAX_SCHEMA_BYTES = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHOICES = frozenset({"auto", "none", "required"})


def tools(name: str, value: Any) -> tuple[Any, ...]:
    """A list of functions, Pydantic models and specs: their own shape is checked later."""
    found = guarded(name, items, name, value, MAX_TOOLS, "functions or models")
    for index, item in enumerate(found):
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
    return found


def tool_choice(name: str, value: Any) -> str:
    """A word, or what may be a tool's name."""
    said = plain_text(value)
    if said is None or not _NAME.fullmatch(said):
        raise LLMInputError(f"{name} must be auto, none, required or a tool's name")
    return said


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
    said: Any = plain_text(spec.name)  # a spec is made by the caller, and nothing checked it
    description: Any = spec.description
    parameters: Any = spec.parameters
    if not isinstance(said, str) or not _NAME.fullmatch(said) or said in _CHOICES:
        raise LLMInputError(
            f"{name} has the name {shown(spec.name)}; a tool's name is 1 to 64 letters, digits, "
            "_ or -, and not auto, none or required"
        )
    sendable_text(f"{name} ({said}): its description", description, MAX_DESCRIPTION)
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        raise LLMInputError(
            f'{name} ({said}) must have parameters that are a JSON schema of type "object"'
        )
    check_json(f"{name} ({said}): its parameters", parameters, MAX_SCHEMA_BYTES)
    yes_or_no(f"{name} ({said}): strict", spec.strict)
    if spec.function is not None and not callable(spec.function):
        raise LLMInputError(
            f"{name} ({said}): function must be callable, not {kind(spec.function)}"
        )
    if spec.model is not None:
        _check_model(f"{name} ({said}): model", spec.model)


def _check_model(name: str, model: object) -> None:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise LLMInputError(f"{name} must be a subclass of pydantic.BaseModel, not {shown(model)}")


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

"""From a function or a Pydantic model to the spec of a tool."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import to_json

from modules.llm_services import arguments
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.providers.strict_schema import strict_schema
from modules.llm_services.types import JsonObject, ToolSpec

from .docstrings import parameters_of, summary_of

_VALUES = frozenset({"default", "const", "enum", "examples"})
_NO_SCHEMA = (PydanticUserError, PydanticSchemaGenerationError, NameError)
_CLOSED = ConfigDict(extra="forbid", populate_by_name=False)
_known: WeakKeyDictionary[Any, ToolSpec] = WeakKeyDictionary()
"""Specs of functions and models that were seen before, without what would keep those alive."""


def describe(offered: Sequence[Any]) -> tuple[ToolSpec, ...]:
    """The specs of tools. Raises `LLMInputError` that names the one that cannot be one."""
    return arguments.tool_specs([_spec(f"tools[{i}]", tool) for i, tool in enumerate(offered)])


def _spec(name: str, tool: Any) -> ToolSpec:
    if isinstance(tool, ToolSpec):
        return tool
    is_model = isinstance(tool, type)
    known = _known.get(tool) if is_model or inspect.isfunction(tool) else None
    if known is None:
        known = _model_spec(name, tool) if is_model else _function_spec(name, tool)
        if is_model or inspect.isfunction(tool):
            _known[tool] = known
    return replace(known, model=tool) if is_model else replace(known, function=tool)


def _model_spec(name: str, model: type[BaseModel]) -> ToolSpec:
    if model is BaseModel or issubclass(model, RootModel):
        raise LLMInputError(f"{name} ({model.__name__}) must be a model with fields")
    description = inspect.cleandoc(model.__doc__ or "")
    return _described(name, model.__name__, description, model)


def _function_spec(name: str, function: Callable[..., Any]) -> ToolSpec:
    said = getattr(function, "__name__", None)
    if not isinstance(said, str):
        raise LLMInputError(f"{name} has no name of its own: give a function, or a ToolSpec")
    fields = _fields(name, function)
    try:
        model = create_model(said, __config__=_CLOSED, **fields)
    except _NO_SCHEMA as error:
        raise _undescribed(name, said, error) from None
    made = _described(name, said, summary_of(function.__doc__), model)
    return replace(made, model=model)


def _fields(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """A field for each parameter; the names are aliases, for a model's field may not have any."""
    said = parameters_of(function.__doc__)
    hints = _hints(name, function)
    fields: dict[str, Any] = {}
    for index, (word, parameter) in enumerate(inspect.signature(function).parameters.items()):
        _check_parameter(name, function, parameter, hints)
        about: dict[str, Any] = {"description": said[word]} if said.get(word) else {}
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[f"parameter_{index}"] = (hints[word], Field(default, alias=word, **about))
    return fields


def _hints(name: str, function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise LLMInputError(f"{name}: the type hints cannot be read ({error})") from None


def _check_parameter(
    name: str,
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    hints: Mapping[str, Any],
) -> None:
    place = f"{name} ({function.__name__})"
    if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
        raise LLMInputError(f"{place}: {parameter} cannot be named by a model: give it a name")
    if parameter.name not in hints:
        raise LLMInputError(f"{place}: the parameter {parameter.name!r} has no type hint")


def _described(name: str, word: str, description: str, model: type[BaseModel]) -> ToolSpec:
    try:
        written = model.model_json_schema()
    except _NO_SCHEMA as error:
        raise _undescribed(name, word, error) from None
    schema = _plain(written)
    strict = strict_schema(_with_defaults(schema))
    return ToolSpec(
        name=word,
        description=description,
        parameters=schema if strict is None else strict,
        strict=strict is not None,
    )


def _undescribed(name: str, word: str, error: Exception) -> LLMInputError:
    reason = str(error).partition("\n")[0]
    return LLMInputError(f"{name} ({word}) has no schema: {reason}")


def _plain(schema: JsonObject) -> JsonObject:
    """Without titles, which only repeat names, and the model's description, which is said apart."""
    plain: JsonObject = {"properties": {}, **_untitled(schema)}
    plain.pop("description", None)
    return plain


def _untitled(value: Any) -> Any:
    if isinstance(value, list):
        return [_untitled(item) for item in value]
    if not isinstance(value, dict):
        return value
    titled = isinstance(value.get("title"), str)  # else it is a property of that name
    kept = {name: item for name, item in value.items() if not (titled and name == "title")}
    return {name: item if name in _VALUES else _untitled(item) for name, item in kept.items()}


def _with_defaults(schema: JsonObject) -> JsonObject:
    """Strict mode knows no defaults and has the model fill in everything: so they are told."""
    told = dict(schema)
    if "properties" in schema:
        told["properties"] = {name: _told(value) for name, value in schema["properties"].items()}
    if "$defs" in schema:
        told["$defs"] = {name: _with_defaults(value) for name, value in schema["$defs"].items()}
    return told


def _told(value: JsonObject) -> JsonObject:
    if "default" not in value:
        return value
    words = [value.get("description", ""), f"(default: {to_json(value['default']).decode()})"]
    return {**value, "description": " ".join(words).strip()}

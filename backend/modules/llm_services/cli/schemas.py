"""A JSON Schema as a class that answers are checked against: the part of it that models obey."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from modules.llm_services.public import LLMInputError

_PLAIN: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}
_WORDS = frozenset(
    (
        *("type", "properties", "required", "items", "enum", "const", "title", "description"),
        *("additionalProperties", "$schema", "$id", "default", "examples"),
    )
)
_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}


def model_of(text: bytes) -> type[BaseModel]:
    """The class of a schema. Raises `LLMInputError`, naming what cannot be used and where."""
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise LLMInputError(f"--schema: no JSON: {error}") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise LLMInputError('--schema: must be an object with "type": "object" and "properties"')
    return _object(schema, "Answer")


def _object(schema: Mapping[str, Any], where: str) -> type[BaseModel]:
    _check(schema, where)
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields:
        raise LLMInputError(f"--schema: {where} must have properties")
    required = schema.get("required", ())
    made: dict[str, Any] = {
        f"field_{number}": _field(name, part, f"{where}.{name}", optional=name not in required)
        for number, (name, part) in enumerate(fields.items())
    }
    return create_model(
        _name(where),
        __config__=ConfigDict(populate_by_name=False, extra="forbid"),
        __doc__=schema.get("description"),
        **made,
    )


def _field(name: str, schema: object, where: str, *, optional: bool) -> tuple[Any, Any]:
    if not isinstance(schema, dict):
        raise LLMInputError(f"--schema: {where} must be an object that says its type")
    bounds = {ours: schema[theirs] for theirs, ours in _BOUNDS.items() if theirs in schema}
    kind = _type(schema, where)
    default = None if optional else ...
    said = schema.get("description")
    field = Field(default, alias=name, description=said, **bounds)
    return (kind | None if optional else kind), field


def _type(schema: Mapping[str, Any], where: str) -> Any:
    _check(schema, where)
    if "const" in schema or "enum" in schema:
        return _one_of(schema["enum"] if "enum" in schema else [schema["const"]], where)
    named: Any = schema.get("type")
    if isinstance(named, list):
        kinds = [_type({**schema, "type": one}, where) for one in named if one != "null"]
        return _union(kinds, nullable="null" in named)
    makers: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
        "object": _object,
        "array": _array,
    }
    if named in makers:
        return makers[named](schema, where)
    if named not in _PLAIN:
        known = ", ".join((*_PLAIN, *makers))
        raise LLMInputError(f"--schema: {where}: type {named!r} is none of {known}")
    return _PLAIN[named]


def _array(schema: Mapping[str, Any], where: str) -> Any:
    items = schema.get("items")
    if not isinstance(items, dict):
        raise LLMInputError(f"--schema: {where} must say what its items are")
    return list[_type(items, f"{where}.items")]  # type: ignore[misc]  # made while running


def _union(kinds: list[Any], *, nullable: bool) -> Any:
    whole = kinds[0]
    for kind in kinds[1:]:
        whole |= kind
    return whole | None if nullable else whole


def _one_of(values: object, where: str) -> Any:
    plain = str | int | bool
    if not isinstance(values, list) or not values or not all(isinstance(v, plain) for v in values):
        raise LLMInputError(f"--schema: {where}: enum must list texts, whole numbers or booleans")
    return Literal[tuple(values)]


def _check(schema: Mapping[str, Any], where: str) -> None:
    unknown = sorted(schema.keys() - _WORDS - _BOUNDS.keys())
    if unknown:
        raise LLMInputError(f"--schema: {where}: {unknown[0]!r} cannot be used here")


def _name(where: str) -> str:
    return "".join(part for part in where.title() if part.isascii() and part.isalnum())[:60]

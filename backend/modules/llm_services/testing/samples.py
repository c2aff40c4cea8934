"""Small objects that fit a JSON schema: always the same ones, for calls that nobody scripted."""

import json
from collections.abc import Mapping
from itertools import count
from math import ceil, floor
from typing import Any

from pydantic import BaseModel, ValidationError

from .script import UnscriptedError

_DEEP = 3  # references within references, after which an optional value is left out
_TOO_DEEP = 30
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "uuid": "00000000-0000-4000-8000-{n:012x}",
    "email": "user{n}@example.com",
    "uri": "https://example.com/{n}",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


def sample_json(model: type[BaseModel]) -> str:
    """The JSON text of an instance of ``model``. Raises `UnscriptedError` where none is found."""
    text = json.dumps(sample(model.model_json_schema()))
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the object"
        raise UnscriptedError(
            f"the fake cannot make up a {model.__name__} ({place}: {problem['msg']}): "
            f"script one with answers({model.__name__}(...))"
        ) from None
    return text


def sample(schema: Mapping[str, Any]) -> Any:
    """A value for a schema, as far as a schema tells what is right."""
    return _Maker(schema.get("$defs", {})).value(schema)


class _Maker:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._numbers = count(1)  # no two texts alike: lists often want that
        self._depth = 0

    def value(self, schema: Mapping[str, Any]) -> Any:
        """A value for a schema or a part of one."""
        for keyword, make in _KEYWORDS.items():
            if keyword in schema:
                return make(self, schema)
        return _TYPES[schema.get("type", "string")](self, schema)

    def referred(self, schema: Mapping[str, Any]) -> Any:
        """What a ``$ref`` stands for."""
        self._depth += 1
        if self._depth > _TOO_DEEP:
            raise UnscriptedError("the fake cannot make up an object that has no end: script one")
        try:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]])
        finally:
            self._depth -= 1

    def chosen(self, schema: Mapping[str, Any]) -> Any:
        """The first of several schemas; deep inside, nothing where that is allowed."""
        choices = schema.get("anyOf") or schema["oneOf"]
        null = {"type": "null"}
        if self._depth >= _DEEP and null in choices:
            return None
        return self.value(choices[0])

    def merged(self, schema: Mapping[str, Any]) -> Any:
        """All schemas of ``allOf`` at once."""
        whole: dict[str, Any] = {}
        for part in schema["allOf"]:
            name = part.get("$ref", "").rpartition("/")[2]
            whole |= self._definitions.get(name, part)
        return self.value(whole)

    def object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Required properties only; of free ones as many as there must be."""
        properties = schema.get("properties", {})
        made = {name: self.value(properties.get(name, {})) for name in schema.get("required", ())}
        free = schema.get("additionalProperties")
        item = free if isinstance(free, Mapping) else {}
        for number in range(len(made), schema.get("minProperties", 0)):
            made[f"key_{number + 1}"] = self.value(item)
        return made

    def array(self, schema: Mapping[str, Any]) -> list[Any]:
        """As few items as there may be."""
        first = [self.value(item) for item in schema.get("prefixItems", ())]
        item = schema.get("items") or {}
        rest = range(len(first), schema.get("minItems", 0))
        return first + [self.value(item) for _ in rest]

    def string(self, schema: Mapping[str, Any]) -> str:
        """A text with a number of its own, as long as it must be."""
        form = _FORMATS.get(schema.get("format", ""), "text {n}")
        text = form.format(n=next(self._numbers)).ljust(schema.get("minLength", 0), ".")
        return text[: schema.get("maxLength")]

    def number(self, schema: Mapping[str, Any]) -> float:
        """The smallest that is allowed, or something near 1."""
        step = schema.get("multipleOf") or (1 if schema["type"] == "integer" else 0.5)
        low, high = _bounds(schema, step)
        if low is not None:
            wanted = ceil(low / step) * step
        else:
            wanted = step if high is None or step <= high else floor(high / step) * step
        return wanted if high is None or wanted <= high else high


def _bounds(schema: Mapping[str, Any], step: float) -> tuple[float | None, float | None]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    return low, high


_KEYWORDS: Mapping[str, Any] = {
    "const": lambda _, schema: schema["const"],
    "enum": lambda _, schema: schema["enum"][0],
    "examples": lambda _, schema: schema["examples"][0],
    "$ref": _Maker.referred,
    "anyOf": _Maker.chosen,
    "oneOf": _Maker.chosen,
    "allOf": _Maker.merged,
}
_TYPES: Mapping[str, Any] = {
    "object": _Maker.object,
    "array": _Maker.array,
    "string": _Maker.string,
    "integer": _Maker.number,
    "number": _Maker.number,
    "boolean": lambda _maker, _schema: False,
    "null": lambda _maker, _schema: None,
}

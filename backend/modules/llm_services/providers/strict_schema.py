"""A JSON schema in the subset that OpenAI's strict mode takes, or nothing when there is none.

Strict mode wants every property required, no additional ones, no defaults, and references
without neighbours. Limits that it does not know are said in the description; pydantic still
checks them when the answer comes.
"""

from typing import Any

from modules.llm_services.types import JsonObject

_UNKNOWN_LIMITS = frozenset(
    {
        "contains",
        "maxContains",
        "maxLength",
        "maxProperties",
        "minContains",
        "minLength",
        "minProperties",
        "patternProperties",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
_SAYS_WHAT = frozenset({"type", "$ref", "anyOf", "allOf", "enum", "const"})
_KNOWN_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)


class _NotStrictError(Exception):
    """The schema means something that strict mode cannot say."""


def strict_schema(schema: JsonObject) -> JsonObject | None:
    """A strict copy of the schema; ``None`` for one with free-form objects or tuples."""
    try:
        strict = _Strict(schema).copy(schema)
    except _NotStrictError:
        return None
    return strict if strict.get("type") == "object" else None


class _Strict:
    """Copies one schema; remembers which references it is inside of, for recursive models."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._inside: list[str] = []

    def copy(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self.copy(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema and len(schema) > 1:
            return self._without_neighbours(schema)
        return _closed(_described(self._parts(schema), schema), schema)

    def _parts(self, schema: JsonObject) -> JsonObject:
        kept = {name: value for name, value in schema.items() if _is_kept(name, value)}
        for name in ("properties", "$defs"):
            if name in kept:
                kept[name] = {key: self.copy(value) for key, value in kept[name].items()}
        for name in ("items", "anyOf", "allOf"):
            if name in kept:
                kept[name] = self.copy(kept[name])
        if "oneOf" in schema:
            kept["anyOf"] = self.copy(schema["oneOf"])
        return kept

    def _without_neighbours(self, schema: JsonObject) -> Any:
        """A reference beside other words is replaced by what it refers to, under those words;
        inside itself it stays a plain reference.
        """
        reference = schema["$ref"]
        if reference in self._inside:
            return {"$ref": reference}
        target: Any = self._root
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        others = {name: value for name, value in schema.items() if name != "$ref"}
        self._inside.append(reference)
        copy = self.copy({**target, **others})
        self._inside.pop()
        return copy


def _is_kept(name: str, value: object) -> bool:
    if name == "format":
        return value in _KNOWN_FORMATS
    return name not in _UNKNOWN_LIMITS and name not in {"default", "oneOf", "discriminator"}


def _described(kept: JsonObject, schema: JsonObject) -> JsonObject:
    limits = [f"{name}={schema[name]}" for name in sorted(_UNKNOWN_LIMITS & schema.keys())]
    if "format" in schema and "format" not in kept:
        limits.append(f"format={schema['format']}")
    if not limits:
        return kept
    words = [schema.get("description", ""), f"({', '.join(limits)})"]
    return {**kept, "description": " ".join(words).strip()}


def _closed(kept: JsonObject, schema: JsonObject) -> JsonObject:
    if "prefixItems" in schema:
        raise _NotStrictError
    if not kept.keys() & _SAYS_WHAT or (kept.get("type") == "array" and not kept.get("items")):
        raise _NotStrictError
    if kept.get("type") != "object":
        return kept
    if "properties" not in kept or schema.get("additionalProperties", False) is not False:
        raise _NotStrictError
    return {**kept, "additionalProperties": False, "required": list(kept["properties"])}

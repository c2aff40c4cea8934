"""Looking at a schema without filling it: its type, its alternatives, the plainest of them."""

from __future__ import annotations

from sandbox.schema_check import matches
from sandbox.schema_refs import merge
from sandbox.wire import Json

_BY_KEYWORD = {
    "object": (
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
    ),
    "array": ("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_ANY = ("string", "integer", "object", "array", "boolean", "null")
_PLAINEST = {
    "null": 0,
    "boolean": 1,
    "string": 1,
    "integer": 1,
    "number": 1,
    "array": 2,
    "object": 3,
}


def flat_type(schema: Json, variant: int, *, lean: bool) -> str:
    """The JSON type to fill: the given one, else what the keywords speak of, else text first."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return kinds
    if isinstance(kinds, list) and kinds:
        ranked = sorted(kinds, key=lambda k: _PLAINEST.get(k, 9)) if lean else _null_last(kinds)
        return str(ranked[(variant // 2) % len(ranked)])
    spoken = [t for t, keys in _BY_KEYWORD.items() if any(k in schema for k in keys)]
    choices = [*spoken, *(t for t in _ANY if t not in spoken)]
    return choices[variant % len(choices)] if not spoken else choices[(variant // 4) % len(choices)]


def _null_last(kinds: list[str]) -> list[str]:
    return sorted(kinds, key=lambda k: k == "null")


def options_of(schema: Json) -> list[Json]:
    """What the schema becomes with each alternative merged in; empty when it has none."""
    for key in ("anyOf", "oneOf"):
        listed = schema.get(key)
        if isinstance(listed, list):
            base = {k: v for k, v in schema.items() if k != key}
            return [merge(base, o) if isinstance(o, dict) else base for o in _ordered(listed)]
    if isinstance(schema.get("if"), dict):
        return _branches(schema)
    return []


def _ordered(listed: list[object]) -> list[object]:
    """Null last: what may be there is shown."""
    kept = [o for o in listed if o is not False]
    return sorted(kept, key=lambda o: isinstance(o, dict) and o.get("type") == "null")


def _branches(schema: Json) -> list[Json]:
    base = {k: v for k, v in schema.items() if k not in {"if", "then", "else"}}
    test, then, other = schema["if"], schema.get("then", {}), schema.get("else", {})
    yes = merge(merge(base, test), then) if isinstance(then, dict) else None
    no = merge(base, other) if isinstance(other, dict) else None
    return [b for b in (yes, no, merge(base, then) if isinstance(then, dict) else None) if b]


def lean_first(options: list[Json]) -> list[Json]:
    """The alternatives that end soonest first."""
    return sorted(options, key=_weight)


def _weight(option: Json) -> int:
    if "const" in option or "enum" in option:
        return 0
    if "$ref" in option or "anyOf" in option or "oneOf" in option:
        return 9
    kind = option.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    weight = min(_PLAINEST.get(str(k), 5) for k in kinds)
    return weight + (3 if option.get("minItems") or option.get("required") else 0)


def touches(schema: Json, name: str) -> object:
    """The schema of one property: its own, those whose pattern fits, else the one for the rest."""
    known = schema.get("properties", {})
    found = [known[name]] if name in known else []
    found += [s for p, s in schema.get("patternProperties", {}).items() if matches(p, name)]
    if not found:
        return schema.get("additionalProperties", True)
    if False in found:
        return False
    merged: Json = {}
    for part in found:
        merged = merge(merged, part) if isinstance(part, dict) else merged
    return merged or True

"""A small JSON Schema validator: does a value fit? It lets the filler try, look, and try again.

Enough of draft 2020-12 (and draft 7's tuples) for what people write in response formats. Unknown
keywords and unreadable patterns are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sandbox.schema_refs import resolve
from sandbox.wire import Json, dumps

_Check = Callable[[object, object, Json, Json], bool]
_DEEPEST = 120


def is_number(value: object) -> bool:
    """A JSON number; `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: is_number(v) and float(str(v)).is_integer(),
    "number": is_number,
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def same(a: object, b: object) -> bool:
    """JSON equality: 1 and 1.0 are the same, 1 and true are not."""
    if is_number(a) and is_number(b):
        return a == b
    return type(a) is type(b) and dumps(a) == dumps(b)


def fits(value: object, schema: object, root: Json, depth: int = 0) -> bool:
    """Whether `value` is valid; `root` is where `$ref` points into."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return True
    if isinstance(ref := schema.get("$ref"), str) and not fits(
        value, resolve(ref, root), root, depth + 1
    ):
        return False
    return all(
        check(value, schema[key], schema, root) for key, check in _CHECKS.items() if key in schema
    )


def _type(value: object, kind: object, _s: Json, _r: Json) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return any(_TYPES[k](value) for k in map(str, kinds) if k in _TYPES)


def _number(test: Callable[[float, float], bool]) -> _Check:
    def check(value: object, limit: object, _s: Json, _r: Json) -> bool:
        if not is_number(value) or not is_number(limit):
            return True
        return test(value, limit)  # type: ignore[arg-type]

    return check


def _multiple(value: float, step: float) -> bool:
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    # As jsonschema and most validators judge, rounding errors included.
    quotient = value / step
    return quotient == int(quotient)


def _sized(kind: type, test: Callable[[int, int], bool]) -> _Check:
    def check(value: object, limit: object, _s: Json, _r: Json) -> bool:
        return not isinstance(value, kind) or test(len(value), limit)  # type: ignore[arg-type]

    return check


def _pattern(value: object, pattern: object, _s: Json, _r: Json) -> bool:
    return not isinstance(value, str) or matches(str(pattern), value)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text; a pattern that Python can't read fits everything."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True


def _properties(value: object, props: object, _s: Json, root: Json) -> bool:
    return not isinstance(value, dict) or all(
        fits(value[k], s, root) for k, s in _map(props).items() if k in value
    )


def _pattern_properties(value: object, props: object, _s: Json, root: Json) -> bool:
    return not isinstance(value, dict) or all(
        fits(v, s, root) for p, s in _map(props).items() for k, v in value.items() if matches(p, k)
    )


def _additional(value: object, inner: object, schema: Json, root: Json) -> bool:
    if not isinstance(value, dict):
        return True
    patterns = list(_map(schema.get("patternProperties")))
    known = _map(schema.get("properties"))
    rest = [k for k in value if k not in known and not any(matches(p, k) for p in patterns)]
    return all(fits(value[k], inner, root) for k in rest)


def _names(value: object, inner: object, _s: Json, root: Json) -> bool:
    return not isinstance(value, dict) or all(fits(k, inner, root) for k in value)


def _required(value: object, names: object, _s: Json, _r: Json) -> bool:
    return not isinstance(value, dict) or all(n in value for n in _list(names))


def _dependent_required(value: object, needs: object, _s: Json, _r: Json) -> bool:
    return not isinstance(value, dict) or all(
        n in value for k, names in _map(needs).items() if k in value for n in _list(names)
    )


def _dependent_schemas(value: object, needs: object, _s: Json, root: Json) -> bool:
    return not isinstance(value, dict) or all(
        fits(value, s, root) for k, s in _map(needs).items() if k in value
    )


def _prefix(value: object, inner: object, _s: Json, root: Json) -> bool:
    if not isinstance(value, list):
        return True
    return all(fits(v, s, root) for v, s in zip(value, _list(inner), strict=False))


def _items(value: object, inner: object, schema: Json, root: Json) -> bool:
    if isinstance(inner, list):  # draft 7's tuples
        return _prefix(value, inner, schema, root)
    start = len(_list(schema.get("prefixItems")))
    return not isinstance(value, list) or all(fits(v, inner, root) for v in value[start:])


def _additional_items(value: object, inner: object, schema: Json, root: Json) -> bool:
    tuple_of = schema.get("items")
    if not isinstance(value, list) or not isinstance(tuple_of, list):
        return True
    return all(fits(v, inner, root) for v in value[len(tuple_of) :])


def _contains(value: object, inner: object, schema: Json, root: Json) -> bool:
    if not isinstance(value, list):
        return True
    found = sum(fits(v, inner, root) for v in value)
    most: int = schema.get("maxContains", len(value))
    return int(schema.get("minContains", 1)) <= found <= most


def _unique(value: object, wanted: object, _s: Json, _r: Json) -> bool:
    if not wanted or not isinstance(value, list):
        return True
    return not any(same(a, b) for i, a in enumerate(value) for b in value[:i])


def _if(value: object, test: object, schema: Json, root: Json) -> bool:
    branch = "then" if fits(value, test, root) else "else"
    return fits(value, schema.get(branch, True), root)


def _map(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


_CHECKS: Mapping[str, _Check] = {
    "type": _type,
    "enum": lambda v, options, _s, _r: any(same(v, o) for o in _list(options)),
    "const": lambda v, only, _s, _r: same(v, only),
    "minimum": _number(lambda v, m: v >= m),
    "maximum": _number(lambda v, m: v <= m),
    "exclusiveMinimum": _number(lambda v, m: v > m),
    "exclusiveMaximum": _number(lambda v, m: v < m),
    "multipleOf": _number(_multiple),
    "minLength": _sized(str, lambda n, m: n >= m),
    "maxLength": _sized(str, lambda n, m: n <= m),
    "pattern": _pattern,
    "minItems": _sized(list, lambda n, m: n >= m),
    "maxItems": _sized(list, lambda n, m: n <= m),
    "uniqueItems": _unique,
    "prefixItems": _prefix,
    "items": _items,
    "additionalItems": _additional_items,
    "contains": _contains,
    "minProperties": _sized(dict, lambda n, m: n >= m),
    "maxProperties": _sized(dict, lambda n, m: n <= m),
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "allOf": lambda v, all_, _s, root: all(fits(v, s, root) for s in _list(all_)),
    "anyOf": lambda v, any_, _s, root: any(fits(v, s, root) for s in _list(any_)),
    "oneOf": lambda v, one, _s, root: sum(fits(v, s, root) for s in _list(one)) == 1,
    "not": lambda v, no, _s, root: not fits(v, no, root),
    "if": _if,
}

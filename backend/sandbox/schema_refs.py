"""`$ref` and the merging of schemas that hold at the same time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from urllib.parse import unquote

from sandbox.wire import Json, dumps


def resolve(ref: str, root: Json) -> object:
    """What a local `$ref` points to; what can't be found fits everything."""
    if ref in {"#", root.get("$id")}:
        return root
    if not ref.startswith("#/"):
        return _anchored(ref.partition("#")[2], root)
    node: object = root
    for step in ref[2:].split("/"):
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return True
    return node


def _anchored(name: str, node: object) -> object:
    if isinstance(node, dict):
        if name and node.get("$anchor") == name:
            return node
        children: list[object] = list(node.values())
    else:
        children = node if isinstance(node, list) else []
    found = (_anchored(name, child) for child in children if isinstance(child, dict | list))
    return next((f for f in found if f is not True), True)


def merge(a: Json, b: Json) -> Json:
    """A schema that asks for what both ask for, as far as one schema can say it."""
    out = dict(a)
    for key, value in b.items():
        out[key] = _MERGERS.get(key, _later)(a[key], value) if key in a else value
    return _closed(out, a, b)


def merge_all(schemas: list[Json]) -> Json:
    """All of them at once."""
    return reduce(merge, schemas, {})


def _closed(out: Json, a: Json, b: Json) -> Json:
    """Where one side forbids other properties, those that only the other knows are left out."""
    for closed, other in ((a, b), (b, a)):
        if closed.get("additionalProperties") is False and "properties" in other:
            names = closed.get("properties", {})
            kept = {k: v for k, v in out["properties"].items() if k in names}
            out = {**out, "properties": kept}
    return out


def _later(_a: object, b: object) -> object:
    return b


def _both(a: object, b: object) -> object:
    """Two schemas for the same place."""
    if isinstance(a, dict) and isinstance(b, dict):
        return merge(a, b)
    if a is False or b is False:
        return False
    return b if a is True else a


def _maps(a: Json, b: Json) -> Json:
    return {**a, **{k: _both(a[k], v) if k in a else v for k, v in b.items()}}


def _union(a: list[object], b: list[object]) -> list[object]:
    return [*a, *(x for x in b if x not in a)]


def _common(a: list[object], b: list[object]) -> list[object]:
    texts = {dumps(x) for x in b}
    return [x for x in a if dumps(x) in texts]


def _types(a: object, b: object) -> object:
    first, second = (x if isinstance(x, list) else [x] for x in (a, b))
    both = [t for t in first if t in second or (t == "integer" and "number" in second)]
    both += [t for t in second if t == "integer" and "number" in first and t not in both]
    return both[0] if len(both) == 1 else both


def _pattern(a: str, b: str) -> str:
    return a if a == b else f"(?=.*?(?:{a})){b}"


def _multiple(a: float, b: float) -> float:
    return math.lcm(a, b) if isinstance(a, int) and isinstance(b, int) else max(a, b)


def _options(a: list[Json], b: list[Json]) -> list[object]:
    """Two lists of alternatives: every pair of them."""
    return [_both(x, y) for x in a for y in b]


_MERGERS: Mapping[str, Callable[..., object]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _maps),
    **dict.fromkeys(("items", "additionalProperties", "propertyNames"), _both),
    **dict.fromkeys(("anyOf", "oneOf"), _options),
    "required": _union,
    "allOf": _union,
    "enum": _common,
    "type": _types,
    "pattern": _pattern,
    "multipleOf": _multiple,
    "uniqueItems": lambda a, b: a or b,
    "not": lambda a, b: {"anyOf": [a, b]},
}

"""What OpenAI refuses in a strict JSON schema, checked the way it does and said in its words."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.wire import ApiError, Json

NOT_PERMITTED = (
    "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
    "patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains",
    "minContains", "maxContains", "minProperties", "maxProperties", "uniqueItems",
)  # fmt: skip
_MAPS = ("properties", "$defs", "definitions")
_ONE = ("items",)
_MANY = ("anyOf", "prefixItems")


def check(schema: Json, *, what: str, param: str, code: str) -> None:
    """Raise `ApiError` 400 for the first thing that strict mode does not take."""
    problem = _root_problem(schema) or next(_problems(schema, ()), None)
    if problem:
        raise ApiError(400, f"Invalid schema for {what}: {problem}", param=param, code=code)


def _root_problem(schema: Json) -> str:
    kind = schema.get("type")
    if kind == "object" and "anyOf" not in schema:
        return ""
    shown = f'"{kind}"' if kind else '"None"'
    return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {shown}'."


def _problems(schema: object, path: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    where = f"In context={path!r}, "
    yield from (f"{where}'{k}' is not permitted." for k in NOT_PERMITTED if k in schema)
    if "$ref" in schema and len(schema.keys() - {"$defs", "definitions"}) > 1:
        extra = sorted(schema.keys() - {"$ref", "$defs", "definitions"})
        yield f"{where}$ref cannot have keywords {set(extra)}."
    if schema.get("type") == "object" or "properties" in schema:
        yield from _object_problems(schema, where)
    yield from _inner_problems(schema, path)


def _object_problems(schema: Json, where: str) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield f"{where}'additionalProperties' is required to be supplied and to be false."
    required = schema.get("required", [])
    for name in schema.get("properties", {}):
        if name not in required:
            yield (
                f"{where}'required' is required to be supplied and to be an array including"
                f" every key in properties. Missing '{name}'."
            )


def _inner_problems(schema: Json, path: tuple[str, ...]) -> Iterator[str]:
    for key in _MAPS:
        for name, inner in (schema.get(key) or {}).items():
            yield from _problems(inner, (*path, key, name))
    for key in _ONE:
        yield from _problems(schema.get(key), (*path, key))
    for key in _MANY:
        for i, inner in enumerate(schema.get(key) or []):
            yield from _problems(inner, (*path, key, str(i)))

"""Cuts the requests that we make out of OpenAI's own description of its API, as JSON Schema.

The description is public: https://github.com/openai/openai-openapi. To renew our part of it::

    python -m tests.contract.extract path/to/openapi.json COMMIT DATE

What is left out says nothing about validity (descriptions, examples, defaults). What OpenAPI says
in its own words is said in JSON Schema's: ``nullable``, recursive references, discriminators, whose
alternatives tell themselves apart by their ``type``. Objects are closed where the description lists
their properties: the API refuses parameters that it does not know.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REQUESTS = Path(__file__).parent / "openai" / "requests.json"
PATHS = (
    "/audio/speech",
    "/audio/transcriptions",
    "/batches",
    "/chat/completions",
    "/embeddings",
    "/files",
    "/images/edits",
    "/images/generations",
    "/responses",
)
_SILENT = frozenset(
    {"default", "deprecated", "description", "discriminator", "example", "examples", "nullable"}
    | {"name", "title", "beta", "$recursiveAnchor"}
)
_ALTERNATIVES = ("anyOf", "oneOf")
_DEFINITION = "#/components/schemas/"


def json_schema(name: str, schema: Mapping[str, Any], *, part: bool = False) -> dict[str, Any]:
    """A definition in JSON Schema 2020-12. A ``part`` of an ``allOf`` stays open: its whole closes.

    ``oneOf`` becomes ``anyOf``: the description's alternatives overlap.
    """
    said = {key: value for key, value in schema.items() if not _is_silent(key)}
    out = {key: _translated(name, key, value) for key, value in said.items()}
    if "$recursiveRef" in out:
        return {"$ref": f"#/$defs/{name}"}
    if "oneOf" in out:
        out["anyOf"] = out.pop("oneOf")
    if not part and "additionalProperties" not in out:
        out |= _closing(out)
    return _with_null(out) if schema.get("nullable") is True else out


def _is_silent(key: str) -> bool:
    return key in _SILENT or key.startswith("x-")


def _translated(name: str, key: str, value: Any) -> Any:
    if key == "properties":
        return {inner: json_schema(name, schema) for inner, schema in value.items()}
    if key == "$ref":
        return value.replace(_DEFINITION, "#/$defs/")
    if isinstance(value, dict):
        return json_schema(name, value)
    if key in {"allOf", *_ALTERNATIVES}:
        return [json_schema(name, schema, part=key == "allOf") for schema in value]
    return value


def _closing(schema: Mapping[str, Any]) -> dict[str, bool]:
    if "allOf" in schema:
        return {"unevaluatedProperties": False}
    return {"additionalProperties": False} if "properties" in schema else {}


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def references(node: object) -> Iterator[str]:
    """The names of definitions that a part of the description refers to."""
    if isinstance(node, Mapping):
        target = node.get("$ref")
        if isinstance(target, str):
            yield target.rpartition("/")[2]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def _needed(schemas: Mapping[str, Any], start: object) -> set[str]:
    found: set[str] = set()
    ahead = set(references(start))
    while ahead:
        name = ahead.pop()
        found.add(name)
        ahead |= set(references(schemas[name])) - found
    return found


def _parts(schemas: Mapping[str, Any], names: set[str]) -> set[str]:
    """Definitions that others are put together from."""
    wholes = [schemas[name].get("allOf", []) for name in names]
    return {target for whole in wholes for part in whole for target in references_at(part)}


def references_at(schema: Mapping[str, Any]) -> Iterator[str]:
    """The definition that a schema itself is, if it is a reference."""
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2]


def extract(document: Mapping[str, Any], commit: str, date: str) -> dict[str, Any]:
    """Our part of the description, with the place that it comes from."""
    bodies = {path: document["paths"][path]["post"]["requestBody"]["content"] for path in PATHS}
    schemas = document["components"]["schemas"]
    names = _needed(schemas, bodies)
    parts = _parts(schemas, names)
    return {
        "source": "https://github.com/openai/openai-openapi (MIT), openapi.json",
        "commit": commit,
        "date": date,
        "version": document["info"]["version"],
        "paths": {
            path: {kind: json_schema("", said["schema"])["$ref"] for kind, said in content.items()}
            for path, content in bodies.items()
        },
        "$defs": {
            name: json_schema(name, schemas[name], part=name in parts) for name in sorted(names)
        },
    }


def dumps(part: Mapping[str, Any]) -> str:
    """JSON with one definition a line, so that a renewal shows what has changed."""
    heads = [f" {json.dumps(key)}: {json.dumps(part[key])}" for key in part if key != "$defs"]
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in part["$defs"].items()]
    return "{\n" + ",\n".join([*heads, ' "$defs": {\n' + ",\n".join(lines) + "\n }"]) + "\n}\n"


if __name__ == "__main__":
    source, *version = sys.argv[1:]
    REQUESTS.write_text(dumps(extract(json.loads(Path(source).read_text()), *version)))

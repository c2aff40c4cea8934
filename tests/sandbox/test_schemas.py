"""The sandbox fills any JSON schema with a valid instance, always the same one."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest

from sandbox.reading import read
from sandbox.schema_check import fits
from sandbox.schema_fill import instance, misfit
from sandbox.wire import ApiError

from .source_text import VOLCANOES

READING = read((f"Write a lesson for grade 6.\n\n{VOLCANOES}",), "You are a teacher.")
BARE = read(("Hi",), "")

_NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
    },
    "required": ["value", "children", "next"],
    "additionalProperties": False,
}

SCHEMAS: dict[str, Any] = {
    "empty": {},
    "string": {"type": "string"},
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer bounds": {"type": "integer", "minimum": 7, "maximum": 7},
    "exclusive integer": {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    "exclusive number": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    "negative": {"type": "number", "maximum": -3.5},
    "multiple": {"type": "number", "multipleOf": 0.07, "minimum": 0.1},
    "multiple of seven": {"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 60},
    "long string": {"type": "string", "minLength": 3000, "maxLength": 3001},
    "short string": {"type": "string", "maxLength": 3},
    "one char": {"type": "string", "minLength": 1, "maxLength": 1},
    "pattern": {"type": "string", "pattern": r"^[A-Z]{3}-\d{4}(?:-[a-f]+)?$"},
    "pattern branch": {"type": "string", "pattern": r"^(?:red|green|blue)_(\w)\1$"},
    "pattern long": {"type": "string", "pattern": "^[a-z]+$", "minLength": 20, "maxLength": 30},
    "pattern phone": {"type": "string", "pattern": r"^\+?[1-9]\d{7,14}$"},
    "pattern negated": {"type": "string", "pattern": r"^[^\s@]+@[^\s@]+\.[^\s@]+$"},
    "enum": {"enum": ["a", 1, None, {"b": 2}]},
    "enum narrowed": {"enum": [1, 2, "three"], "type": "string"},
    "const object": {"const": {"deep": [1, 2]}},
    "nullable": {"type": ["string", "null"], "minLength": 5},
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"type": "string"}, {"const": True}],
        "items": False,
        "minItems": 3,
    },
    "draft 7 tuple": {
        "type": "array",
        "items": [{"type": "integer"}, {"type": "boolean"}],
        "additionalItems": {"type": "string"},
        "minItems": 4,
    },
    "unique enum": {
        "type": "array",
        "items": {"enum": ["x", "y", "z"]},
        "uniqueItems": True,
        "minItems": 3,
    },
    "unique integers": {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 4},
        "uniqueItems": True,
        "minItems": 5,
    },
    "unique strings": {
        "type": "array",
        "items": {"type": "string"},
        "uniqueItems": True,
        "minItems": 35,
    },
    "unique booleans": {
        "type": "array",
        "items": {"type": "boolean"},
        "uniqueItems": True,
        "minItems": 2,
        "maxItems": 2,
    },
    "no items": {"type": "array", "items": {"type": "string"}, "maxItems": 0},
    "contains": {
        "type": "array",
        "items": {"type": "integer"},
        "contains": {"minimum": 100},
        "minContains": 2,
        "maxContains": 2,
        "minItems": 3,
    },
    "dictionary": {"type": "object", "additionalProperties": {"type": "integer"}},
    "dictionary sized": {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 12},
        "minProperties": 5,
        "maxProperties": 6,
        "propertyNames": {"pattern": "^[a-z]{2,8}$"},
    },
    "pattern properties": {
        "type": "object",
        "patternProperties": {r"^x-\d+$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "required unknown": {"type": "object", "required": ["anything", "else"]},
    "max properties": {
        "type": "object",
        "properties": {k: {"type": "string"} for k in "abcdef"},
        "required": ["f"],
        "maxProperties": 2,
    },
    "dependent": {
        "type": "object",
        "properties": {"card": {"type": "string"}, "address": {"type": "string"}},
        "dependentRequired": {"card": ["zip"]},
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}},
            {"properties": {"a": {"maximum": 3}, "b": {"type": "string"}}, "required": ["a", "b"]},
        ]
    },
    "one of overlapping": {
        "oneOf": [{"type": "number", "multipleOf": 5}, {"type": "number", "multipleOf": 3}]
    },
    "one of objects": {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
            {
                "type": "object",
                "properties": {"kind": {"const": "b"}, "n": {"type": "integer"}},
                "required": ["kind", "n"],
            },
        ]
    },
    "any of with base": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        "maxProperties": 1,
    },
    "any of required only": {
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        "type": "object",
    },
    "not string": {"not": {"type": "string"}},
    "not a value": {"type": "integer", "minimum": 1, "not": {"const": 1}},
    "if then": {
        "type": "object",
        "properties": {"kind": {"enum": ["person", "firm"]}, "vat": {"type": "string"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "firm"}}},
        "then": {"required": ["vat"]},
        "else": {"properties": {"vat": False}},
    },
    "recursive": {"$defs": {"Node": _NODE}, "$ref": "#/$defs/Node"},
    "recursive root": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}},
        "required": ["name"],
    },
    "mutual": {
        "$defs": {
            "A": {
                "type": "object",
                "properties": {"b": {"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}},
                "required": ["b"],
            },
            "B": {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
                "required": ["a"],
            },
        },
        "$ref": "#/$defs/A",
    },
    "expression": {
        "$defs": {
            "E": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "op": {"enum": ["+", "-"]},
                            "left": {"$ref": "#/$defs/E"},
                            "right": {"$ref": "#/$defs/E"},
                        },
                        "required": ["op", "left", "right"],
                        "additionalProperties": False,
                    },
                    {"type": "number"},
                ]
            }
        },
        "$ref": "#/$defs/E",
    },
    "anchor and escapes": {
        "$defs": {"a/b~c": {"$anchor": "here", "type": "integer", "minimum": 9}},
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/a~1b~0c"}, "y": {"$ref": "#here"}},
        "required": ["x", "y"],
    },
    "ref with siblings": {
        "$defs": {"S": {"type": "string"}},
        "type": "object",
        "properties": {"s": {"$ref": "#/$defs/S", "minLength": 30, "description": "a title"}},
        "required": ["s"],
    },
    "formats": {
        "type": "object",
        "properties": {
            f: {"type": "string", "format": f}
            for f in ("date", "date-time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname")
        },
        "required": ["date", "date-time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname"],
    },
    "enum in list": {
        "type": "array",
        "minItems": 6,
        "items": {"type": "object", "properties": {"k": {"enum": ["a", "b"]}}, "required": ["k"]},
    },
    "true items": {"type": "array", "items": True, "minItems": 2},
    "deep": {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "array", "minItems": 2, "items": {"type": "array", "minItems": 2,
                  "items": {"type": "array", "minItems": 2, "items": {"type": "number"}}}}
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("reading", [READING, BARE], ids=["source", "bare"])
def test_every_schema_gets_a_valid_instance(name: str, reading: Any) -> None:
    """Whatever the schema, the instance validates, survives JSON, and is the same each time."""
    schema = SCHEMAS[name]
    draft = jsonschema.Draft7Validator if "draft 7" in name else jsonschema.Draft202012Validator
    value = instance(schema, reading)
    draft(schema, format_checker=jsonschema.FormatChecker()).validate(value)
    assert json.loads(json.dumps(value)) == value
    assert instance(schema, reading) == value
    assert len(json.dumps(value)) < 200_000


@pytest.mark.parametrize("name", SCHEMAS)
def test_our_validator_agrees_with_jsonschema(name: str) -> None:
    """What `fits` says of a few values is what jsonschema says."""
    schema = SCHEMAS[name]
    draft = jsonschema.Draft7Validator if "draft 7" in name else jsonschema.Draft202012Validator
    probes = [None, True, 0, 1, 5, 7.0, "x", "abc", [], [1, True], {}, {"a": 1}, {"kind": "a"}]
    for probe in [*probes, instance(schema, READING)]:
        assert fits(probe, schema, schema) == draft(schema).is_valid(probe), probe


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_misfit_is_json_that_does_not_validate(name: str) -> None:
    """`invalid_json` finds something wrong for every schema that can be missed."""
    schema = SCHEMAS[name]
    wrong = misfit(instance(schema, READING), schema)
    draft = jsonschema.Draft7Validator if "draft 7" in name else jsonschema.Draft202012Validator
    assert wrong is None or not draft(schema).is_valid(wrong)
    assert wrong is not None or name in {"empty", "not string"}


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {}},
        {"type": "string", "minLength": 5, "maxLength": 2},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}},
                         "required": ["a"]}}, "$ref": "#/$defs/A"},
    ],
    ids=["nothing fits", "length", "forbidden", "endless"],
)  # fmt: skip
def test_a_schema_that_nothing_fits_is_refused(schema: dict[str, Any]) -> None:
    """The impossible ends in a 400 that says so, and soon."""
    began = time.process_time()
    with pytest.raises(ApiError) as caught:
        instance(schema, READING)
    assert caught.value.status == 400
    assert time.process_time() - began < 5

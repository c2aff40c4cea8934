"""A model's schema in the subset that strict mode takes, meaning the same; or not strict at all."""

import enum
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from modules.llm_services.providers.strict_schema import strict_schema
from modules.llm_services.types import JsonObject
from sandbox.strict import check

T = TypeVar("T")


class Colour(enum.Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where somebody lives."""

    street: str = Field(max_length=40, min_length=1)
    number: int = Field(ge=1, le=9999)


class Person(BaseModel):
    """Nested models, optional ones, defaults, enums, descriptions beside references."""

    name: str = Field(description="As on the door.", max_length=20)
    home: Address = Field(description="Where the letters go.")
    work: Address | None = None
    favourite: Colour = Field(Colour.RED, description="Asked politely.")
    others: list[Colour] = []
    tags: set[str] = Field(default_factory=set, max_length=3)
    born: datetime | None = None
    site: HttpUrl | None = None
    income: Decimal = Decimal(0)
    nick: str | None = Field(None, alias="nickName")


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """The other of two."""

    kind: Literal["dog"]
    tricks: list[str]


class Owner(BaseModel):
    """A discriminated union."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    wish: Cat | Dog | None


class Node(BaseModel):
    """A model inside itself, in every way that pydantic writes."""

    value: int
    first: "Node | None" = None
    rest: list["Node"] = Field(default=[], description="Further ones.")


class Left(BaseModel):
    """Two models inside each other, with words beside the reference."""

    right: "Right" = Field(description="The other one.")


class Right(BaseModel):
    """The second of them."""

    left: Left | None = Field(None, description="Back again.")
    same: "Right | None" = None


class Chain(BaseModel):
    """A reference to itself with words beside it."""

    next: "Annotated[Chain, Field(description='And on.')] | None"
    end: bool


class Box(BaseModel, Generic[T]):
    """A generic model."""

    inside: T
    spare: list[T]


class Empty(BaseModel):
    """Nothing to say."""


class Closed(BaseModel):
    """Says itself that there is nothing more."""

    model_config = ConfigDict(extra="forbid")
    properties: str = "a field that is called like a word of JSON schema"
    default: int = 0
    format: str = Field("x", json_schema_extra={"format": "uri"})


STRICT: list[tuple[type[BaseModel], JsonObject]] = [
    (
        Person,
        {
            "name": "Ann",
            "home": {"street": "High St", "number": 1},
            "work": None,
            "favourite": "blue",
            "others": ["red"],
            "tags": ["a"],
            "born": "2001-02-03T04:05:06Z",
            "site": None,
            "income": 1.5,
            "nickName": None,
        },
    ),
    (Address, {"street": "a", "number": 9999}),
    (Owner, {"pet": {"kind": "cat", "lives": 9}, "wish": {"kind": "dog", "tricks": []}}),
    (
        Node,
        {"value": 1, "first": {"value": 2, "first": None, "rest": []}, "rest": []},
    ),
    (Left, {"right": {"left": {"right": {"left": None, "same": None}}, "same": None}}),
    (Chain, {"next": {"next": None, "end": True}, "end": False}),
    (Box[int], {"inside": 1, "spare": [2]}),
    (Box[Address], {"inside": {"street": "a", "number": 1}, "spare": []}),
    (Empty, {}),
    (Closed, {"properties": "a", "default": 1, "format": "b"}),
]
strict_models = pytest.mark.parametrize(
    ("model", "answer"), STRICT, ids=[model.__name__ for model, _ in STRICT]
)


def made(model: type[BaseModel]) -> JsonObject:
    """The strict schema of a model that has one."""
    schema = strict_schema(model.model_json_schema())
    assert schema is not None
    return schema


def _parts(schema: Any) -> Iterator[JsonObject]:
    """Every schema inside a schema, and itself."""
    if isinstance(schema, list):
        for item in schema:
            yield from _parts(item)
    elif isinstance(schema, dict):
        yield schema
        for name in ("properties", "$defs"):
            yield from _parts(list(schema.get(name, {}).values()))
        for name in ("items", "anyOf", "allOf"):
            yield from _parts(schema.get(name))


@strict_models
def test_a_strict_schema_is_one(model: type[BaseModel], answer: JsonObject) -> None:
    """It is JSON schema, and it keeps each rule of strict mode."""
    schema = made(model)
    jsonschema.Draft202012Validator.check_schema(schema)
    check(schema, what="response_format", param="response_format", code="invalid_json_schema")
    for part in _parts(schema):
        assert not part.keys() & {"default", "oneOf", "discriminator"}
        assert part.keys() == {"$ref"} or "$ref" not in part


@strict_models
def test_an_answer_of_the_schema_fits_the_model(model: type[BaseModel], answer: JsonObject) -> None:
    """What strict mode lets through, the model takes; what it refuses, the schema refuses."""
    validator = jsonschema.Draft202012Validator(made(model))
    validator.validate(answer)
    model.model_validate(answer)
    assert not validator.is_valid({**answer, "surprise": 1})
    assert not answer or not validator.is_valid({})


@strict_models
def test_the_callers_schema_is_not_touched(model: type[BaseModel], answer: JsonObject) -> None:
    """The strict schema is a copy: other uses of the model's schema see it as it was."""
    schema = model.model_json_schema()
    strict_schema(schema)
    assert schema == model.model_json_schema()


def test_limits_that_strict_mode_does_not_know_are_said_in_words() -> None:
    """The model still reads them; pydantic still checks them."""
    fields = made(Person)["properties"]
    assert fields["name"]["description"] == "As on the door. (maxLength=20)"
    assert fields["tags"]["description"] == "(uniqueItems=True)"
    assert "maxLength" not in fields["name"]
    site = fields["site"]["anyOf"][0]
    assert site["description"] == "(maxLength=2083, minLength=1, format=uri)"
    assert "format" not in site


def test_limits_that_strict_mode_knows_are_kept() -> None:
    """Numbers' limits, list lengths and the known formats stay what they are."""
    fields = made(Person)["properties"]
    assert fields["tags"]["maxItems"] == 3
    assert fields["born"]["anyOf"][0]["format"] == "date-time"
    assert fields["home"]["properties"]["number"]["maximum"] == 9999


def test_a_description_beside_a_reference_is_kept() -> None:
    """What a field says about itself goes before what its class says."""
    fields = made(Person)["properties"]
    assert fields["home"]["description"] == "Where the letters go."
    assert fields["home"]["properties"]["street"]["description"] == "(maxLength=40, minLength=1)"
    assert fields["favourite"]["description"] == "Asked politely."
    assert fields["favourite"]["enum"] == ["red", "blue"]


def test_every_field_is_required_even_one_with_a_default() -> None:
    """Strict mode wants an answer for each field; a default cannot be left to the model."""
    assert made(Person)["required"] == list(made(Person)["properties"])
    assert made(Closed)["required"] == ["properties", "default", "format"]


def test_a_reference_into_itself_stays_a_reference() -> None:
    """Recursive models stay finite."""
    schema = made(Node)
    assert schema["type"] == "object"
    assert schema["properties"]["rest"]["items"] == {"$ref": "#/$defs/Node"}


class _Free(BaseModel):
    data: dict[str, int]


class _FreeInside(BaseModel):
    inner: list[_Free]


class _Untyped(BaseModel):
    data: dict[str, Any] | None


class _Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class _Pair(BaseModel):
    pair: tuple[int, str]


class _Point(NamedTuple):
    x: int
    y: int


class _Named(BaseModel):
    point: _Point


class _BareDict(BaseModel):
    data: dict  # type: ignore[type-arg]


class _Anything(BaseModel):
    data: Any


class _AnyList(BaseModel):
    data: list[Any]


@pytest.mark.parametrize(
    "model",
    [
        _Free,
        _FreeInside,
        _Untyped,
        _Extra,
        _Pair,
        _Named,
        _BareDict,
        *(pytest.param(model) for model in (_Anything, _AnyList, Box)),
    ],
    ids=lambda model: model.__name__,
)
def test_what_strict_mode_cannot_say_is_not_strict(model: type[BaseModel]) -> None:
    """Free-form objects, tuples and values of any kind are not bent into something else."""
    assert strict_schema(model.model_json_schema()) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}},
        {"type": "string"},
        {"anyOf": [{"type": "object", "properties": {}}, {"type": "null"}]},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {},
    ],
    ids=str,
)
def test_a_root_that_is_no_object_is_not_strict(schema: JsonObject) -> None:
    """Strict mode answers objects whose fields are known."""
    assert strict_schema(schema) is None


def test_a_homogeneous_tuple_is_a_list() -> None:
    """A tuple of any length with items of one kind is said like a list."""

    class _Many(BaseModel):
        numbers: tuple[int, ...]

    assert made(_Many)["properties"]["numbers"]["items"] == {"type": "integer"}


def test_words_beside_a_schema_of_all_are_copied_inside() -> None:
    """``allOf`` and lists of values are walked like everything else."""
    schema: JsonObject = {
        "type": "object",
        "properties": {"a": {"allOf": [True, {"type": "string", "default": 1, "maxLength": 3}]}},
    }
    strict = strict_schema(schema)
    assert strict is not None
    inner = strict["properties"]["a"]["allOf"][1]
    assert inner == {"type": "string", "description": "(maxLength=3)"}

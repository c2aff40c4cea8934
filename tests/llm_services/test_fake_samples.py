"""What the fake makes up fits the model that was asked for, or says that it cannot."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, Field, HttpUrl, StringConstraints

from modules.llm_services.public import LLMMessageDTO
from modules.llm_services.testing import FakeLLMServices, UnscriptedError
from modules.llm_services.testing.samples import sample, sample_json


class Colour(Enum):
    """A few of many."""

    RED = "red"
    BLUE = "blue"


def _distinct(texts: list[str]) -> list[str]:
    if len(set(texts)) < len(texts):
        raise ValueError("must differ")
    return texts


class Leaf(BaseModel):
    """Something to refer to."""

    label: Annotated[str, Field(max_length=4)]


class Node(BaseModel):
    """Something that may go on for ever."""

    value: int
    left: "Node | None"
    right: "Leaf | None"
    more: list["Node"]


class Everything(BaseModel):
    """What pydantic's schemas are made of."""

    text: Annotated[str, StringConstraints(min_length=30)]
    whole: Annotated[int, Field(ge=10, multiple_of=4)]
    above: Annotated[int, Field(gt=5)]
    below: Annotated[int, Field(lt=0)]
    most: Annotated[int, Field(le=-7)]
    real: float
    half: Annotated[float, Field(gt=0.1, lt=0.9)]
    decimal: Decimal
    flag: bool
    nothing: None
    when: datetime
    day: date
    hour: time
    span: timedelta
    key: UUID
    page: HttpUrl
    kind: Literal["only"]
    colour: Colour
    either: int | str
    leaf: Leaf
    described: Annotated[Leaf, Field(description="a leaf")]
    leaves: Annotated[list[Leaf], Field(min_length=2)]
    pair: tuple[int, str]
    words: Annotated[list[str], AfterValidator(_distinct), Field(min_length=3)]
    table: dict[str, int]
    full: Annotated[dict[str, int], Field(min_length=2)]
    anything: Any
    shown: Annotated[str, Field(examples=["as in the example"])]
    optional: int = 7


def test_it_fits_a_model_of_many_kinds() -> None:
    """Limits, formats, references, unions; the same every time; optional fields keep defaults."""
    text = sample_json(Everything)
    made = Everything.model_validate_json(text)
    assert text == sample_json(Everything)
    assert (made.shown, made.optional, made.colour) == ("as in the example", 7, Colour.RED)
    assert (made.whole, made.above, made.most) == (12, 6, -7)
    assert len(made.leaves) == len(made.full) == 2
    assert made.table == {}


def test_it_ends_where_a_model_may_go_on() -> None:
    """A tree has a few levels and then no more."""
    made = Node.model_validate_json(sample_json(Node))
    assert made.left is not None
    depth, node = 1, made.left
    while node.left is not None:
        depth, node = depth + 1, node.left
    assert depth < 5


class Endless(BaseModel):
    """Something that cannot be."""

    inner: "Endless"


class Plate(BaseModel):
    """Something that only a pattern describes."""

    plate: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{3}$")]


def _refuse(_plate: Any) -> Any:
    raise ValueError("no plate is good enough")


class Picky(BaseModel):
    """Something that nothing fits."""

    plate: Annotated[Leaf, AfterValidator(_refuse)]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Endless, "has no end"),
        (Plate, r"make up a Plate \(plate: .*answers\(Plate\(\.\.\.\)\)"),
        (Picky, r"make up a Picky \(plate: .*no plate is good enough"),
    ],
)
async def test_it_says_when_it_cannot(model: type[BaseModel], told: str) -> None:
    """The test is told what to script, and the code under test cannot take it for an outage."""
    messages = [LLMMessageDTO(role="user", content="Make one up.")]
    with FakeLLMServices() as fake, pytest.raises(UnscriptedError, match=told):
        await fake.generate_structured_response(messages, model)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "integer", "minimum": 3, "maximum": 3}, 3),
        ({"type": "number", "multipleOf": 0.25, "maximum": 0.3}, 0.25),
        ({"type": "number", "minimum": 0.7, "maximum": 0.9}, 0.9),
        ({"allOf": [{"type": "integer"}, {"minimum": 5}]}, 5),
        ({"oneOf": [{"const": "x"}, {"type": "null"}]}, "x"),
        ({"type": "object", "required": ["a"]}, {"a": "text 1"}),
        ({"type": "array", "prefixItems": [{"const": 1}], "minItems": 2}, [1, "text 1"]),
    ],
)
def test_schemas_by_themselves(schema: dict[str, Any], value: object) -> None:
    """Tools bring schemas that no model of ours stands behind."""
    assert sample(schema) == value

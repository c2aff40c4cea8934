"""Structured answers: instances of exactly the caller's class, or an error that says why not."""

import asyncio
import enum
import gc
import math
import weakref
from typing import Any, Generic, TypeVar

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    computed_field,
    field_validator,
    model_validator,
)

from modules.llm_services import arguments
from modules.llm_services.exceptions import LLMInputError, LLMValidationError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.structured import output_schema, parsed
from modules.llm_services.types import Usage

T = TypeVar("T")
USAGE = Usage(prompt_tokens=20, completion_tokens=6)


class Plain(BaseModel):
    """A plain model."""

    value: float


class Frozen(BaseModel):
    """Frozen, closed, with a private attribute."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: float
    _note: int = PrivateAttr(3)


class Open(BaseModel):
    """Takes whatever comes."""

    model_config = ConfigDict(extra="allow")
    value: float


class Watchful(BaseModel):
    """Checks assignments, too."""

    model_config = ConfigDict(validate_assignment=True)
    value: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> float:
        """Twice the value."""
        return self.value * 2


class Inner(Plain):
    """A subclass with a nested model."""

    inner: Plain
    colour: "Colour"
    spare: Plain | None = None


class Colour(enum.StrEnum):
    """A choice."""

    RED = "red"


class Renamed(BaseModel):
    """Its field has another name on the wire."""

    value: float = Field(alias="theValue")


class Box(BaseModel, Generic[T]):
    """A generic model."""

    value: T


class Moody(BaseModel):
    """Its author's validators raise whatever they like."""

    value: float

    @field_validator("value")
    @classmethod
    def _refuse(cls, value: float) -> float:
        if value == 0:
            raise ZeroDivisionError("value is zero")
        if value < 0:
            raise ValueError("value is negative")
        return value

    @model_validator(mode="after")
    def _fail(self) -> "Moody":
        if self.value > 100:
            raise RuntimeError("value is too much")
        return self


def answer(text: str, **facts: Any) -> Reply:
    """A reply as an adapter hands it on."""
    return Reply(text=text, model="gpt-5", usage=USAGE, **facts)


def misfit(model: type[BaseModel], text: str) -> LLMValidationError:
    """The error about an answer that does not fit."""
    reply = answer(text, provider_request_id="req_1", http_status=200)
    with pytest.raises(LLMValidationError) as caught:
        parsed(model, reply)
    return caught.value


@pytest.mark.parametrize(
    ("model", "text"),
    [
        pytest.param(Plain, '{"value": 1.5}', id="plain"),
        pytest.param(Plain, ' \n{"value":1.5, "unknown": [1]}\n', id="white-space-and-more"),
        pytest.param(Frozen, '{"value": 1.5}', id="frozen-private-closed"),
        pytest.param(Open, '{"value": 1.5, "more": {"a": null}}', id="open"),
        pytest.param(Watchful, '{"value": 2}', id="assignment-checked"),
        pytest.param(Inner, '{"value": 1, "inner": {"value": 2}, "colour": "red"}', id="nested"),
        pytest.param(Renamed, '{"theValue": 3}', id="alias"),
        pytest.param(Box[int], '{"value": 3}', id="generic"),
        pytest.param(Box[Plain], '{"value": {"value": 3}}', id="generic-of-a-model"),
        pytest.param(Moody, '{"value": 3}', id="validators"),
    ],
)
def test_an_answer_is_what_the_caller_would_have_built(model: type[BaseModel], text: str) -> None:
    """The instance is of exactly the caller's class and equal to one that was built directly."""
    instance = parsed(model, answer(text))
    direct = model.model_validate_json(text)
    assert type(instance) is model
    assert instance == direct
    assert vars(instance) == vars(direct)
    assert instance.model_fields_set == direct.model_fields_set
    assert instance.__pydantic_private__ == direct.__pydantic_private__
    assert instance.__pydantic_extra__ == direct.__pydantic_extra__
    assert instance.model_dump_json() == direct.model_dump_json()


def test_numbers_that_json_does_not_know_are_the_models_affair() -> None:
    """A float field may hold NaN if the model allows it, and may not if it does not."""

    class Finite(BaseModel):
        model_config = ConfigDict(allow_inf_nan=False)
        value: float

    loose = parsed(Plain, answer('{"value": NaN}'))
    assert isinstance(loose, Plain)
    assert math.isnan(loose.value)
    assert misfit(Finite, '{"value": NaN}').errors[0]["type"] == "finite_number"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "no",
        "null",
        "[]",
        '[{"value": 1}]',
        '{"value": "x"}',
        "{}",
        '{"value": 1',
        '{"value": 1} {"value": 2}',
        '{"value": ' * 500,
        "\ud800",
        '{"value": null}',
        "<html>busy</html>",
    ],
    ids=lambda text: ascii(text[:16]),
)
def test_an_answer_that_does_not_fit_says_why(text: str) -> None:
    """The error has pydantic's errors, the answer, the tokens and the ids; not the whole model."""
    error = misfit(Plain, text)
    assert error.message.startswith("the answer does not fit Plain:\n- ")
    assert error.errors
    assert all(entry.keys() == {"loc", "type", "msg"} for entry in error.errors)
    assert (error.last_text, error.usage) == (text, USAGE)
    assert (error.provider_request_id, error.status_code) == ("req_1", 200)
    assert not error.retryable


def test_the_places_of_all_misfits_are_named() -> None:
    """A model that is asked again reads where each fault is."""
    error = misfit(Inner, '{"inner": {"value": "x"}, "colour": "red"}')
    assert "- value: Field required" in error.message
    assert "- inner.value: Input should be a valid number" in error.message
    assert [entry["loc"] for entry in error.errors] == [("value",), ("inner", "value")]


def test_only_the_first_misfits_are_said() -> None:
    """A thousand faults are not sent back to the model; all of them are on the error."""

    class Many(BaseModel):
        values: list[int]

    error = misfit(Many, '{"values": [' + ",".join(['"x"'] * 500) + "]}")
    assert error.message.count("\n- ") == 20
    assert len(error.errors) == 500


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ('{"value": 0}', "ZeroDivisionError", "value is zero"),
        ('{"value": 101}', "RuntimeError", "value is too much"),
        ('{"value": -1}', "value_error", "Value error, value is negative"),
    ],
)
def test_a_validator_may_raise_anything(text: str, kind: str, said: str) -> None:
    """A validator that fails in any way means that the answer does not fit; tokens are kept."""
    error = misfit(Moody, text)
    assert error.errors[0]["type"] == kind
    assert said in error.message
    assert error.usage == USAGE


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Plain, "Plain"),
        (Box[int], "Box_int_"),
        (Box[Box[Plain]], "Box_Box_Plain__"),
        (type("Größe", (Plain,), {}), "Gr__e"),
        (type("X" * 90, (Plain,), {}), "X" * 64),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_schemas_name_is_one_that_providers_take(model: type[BaseModel], name: str) -> None:
    """Names of generic and unusual classes become letters, digits, - and _, at most 64."""
    assert (await output_schema(model)).name == name


async def test_a_schema_is_written_once() -> None:
    """Asking again for the same model gives the same schema; another model gives another."""
    first, again = await asyncio.gather(output_schema(Plain), output_schema(Plain))
    assert first == again
    assert await output_schema(Plain) is await output_schema(Plain)
    assert await output_schema(Open) != first


async def test_a_schema_does_not_keep_its_model_alive() -> None:
    """Models that are made on the fly can go when their caller forgets them."""

    def once() -> type[BaseModel]:
        class Passing(BaseModel):
            value: int

        return Passing

    model = once()
    await output_schema(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


async def test_a_schema_is_strict_where_the_model_allows_it() -> None:
    """A model with a free-form field is asked for without strict mode, with its own schema."""

    class Free(BaseModel):
        data: dict[str, int]

    assert (await output_schema(Plain)).strict
    loose = await output_schema(Free)
    assert not loose.strict
    assert loose.schema["properties"]["data"]["additionalProperties"] == {"type": "integer"}


async def test_words_of_the_author_reach_the_model() -> None:
    """Descriptions of the class and of its fields are part of the schema."""

    class Told(BaseModel):
        """What it is."""

        value: int = Field(description="Which one.")

    schema = (await output_schema(Told)).schema
    assert schema["description"] == "What it is."
    assert schema["properties"]["value"]["description"] == "Which one."


class Unwritable(BaseModel):
    """A model that no schema can describe."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    value: object
    call: type(len)  # type: ignore[valid-type]


def test_a_model_without_a_schema_is_the_callers_error() -> None:
    """A model that cannot be described is refused before anything is sent or written."""
    for _ in range(2):
        with pytest.raises(LLMInputError, match="Unwritable"):
            arguments.response_model(Unwritable)

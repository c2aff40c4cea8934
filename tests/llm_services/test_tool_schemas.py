"""Functions and Pydantic models as tools: what a model is told of them."""

import functools
import json
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, RootModel, field_validator

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.public import ToolSpec
from modules.llm_services.tooling.describing import describe
from modules.llm_services.tooling.docstrings import parameters_of, summary_of
from sandbox import Sandbox


class Booking(BaseModel):
    """A table in a restaurant."""

    name: str = Field(description="Who comes")
    seats: int = 2

    @field_validator("name")
    @classmethod
    def _no_digits(cls, name: str) -> str:
        if name == "boom":
            raise RuntimeError("odd")
        return name


class Place(BaseModel):
    """Where."""

    title: str = "Oslo"


def get_weather(
    city: str, day: date, unit: Literal["C", "F"] = "C", at: Place | None = None, json: int = 3
) -> str:
    """Say the weather.

    On a day, in a city.

    Args:
        city: the city's name,
            in English
        day (date): which day

    Returns:
        city: not this one

    """
    return f"{city} {day} {unit} {at} {json}"


def spec(**changes: Any) -> ToolSpec:
    """A good spec, changed."""
    return ToolSpec(**{"name": "a", "parameters": {"type": "object"}, **changes})


def test_a_function_becomes_a_strict_schema() -> None:
    """Names, types, descriptions and defaults arrive, and nothing that strict mode refuses."""
    [spec] = describe([get_weather])
    assert (spec.name, spec.strict, spec.function) == ("get_weather", True, get_weather)
    assert spec.description == "Say the weather.\n\nOn a day, in a city."
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "the city's name, in English"},
            "day": {"type": "string", "format": "date", "description": "which day"},
            "unit": {"type": "string", "enum": ["C", "F"], "description": '(default: "C")'},
            "at": {
                "anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}],
                "description": "(default: null)",
            },
            "json": {"type": "integer", "description": "(default: 3)"},
        },
        "$defs": {
            "Place": {
                "type": "object",
                "description": "Where.",
                "properties": {"title": {"type": "string", "description": '(default: "Oslo")'}},
                "required": ["title"],
                "additionalProperties": False,
            }
        },
        "required": ["city", "day", "unit", "at", "json"],
        "additionalProperties": False,
    }


def test_a_model_becomes_a_schema_and_a_spec_stays_one() -> None:
    """A Pydantic model is a tool by its name and docstring; who brings a spec is believed."""
    ready = ToolSpec(name="raw", parameters={"type": "object"})
    model, same = describe([Booking, ready])
    assert (model.name, model.description) == ("Booking", "A table in a restaurant.")
    assert model.model is Booking
    assert model.parameters["required"] == ["name", "seats"]
    assert same is ready


def test_what_strict_mode_cannot_say_is_said_without_it() -> None:
    """Free-form objects are described as they are; the arguments are checked all the same."""

    async def tag(labels: dict[str, int], note: Annotated[str, Field(max_length=3)] = "") -> None:
        """Tag."""

    [spec] = describe([tag])
    assert not spec.strict
    assert spec.parameters["properties"]["labels"]["additionalProperties"] == {"type": "integer"}
    assert spec.parameters["properties"]["note"]["default"] == ""

    def nothing() -> None:
        pass

    [bare] = describe([nothing])
    assert bare.strict
    assert bare.parameters["properties"] == {}


class Unit(StrEnum):
    """How to measure."""

    METRE = "m"


def test_choices_are_described() -> None:
    """An enumeration is a definition without properties."""

    def measure(unit: Unit = Unit.METRE) -> None:
        pass

    [spec] = describe([measure])
    assert spec.strict
    assert '(default: "m")' in json.dumps(spec.parameters).replace("\\", "")


def test_methods_and_callables_with_a_name_are_tools() -> None:
    """A bound method leaves out its self; what has no name asks for a spec."""

    class Clock:
        def now(self, zone: str) -> str:
            return zone

    [spec] = describe([Clock().now])
    assert list(spec.parameters["properties"]) == ["zone"]
    with pytest.raises(LLMInputError, match="has no name of its own"):
        describe([functools.partial(get_weather, "Oslo")])


def test_a_function_is_described_once_and_not_kept() -> None:
    """The schema of a function is written once; two specs share it."""
    first, second = describe([get_weather])[0], describe([get_weather])[0]
    assert first.parameters is second.parameters


def no_hint(city) -> None:  # type: ignore[no-untyped-def]
    """No type is said."""


def _stars(*cities: str) -> None:
    pass


def _stars_by_name(**cities: str) -> None:
    pass


def _positional(city: str, /) -> None:
    pass


def _object(thing: "Sandbox") -> None:
    pass


def _unknown(thing: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
    pass


def _callable(thing: Callable[[], int]) -> None:
    pass


class Numbers(RootModel[list[int]]):
    """No object."""


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (no_hint, "parameter 'city' has no type hint"),
        (_stars, "cannot be named by a model"),
        (_stars_by_name, "cannot be named by a model"),
        (_positional, "cannot be named by a model"),
        (_object, r"tools\[0\] \(_object\) has no schema"),
        (_callable, r"tools\[0\] \(_callable\) has no schema"),
        (_unknown, "type hints cannot be read"),
        (lambda: 1, "has the name '<lambda>'"),
        (BaseModel, "must be a model with fields"),
        (Numbers, "must be a model with fields"),
        (spec(name="a b"), "has the name 'a b'"),
        (spec(name="auto"), "not auto, none or required"),
        (spec(name=5), "has the name '5'"),
        (spec(description="x" * 5_000), "description must be text of at most 4096"),
        (spec(description=None), "description must be a str"),
        (spec(parameters={}), "JSON schema of type"),
        (spec(parameters=[]), "JSON schema of type"),
    ],
)
def test_what_cannot_be_a_tool_is_named(offered: Any, words: str) -> None:
    """The error says which tool of the list is wrong, and what is wrong with it."""
    with pytest.raises(LLMInputError, match=words):
        describe([offered])


def test_two_tools_need_two_names() -> None:
    """A call has to say which of them is meant."""
    with pytest.raises(LLMInputError, match=r"tools\[1\] has the name of another tool"):
        describe([spec(), spec()])


GOOGLE = """Do it.

Args:
    a: first
    b (int): second,
        and more

    *rest: others
Returns:
    c: no
"""
NUMPY = """Do it.

Parameters
----------
a : str
    first
b : int
    second
    and more

Returns
-------
c : no
"""
SPHINX = """Do it.

:param a: first
:param int b: second
    and more
:returns: nothing
    of c
not a field
:param: odd
"""


@pytest.mark.parametrize(
    ("docstring", "said"),
    [
        (GOOGLE, {"a": "first", "b": "second, and more", "rest": "others"}),
        (NUMPY, {"a": "first", "b": "second and more"}),
        (SPHINX, {"a": "first", "b": "second and more"}),
        ("Args:\n    just words\n    a: b", {"a": "b"}),
        ("", {}),
        (None, {}),
    ],
)
def test_docstrings_are_read_in_three_styles(docstring: str | None, said: dict[str, str]) -> None:
    """Google's, NumPy's and Sphinx's; other sections and odd lines are left alone."""
    assert parameters_of(docstring) == said
    assert summary_of(docstring) in {"Do it.", ""}

"""What counts as a usable answer of a model, and as a usable request of a user."""

from typing import Any

import pytest
from pydantic import ValidationError

from modules.content_creation.dto import MAX_SOURCE_CHARACTERS, NewTopicDTO
from modules.content_creation.lesson import Outline, Question, SectionText

QUESTION: dict[str, Any] = {
    "question": "What pulls?",
    "options": ["Moon", "Mars", "Venus", "Jupiter"],
    "correct_index": 3,
    "explanation": "So it is.",
}


@pytest.mark.parametrize(
    "change",
    [
        {"correct_index": 4},
        {"correct_index": -1},
        {"options": ["Moon", "Mars", "Venus"]},
        {"options": ["Moon", "Mars", "Venus", "moon"]},
        {"explanation": "  "},
    ],
)
def test_a_question_without_exactly_one_right_answer_is_refused(change: dict[str, Any]) -> None:
    """A question has four different options, and the right one is among them."""
    Question.model_validate(QUESTION)
    with pytest.raises(ValidationError):
        Question.model_validate({**QUESTION, **change})


def test_an_outline_repeats_no_objective() -> None:
    """The same objective twice is not a plan."""
    section = {"title": "One", "summary": "One."}
    with pytest.raises(ValidationError, match="different"):
        Outline.model_validate(
            {
                "title": "T",
                "learning_objectives": ["Explain", "explain"],
                "sections": [section] * 2,
            }
        )


def test_every_answer_can_be_stored() -> None:
    """What a database refuses is left out (NUL) or refused as well (halves of characters)."""
    assert SectionText(text="a\x00b", key_points=["c"]).text == "ab"
    with pytest.raises(ValidationError):
        SectionText(text="a", key_points=["c\ud800d"])


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("x" * (MAX_SOURCE_CHARACTERS + 1), "200,001 characters, at most 200,000"),
        ("PK\x03\x04\x00", "NUL"),
    ],
    ids=["empty", "blank", "long", "binary"],
)
def test_a_source_that_teaches_nothing_is_refused(source: str, complaint: str) -> None:
    """An empty, endless or binary source is refused with a reason."""
    with pytest.raises(ValidationError, match=complaint):
        NewTopicDTO(source_material=source)


def test_the_longest_source_is_taken_as_it_is() -> None:
    """The limit itself is allowed, and white space of the source stays."""
    source = " " + "x" * (MAX_SOURCE_CHARACTERS - 2) + "\n"
    assert NewTopicDTO(source_material=source).source_material == source


@pytest.mark.parametrize("title", ["", "  ", "two\nlines", "x" * 201])
def test_a_title_is_one_short_line(title: str) -> None:
    """A title that is no title is refused."""
    with pytest.raises(ValidationError):
        NewTopicDTO(source_material="text", title=title)

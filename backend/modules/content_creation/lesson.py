"""What the models are asked to answer: the descriptions go out with the schema, as instructions.

The checks are hard here, where an answer arrives and can be asked for again. What is stored is
read through the lenient classes of `dto`, so that old lessons stay readable when checks change.
Every field is required and has no default, which strict schemas ask for.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MIN_SECTIONS, MAX_SECTIONS = 2, 8
OPTIONS = 4


def _storable(text: str) -> str:
    """PostgreSQL has no NUL in text, and a model's answer may have one."""
    return text.replace("\x00", "")


_Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_storable)
]
_Line = Annotated[_Text, Field(max_length=200)]


def _distinct(texts: list[str]) -> list[str]:
    if len({text.casefold() for text in texts}) < len(texts):
        raise ValueError("must all be different")
    return texts


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class SectionPlan(_Answer):
    """One section of the lesson, before it is written."""

    title: _Line = Field(description="The section's heading, at most ten words.")
    summary: _Text = Field(description="One or two sentences: what this section explains.")


class Outline(_Answer):
    """The plan of a lesson."""

    title: _Line = Field(description="The lesson's title, at most ten words.")
    learning_objectives: Annotated[list[_Text], AfterValidator(_distinct)] = Field(
        min_length=2,
        max_length=6,
        description="What a learner can do afterwards; each begins with a verb.",
    )
    sections: list[SectionPlan] = Field(
        min_length=MIN_SECTIONS,
        max_length=MAX_SECTIONS,
        description="The sections in the order in which they should be read.",
    )


class SectionText(_Answer):
    """One section of the lesson, written out."""

    text: _Text = Field(
        description="The section's text: two to five paragraphs with a blank line between them."
    )
    key_points: list[_Text] = Field(
        min_length=1, max_length=3, description="What to remember, one short sentence each."
    )


class GlossaryEntry(_Answer):
    """A technical term and what it means."""

    term: _Line = Field(description="The term as the source writes it.")
    definition: _Text = Field(description="Its meaning in one or two plain sentences.")


class Glossary(_Answer):
    """The technical terms of the lesson."""

    terms: list[GlossaryEntry] = Field(
        min_length=1, max_length=20, description="The terms that a learner has to know."
    )


class Illustration(_Answer):
    """The lesson's picture, and what it was to show."""

    url: str
    description: str


class Link(_Answer):
    """A page that was found on the web."""

    title: _Text
    url: str
    snippet: str


class Reading(_Answer):
    """Pages to read on."""

    links: list[Link]


class Question(_Answer):
    """A multiple-choice question with one right answer."""

    question: _Text = Field(description="The question, answerable from the source alone.")
    options: Annotated[list[_Text], AfterValidator(_distinct)] = Field(
        min_length=OPTIONS,
        max_length=OPTIONS,
        description="Four different answers of similar length; exactly one of them is right.",
    )
    correct_index: int = Field(
        ge=0, lt=OPTIONS, description="Where the right answer stands in options, from 0."
    )
    explanation: _Text = Field(description="Why that answer is right, from the source.")


class QuestionSet(_Answer):
    """Questions that test the learning objectives."""

    questions: list[Question] = Field(
        min_length=3, max_length=10, description="Questions in the order of the lesson."
    )

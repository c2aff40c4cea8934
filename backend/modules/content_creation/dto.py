"""The words that the module speaks to its callers. All of them are frozen."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_SOURCE_CHARACTERS = 200_000


class Level(StrEnum):
    """How much a learner knows already."""

    BEGINNER = "beginner"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"


class PartKind(StrEnum):
    """The kinds of parts, in the order in which a lesson shows them."""

    OUTLINE = "outline"
    SECTION = "section"
    GLOSSARY = "glossary"
    QUESTIONS = "questions"
    ILLUSTRATION = "illustration"
    READING = "reading"


class PartStatus(StrEnum):
    """A ``pending`` part has not been answered yet; it is asked for again like a failed one."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class TopicStatus(StrEnum):
    """``failed``: there is no outline. ``incomplete``: some parts are missing. Both can resume."""

    GENERATING = "generating"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


def _readable_source(text: str) -> str:
    if not text.strip():
        raise ValueError("the source material is empty: send the text that the lesson is made of")
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise ValueError(
            f"the source material has {len(text):,} characters, "
            f"at most {MAX_SOURCE_CHARACTERS:,} are possible: send it in parts"
        )
    return _storable(text)


def _storable(text: str) -> str:
    """What a database can't hold: NUL on PostgreSQL, halves of surrogate pairs everywhere."""
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("the source material is no text: it holds NUL or broken characters")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a title is one line of printable characters")
    return text


_Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_line),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class NewTopicDTO(_Frozen):
    """What a lesson shall be made of. Checked before anything is stored or sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_material: Annotated[str, AfterValidator(_readable_source)] = Field(
        description=f"The text to learn from, at most {MAX_SOURCE_CHARACTERS:,} characters."
    )
    title: _Title | None = Field(
        default=None, description="The lesson's title; without it the model finds one."
    )
    level: Level = Field(default=Level.BEGINNER, description="Whom the lesson is written for.")
    illustrate: bool = Field(default=False, description="Whether a picture shall be made for it.")
    research: bool = Field(
        default=False, description="Whether pages to read on shall be searched for on the web."
    )


class SectionPlanDTO(_Frozen):
    """A section as the outline announces it."""

    title: str
    summary: str


class OutlineDTO(_Frozen):
    """The plan of a lesson."""

    title: str
    learning_objectives: tuple[str, ...]
    sections: tuple[SectionPlanDTO, ...]


class SectionDTO(SectionPlanDTO):
    """A section of the lesson. ``text`` is ``None`` as long as the section is missing."""

    text: str | None = None
    key_points: tuple[str, ...] = ()


class GlossaryEntryDTO(_Frozen):
    """A technical term and what it means."""

    term: str
    definition: str


class QuestionDTO(_Frozen):
    """A multiple-choice question; ``correct_index`` counts ``options`` from 0."""

    question: str
    options: tuple[str, ...]
    correct_index: int
    explanation: str


class IllustrationDTO(_Frozen):
    """The lesson's picture: an https, file or data URL, as the application's media are set up."""

    url: str
    description: str


class LinkDTO(_Frozen):
    """A page to read on. It was found on the web by a model and checked by nobody."""

    title: str
    url: str
    snippet: str


class PartDTO(_Frozen):
    """How one part fared. ``request_id`` is the ledger's row of its last try, failed or not.

    ``error_message`` may be shown to end users.
    """

    kind: PartKind
    position: int
    title: str | None
    status: PartStatus
    request_id: UUID | None
    error_type: str | None
    error_message: str | None


class TopicSummaryDTO(_Frozen):
    """A topic without its contents. ``title`` is ``None`` until somebody has given it one."""

    id: UUID
    user_id: UUID | None
    title: str | None
    level: Level
    status: TopicStatus
    created_at: datetime
    completed_at: datetime | None


class TopicDTO(TopicSummaryDTO):
    """A topic with its lesson, as far as there is one, and the record of its parts."""

    learning_objectives: tuple[str, ...] = ()
    sections: tuple[SectionDTO, ...] = ()
    glossary: tuple[GlossaryEntryDTO, ...] = ()
    questions: tuple[QuestionDTO, ...] = ()
    illustration: IllustrationDTO | None = None
    further_reading: tuple[LinkDTO, ...] = ()
    parts: tuple[PartDTO, ...] = ()

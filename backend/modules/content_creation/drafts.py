"""A topic while its lesson is written: what is known, what is missing, and how it is put down.

These functions work on ORM objects inside a unit of work; what they return is plain data, which
may leave it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from pydantic import BaseModel

from modules.llm_services.public import LLMError

from .dto import (
    Level,
    NewTopicDTO,
    OutlineDTO,
    PartKind,
    PartStatus,
    TopicStatus,
)
from .lesson import Outline
from .models import ContentTopic, ContentTopicPart
from .repo import TopicRepo

CLAIM_LEASE = timedelta(minutes=10)
"""How long a silent claim is believed. Every part that is put down renews it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask:
    """A part that has to be asked for. ``position`` of a section counts from 1;
    ``last_request_id`` is the request that failed to bring it.
    """

    id: UUID
    topic_id: UUID
    kind: PartKind
    position: int
    last_request_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All that a writer has to know about a topic. ``outline`` is ``None`` until it is written."""

    topic_id: UUID
    user_id: UUID | None
    title: str | None
    level: Level
    source: str
    outline: OutlineDTO | None
    missing: tuple[PartTask, ...]

    @property
    def plan(self) -> OutlineDTO:
        """The outline, for parts that follow from it."""
        if self.outline is None:
            raise ValueError(f"topic {self.topic_id} has no outline yet")
        return self.outline


def new_topic(new: NewTopicDTO, user_id: UUID | None) -> ContentTopic:
    """A topic that this request has claimed, with its outline to be written."""
    now = datetime.now(UTC)
    return ContentTopic(
        id=uuid4(),
        user_id=user_id,
        created_at=now,
        claimed_at=now,
        status=TopicStatus.INCOMPLETE,
        level=new.level,
        title=new.title,
        extras=_extras(new),
        source_material=new.source_material,
        parts=[_part(PartKind.OUTLINE, 0)],
    )


def draft_of(topic: ContentTopic) -> Draft:
    """The topic as its writer needs it."""
    outline = topic.parts[0].content
    return Draft(
        topic_id=topic.id,
        user_id=topic.user_id,
        title=topic.title,
        level=Level(topic.level),
        source=topic.source_material,
        outline=OutlineDTO.model_validate(outline) if outline else None,
        missing=tuple(_task(p) for p in topic.parts if p.status != PartStatus.COMPLETED),
    )


def put_down(repo: TopicRepo, task: PartTask, answer: BaseModel, request_id: UUID) -> None:
    """Store an answer. The outline brings the parts that it announces."""
    part = repo.part(task.id)
    if part is None or part.status == PartStatus.COMPLETED:
        return
    part.status = PartStatus.COMPLETED
    part.content = answer.model_dump(mode="json")
    part.request_id, part.error_type, part.error_message = request_id, None, None
    if isinstance(answer, Outline):
        part.topic.title = part.topic.title or answer.title
        part.topic.parts += _announced(answer, part.topic.extras or [])
    repo.renew_claim(task.topic_id, datetime.now(UTC))


def note_failure(repo: TopicRepo, task: PartTask, error: LLMError) -> None:
    """Store why a part is missing, in words that an end user may read."""
    part = repo.part(task.id)
    if part is None or part.status == PartStatus.COMPLETED:
        return
    part.status = PartStatus.FAILED
    part.request_id = error.request_id
    part.error_type, part.error_message = error.error_type, error.safe_message
    repo.renew_claim(task.topic_id, datetime.now(UTC))


def settle(topic: ContentTopic) -> None:
    """Give the claim back and say how far the lesson has come."""
    topic.claimed_at = None
    topic.status = _status_of(topic.parts)
    if topic.status == TopicStatus.COMPLETED and topic.completed_at is None:
        topic.completed_at = datetime.now(UTC)


def _status_of(parts: list[ContentTopicPart]) -> TopicStatus:
    if all(part.status == PartStatus.COMPLETED for part in parts):
        return TopicStatus.COMPLETED
    if parts[0].status == PartStatus.FAILED:
        return TopicStatus.FAILED
    return TopicStatus.INCOMPLETE


def _extras(new: NewTopicDTO) -> list[str]:
    wanted = ((PartKind.ILLUSTRATION, new.illustrate), (PartKind.READING, new.research))
    return [kind for kind, is_wanted in wanted if is_wanted]


def _announced(outline: Outline, extras: list[str]) -> list[ContentTopicPart]:
    sections = [_part(PartKind.SECTION, n, s.title) for n, s in enumerate(outline.sections, 1)]
    others = [PartKind.GLOSSARY, PartKind.QUESTIONS, *map(PartKind, extras)]
    return [*sections, *(_part(kind, n) for n, kind in enumerate(others, len(sections) + 1))]


def _part(kind: PartKind, position: int, title: str | None = None) -> ContentTopicPart:
    return ContentTopicPart(
        id=uuid4(), kind=kind, position=position, title=title, status=PartStatus.PENDING
    )


def _task(part: ContentTopicPart) -> PartTask:
    return PartTask(
        id=part.id,
        topic_id=part.topic_id,
        kind=PartKind(part.kind),
        position=part.position,
        last_request_id=part.request_id,
    )

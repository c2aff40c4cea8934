"""A topic as its reader sees it: stored parts put together into a lesson."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .drafts import CLAIM_LEASE
from .dto import (
    GlossaryEntryDTO,
    IllustrationDTO,
    LinkDTO,
    OutlineDTO,
    PartDTO,
    PartKind,
    QuestionDTO,
    SectionDTO,
    TopicDTO,
    TopicStatus,
    TopicSummaryDTO,
)
from .models import ContentTopic, ContentTopicPart


def topic_summary(topic: ContentTopic) -> TopicSummaryDTO:
    """The topic without its contents."""
    return TopicSummaryDTO(
        id=topic.id,
        user_id=topic.user_id,
        title=topic.title,
        level=topic.level,
        status=_status(topic),
        created_at=topic.created_at,
        completed_at=topic.completed_at,
    )


def topic_view(topic: ContentTopic) -> TopicDTO:
    """The topic with as much of its lesson as there is."""
    outline = topic.parts[0].content
    return TopicDTO(
        **dict(topic_summary(topic)),
        learning_objectives=outline["learning_objectives"] if outline else (),
        sections=_sections(OutlineDTO.model_validate(outline), topic.parts) if outline else (),
        glossary=tuple(map(GlossaryEntryDTO.model_validate, _items(topic, PartKind.GLOSSARY))),
        questions=tuple(map(QuestionDTO.model_validate, _items(topic, PartKind.QUESTIONS))),
        illustration=_illustration(topic),
        further_reading=tuple(map(LinkDTO.model_validate, _items(topic, PartKind.READING))),
        parts=tuple(map(PartDTO.model_validate, topic.parts)),
    )


def _status(topic: ContentTopic) -> TopicStatus:
    """A claim that nobody renewed belongs to a process that is gone: the topic can be resumed."""
    claimed = topic.claimed_at
    if claimed is not None and claimed > datetime.now(UTC) - CLAIM_LEASE:
        return TopicStatus.GENERATING
    return TopicStatus(topic.status)


def _sections(outline: OutlineDTO, parts: Iterable[ContentTopicPart]) -> tuple[SectionDTO, ...]:
    written = (part.content or {} for part in parts if part.kind == PartKind.SECTION)
    plans = (plan.model_dump() for plan in outline.sections)
    return tuple(
        SectionDTO.model_validate({**plan, **content})
        for plan, content in zip(plans, written, strict=True)
    )


_ENTRIES = {
    PartKind.GLOSSARY: "terms",
    PartKind.QUESTIONS: "questions",
    PartKind.READING: "links",
}


def _items(topic: ContentTopic, kind: PartKind) -> list[Any]:
    """The entries of a part that is a list."""
    entries: list[Any] = _content(topic, kind).get(_ENTRIES[kind], [])
    return entries


def _illustration(topic: ContentTopic) -> IllustrationDTO | None:
    content = _content(topic, PartKind.ILLUSTRATION)
    return IllustrationDTO.model_validate(content) if content else None


def _content(topic: ContentTopic, kind: PartKind) -> dict[str, Any]:
    """What a part that a lesson has at most once holds; nothing while it is missing."""
    found = (part.content for part in topic.parts if part.kind == kind and part.content)
    return next(found, {})

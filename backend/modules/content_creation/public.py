"""The module's front door: its contract, its provider, its words and its errors."""

from collections.abc import AsyncIterator
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends
from sqlalchemy.orm import Session

from modules.llm_services.public import LLMServicesProvider, llm_services_provider
from modules.shared.db import get_session

from .dto import (
    GlossaryEntryDTO,
    IllustrationDTO,
    Level,
    LinkDTO,
    NewTopicDTO,
    PartDTO,
    PartKind,
    PartStatus,
    QuestionDTO,
    SectionDTO,
    TopicDTO,
    TopicStatus,
    TopicSummaryDTO,
)
from .exceptions import (
    ContentCreationError,
    OutlineFailedError,
    TopicBusyError,
    TopicNotFoundError,
)
from .service import ContentCreationService
from .units import UnitsOfWork
from .walk_through import WalkEvent, WalkThrough


class ContentCreationProvider(Protocol):
    """Lessons out of source material."""

    async def create_topic(self, new: NewTopicDTO, user_id: UUID | None = None) -> TopicDTO:
        """Store a topic and write its lesson.

        Parts that could not be written leave it ``incomplete``; ``parts`` says which and why.
        Raises `OutlineFailedError` when there is no outline, hence no lesson at all: the topic
        is kept as ``failed``. Both can be resumed, and so can a topic whose making was cancelled.
        """
        ...

    async def resume_topic(self, topic_id: UUID, user_id: UUID | None = None) -> TopicDTO:
        """Ask for the parts that are missing, and for nothing else.

        A complete topic comes back as it is. Raises `TopicNotFoundError`, `OutlineFailedError`,
        and `TopicBusyError` while another request writes the topic.
        """
        ...

    def get_topic(self, topic_id: UUID, user_id: UUID | None = None) -> TopicDTO:
        """One topic; with ``user_id`` only if it is that user's. Raises `TopicNotFoundError`."""
        ...

    def list_topics(
        self, user_id: UUID | None = None, limit: int = 20, offset: int = 0
    ) -> list[TopicSummaryDTO]:
        """Topics without their contents, newest first; with ``user_id`` that user's only."""
        ...


class WalksThroughTopics(Protocol):
    """Topics told while they are read."""

    async def walk(self, topic_id: UUID, user_id: UUID | None = None) -> AsyncIterator[WalkEvent]:
        """The topic's source told from beginning to end, piece by piece as the model writes.

        Raises `TopicNotFoundError` before the first event. A failure of the model is the last
        event, for the reader has already begun to read.
        """
        ...


def content_creation_provider(
    session: Annotated[Session, Depends(get_session)],
    llm: Annotated[LLMServicesProvider, Depends(llm_services_provider)],
) -> ContentCreationProvider:
    """Dependency injection provider.

    The request's session only says which database is meant: see `units` for why.
    """
    return ContentCreationService(llm, UnitsOfWork(session.get_bind()))


def walk_through_provider(
    session: Annotated[Session, Depends(get_session)],
    llm: Annotated[LLMServicesProvider, Depends(llm_services_provider)],
) -> WalksThroughTopics:
    """Dependency injection provider. The session only says which database is meant."""
    return WalkThrough(llm, UnitsOfWork(session.get_bind()))


__all__ = [
    "ContentCreationError",
    "ContentCreationProvider",
    "GlossaryEntryDTO",
    "IllustrationDTO",
    "Level",
    "LinkDTO",
    "NewTopicDTO",
    "OutlineFailedError",
    "PartDTO",
    "PartKind",
    "PartStatus",
    "QuestionDTO",
    "SectionDTO",
    "TopicBusyError",
    "TopicDTO",
    "TopicNotFoundError",
    "TopicStatus",
    "TopicSummaryDTO",
    "WalkEvent",
    "WalksThroughTopics",
    "content_creation_provider",
    "walk_through_provider",
]

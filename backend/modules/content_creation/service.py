"""The use cases: make a lesson, go on with one, read one, list them."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from anyio import CapacityLimiter, create_task_group

from modules.llm_services.public import LLMError

from .drafts import (
    CLAIM_LEASE,
    Draft,
    PartTask,
    draft_of,
    new_topic,
    note_failure,
    put_down,
    settle,
)
from .dto import NewTopicDTO, TopicDTO, TopicStatus, TopicSummaryDTO
from .exceptions import (
    OutlineFailedError,
    TopicBusyError,
    TopicNotFoundError,
)
from .models import ContentTopic
from .repo import TopicRepo
from .units import UnitsOfWork
from .views import topic_summary, topic_view
from .writer import LessonModels, LessonWriter

CALLS_AT_ONCE = 4
"""Requests to models that one lesson has open at the same time."""


class ContentCreationService:
    """Implements ``ContentCreationProvider``. Every part is stored as soon as it is there."""

    def __init__(self, llm: LessonModels, units: UnitsOfWork) -> None:
        self._writer = LessonWriter(llm)
        self._units = units

    async def create_topic(self, new: NewTopicDTO, user_id: UUID | None = None) -> TopicDTO:
        """See ``ContentCreationProvider``."""
        topic_id = await self._units.run(lambda repo: repo.create(new_topic(new, user_id)).id)
        return await self._make_lesson(topic_id)

    async def resume_topic(self, topic_id: UUID, user_id: UUID | None = None) -> TopicDTO:
        """See ``ContentCreationProvider``."""
        if await self._units.run(lambda repo: _claim(repo, topic_id, user_id)):
            return await self._make_lesson(topic_id)
        return await self._units.run(lambda repo: topic_view(_found(repo, topic_id)))

    def get_topic(self, topic_id: UUID, user_id: UUID | None = None) -> TopicDTO:
        """See ``ContentCreationProvider``."""
        return self._units.run_sync(lambda repo: topic_view(_found(repo, topic_id, user_id)))

    def list_topics(
        self, user_id: UUID | None = None, limit: int = 20, offset: int = 0
    ) -> list[TopicSummaryDTO]:
        """See ``ContentCreationProvider``."""
        return self._units.run_sync(
            lambda repo: [topic_summary(topic) for topic in repo.page(user_id, limit, offset)]
        )

    async def _make_lesson(self, topic_id: UUID) -> TopicDTO:
        """Write what is missing. However this ends, the topic is given back for a resume."""
        try:
            draft = await self._draft(topic_id)
            if draft.outline is None:
                await self._write_outline(draft)
                draft = await self._draft(topic_id)
            await self._write_parts(draft)
        finally:
            await self._units.run(lambda repo: settle(_found(repo, topic_id)))
        return await self._units.run(lambda repo: topic_view(_found(repo, topic_id)))

    async def _draft(self, topic_id: UUID) -> Draft:
        return await self._units.run(lambda repo: draft_of(_found(repo, topic_id)))

    async def _write_outline(self, draft: Draft) -> None:
        try:
            await self._write(draft, draft.missing[0])
        except LLMError as error:
            raise OutlineFailedError(draft.topic_id) from error

    async def _write_parts(self, draft: Draft) -> None:
        limiter = CapacityLimiter(CALLS_AT_ONCE)
        async with create_task_group() as group:
            for part in draft.missing:
                group.start_soon(self._write_if_possible, draft, part, limiter)

    async def _write_if_possible(
        self, draft: Draft, part: PartTask, limiter: CapacityLimiter
    ) -> None:
        """One part that fails does not take the others along; why it failed is stored with it."""
        async with limiter:
            with suppress(LLMError):
                await self._write(draft, part)

    async def _write(self, draft: Draft, part: PartTask) -> None:
        try:
            answer, request_id = await self._writer.write(draft, part)
        except LLMError as error:
            failure = error
            await self._units.run(lambda repo: note_failure(repo, part, failure))
            raise
        await self._units.run(lambda repo: put_down(repo, part, answer, request_id))


def _found(repo: TopicRepo, topic_id: UUID, user_id: UUID | None = None) -> ContentTopic:
    """The topic; with ``user_id`` only if it is that user's."""
    topic = repo.by_id(topic_id)
    if topic is None or user_id not in {None, topic.user_id}:
        raise TopicNotFoundError(topic_id)
    return topic


def _claim(repo: TopicRepo, topic_id: UUID, user_id: UUID | None) -> bool:
    """Take a topic for writing; ``False`` when nothing is left to write."""
    if _found(repo, topic_id, user_id).status == TopicStatus.COMPLETED:
        return False
    now = datetime.now(UTC)
    if not repo.claim(topic_id, now=now, free_since=now - CLAIM_LEASE):
        raise TopicBusyError(topic_id)
    return True

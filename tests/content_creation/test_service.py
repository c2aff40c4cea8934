"""The use cases, with models that do as they are told and a real database."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy.pool import QueuePool

from modules.content_creation.drafts import CLAIM_LEASE
from modules.content_creation.dto import NewTopicDTO, PartKind, PartStatus, TopicDTO, TopicStatus
from modules.content_creation.exceptions import (
    OutlineFailedError,
    TopicBusyError,
    TopicNotFoundError,
)
from modules.content_creation.lesson import Glossary, Outline, QuestionSet, SectionText
from modules.content_creation.repo import TopicRepo
from modules.content_creation.service import ContentCreationService
from modules.content_creation.units import UnitsOfWork
from modules.llm_services.public import LLMRateLimitError, LLMRefusedError, LLMTimeoutError
from modules.llm_services.testing import FakeLLMServices
from modules.shared.db import get_engine
from tests.content_creation.lessons import OUTLINE, lesson_models, open_models

NEW = NewTopicDTO(source_material="The Moon pulls the water.")
EVERYTHING = [Outline, SectionText, SectionText, Glossary, QuestionSet]


@pytest.fixture
def units(database_url: str) -> Iterator[UnitsOfWork]:
    with open_models:
        yield UnitsOfWork(get_engine())


def _kinds(models: FakeLLMServices) -> list[object]:
    """What was asked for, in order."""
    return [call.response_model for call in models.calls]


def _service(models: FakeLLMServices, units: UnitsOfWork) -> ContentCreationService:
    return ContentCreationService(models, units)


def _set_claim(units: UnitsOfWork, topic_id: UUID, claimed_at: datetime) -> None:
    """Leave a topic as a process does that was killed while it wrote."""

    def work(repo: TopicRepo) -> None:
        topic = repo.by_id(topic_id)
        assert topic is not None
        topic.claimed_at = claimed_at

    units.run_sync(work)


async def _silent_at(part: type[BaseModel], units: UnitsOfWork) -> asyncio.Task[TopicDTO]:
    """Begin a lesson whose models fall silent at a part, and wait until they do."""
    models = lesson_models()
    gate = models.hangs(response_model=part)
    making = asyncio.create_task(_service(models, units).create_topic(NEW))
    await gate.reached.wait()
    return making


async def _only_topic(service: ContentCreationService) -> TopicDTO:
    [summary] = service.list_topics()
    return service.get_topic(summary.id)


async def _cancelled_at(part: type[BaseModel], units: UnitsOfWork) -> None:
    """Begin a lesson and cancel it when the models fall silent.

    Again and again, as a server does that shuts down: first the request, then every task.
    """
    making = await _silent_at(part, units)
    while not making.done():
        making.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await making


async def test_a_lesson_has_all_its_parts(units: UnitsOfWork) -> None:
    """Outline first, then every section, the glossary and the questions, each with its row's id."""
    models = lesson_models()
    topic = await _service(models, units).create_topic(NEW)
    assert topic.status is TopicStatus.COMPLETED
    assert topic.title == OUTLINE.title
    assert [section.text for section in topic.sections] == ["The Moon pulls."] * 2
    assert topic.glossary
    assert len(topic.questions) == 3
    assert _kinds(models)[0] is Outline
    assert {part.request_id for part in topic.parts} == {call.request_id for call in models.calls}


async def test_a_lesson_can_be_read_again(units: UnitsOfWork) -> None:
    """What is returned is what was stored."""
    service = _service(lesson_models(), units)
    topic = await service.create_topic(NEW)
    assert service.get_topic(topic.id) == topic


async def test_every_call_says_for_whom_and_for_what(units: UnitsOfWork) -> None:
    """User, feature, topic and part go along with each call, for the ledger."""
    models, user_id = lesson_models(), uuid4()
    topic = await _service(models, units).create_topic(NEW, user_id)
    assert {call.user_id for call in models.calls} == {user_id}
    assert {call.feature for call in models.calls} == {"content_creation"}
    assert {call.conversation_id for call in models.calls} == {str(topic.id)}
    places = [
        (call.context["part"], call.context["position"]) for call in models.calls if call.context
    ]
    assert sorted(places) == sorted((part.kind, part.position) for part in topic.parts)


async def test_the_users_title_stays(units: UnitsOfWork) -> None:
    """A given title is told to the model, and kept whatever the model makes of it."""
    models = lesson_models()
    new = NEW.model_copy(update={"title": "My Tides"})
    topic = await _service(models, units).create_topic(new)
    assert topic.title == "My Tides"
    assert '"My Tides"' in models.calls[0].prompt


async def test_one_failed_part_leaves_the_others(units: UnitsOfWork) -> None:
    """The topic is incomplete, and says which part failed, why, and in which request."""
    models = lesson_models()
    models.fails_with(LLMRefusedError, response_model=Glossary)
    topic = await _service(models, units).create_topic(NEW)
    assert topic.status is TopicStatus.INCOMPLETE
    [failed] = [part for part in topic.parts if part.status is PartStatus.FAILED]
    assert failed.kind is PartKind.GLOSSARY
    assert failed.error_type == "Refused"
    assert failed.error_message == LLMRefusedError.safe_text
    assert failed.request_id in {call.request_id for call in models.calls}
    assert all(section.text for section in topic.sections)
    assert topic.questions


async def test_resume_asks_only_for_what_is_missing(units: UnitsOfWork) -> None:
    """Parts that are there are not paid for again, and the failure is forgotten."""
    first = lesson_models()
    first.fails_with(LLMRefusedError, response_model=Glossary)
    broken = await _service(first, units).create_topic(NEW)
    second = lesson_models()
    topic = await _service(second, units).resume_topic(broken.id)
    assert _kinds(second) == [Glossary]
    assert topic.status is TopicStatus.COMPLETED
    assert {part.error_type for part in topic.parts} == {None}


async def test_a_second_failure_replaces_the_first(units: UnitsOfWork) -> None:
    """A part shows its last try."""
    first = lesson_models()
    first.fails_with(LLMRefusedError, response_model=QuestionSet)
    broken = await _service(first, units).create_topic(NEW)
    second = lesson_models()
    second.fails_with(LLMTimeoutError, response_model=QuestionSet)
    topic = await _service(second, units).resume_topic(broken.id)
    assert topic.status is TopicStatus.INCOMPLETE
    assert topic.parts[-1].error_type == "Timeout"
    assert topic.parts[-1].request_id == second.calls[0].request_id


async def test_a_complete_lesson_is_not_written_again(units: UnitsOfWork) -> None:
    """To resume what is complete costs nothing."""
    topic = await _service(lesson_models(), units).create_topic(NEW)
    idle = lesson_models()
    assert await _service(idle, units).resume_topic(topic.id) == topic
    idle.assert_not_called()


async def test_without_an_outline_nothing_else_is_asked(units: UnitsOfWork) -> None:
    """The topic is kept as failed; the error carries its id and the model's error."""
    models = lesson_models()
    models.fails_with(LLMRateLimitError, response_model=Outline)
    service = _service(models, units)
    with pytest.raises(OutlineFailedError) as caught:
        await service.create_topic(NEW)
    assert isinstance(caught.value.__cause__, LLMRateLimitError)
    assert _kinds(models) == [Outline]
    topic = service.get_topic(caught.value.topic_id)
    assert topic.status is TopicStatus.FAILED
    assert topic.parts[0].error_type == "RateLimited"
    assert topic.parts[0].request_id == models.calls[0].request_id


async def test_a_failed_topic_can_be_resumed(units: UnitsOfWork) -> None:
    """The source is stored, so that the topic's id is enough."""
    broken = lesson_models()
    broken.fails_with(LLMRateLimitError, response_model=Outline)
    with pytest.raises(OutlineFailedError) as caught:
        await _service(broken, units).create_topic(NEW)
    models = lesson_models()
    topic = await _service(models, units).resume_topic(caught.value.topic_id)
    assert topic.status is TopicStatus.COMPLETED
    assert sorted(map(str, _kinds(models))) == sorted(map(str, EVERYTHING))


async def test_a_cancelled_lesson_can_be_resumed(units: UnitsOfWork) -> None:
    """What was written before the cancellation stays, and the topic is free at once."""
    await _cancelled_at(SectionText, units)
    models = lesson_models()
    service = _service(models, units)
    left = await _only_topic(service)
    assert left.status is TopicStatus.INCOMPLETE
    assert left.learning_objectives
    topic = await service.resume_topic(left.id)
    assert topic.status is TopicStatus.COMPLETED
    assert Outline not in _kinds(models)
    assert _kinds(models).count(SectionText) == 2


async def test_a_lesson_cancelled_at_its_outline_can_be_resumed(units: UnitsOfWork) -> None:
    """Nothing was written, nothing failed: the topic is incomplete, not failed."""
    await _cancelled_at(Outline, units)
    service = _service(lesson_models(), units)
    left = await _only_topic(service)
    assert left.status is TopicStatus.INCOMPLETE
    assert (await service.resume_topic(left.id)).status is TopicStatus.COMPLETED


async def test_two_requests_do_not_write_the_same_lesson(units: UnitsOfWork) -> None:
    """While one request writes, the topic is shown as generating and a resume is refused."""
    making = await _silent_at(Outline, units)
    idle = lesson_models()
    service = _service(idle, units)
    topic = await _only_topic(service)
    assert topic.status is TopicStatus.GENERATING
    with pytest.raises(TopicBusyError):
        await service.resume_topic(topic.id)
    idle.assert_not_called()
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)


async def test_a_killed_process_does_not_keep_its_topic(units: UnitsOfWork) -> None:
    """A claim that nobody renews runs out, and then the topic can be resumed."""
    await _cancelled_at(SectionText, units)
    service = _service(lesson_models(), units)
    topic_id = (await _only_topic(service)).id
    _set_claim(units, topic_id, datetime.now(UTC) - CLAIM_LEASE / 2)
    with pytest.raises(TopicBusyError):
        await service.resume_topic(topic_id)
    _set_claim(units, topic_id, datetime.now(UTC) - CLAIM_LEASE - timedelta(seconds=1))
    assert service.get_topic(topic_id).status is TopicStatus.INCOMPLETE
    assert (await service.resume_topic(topic_id)).status is TopicStatus.COMPLETED


async def test_no_connection_is_held_while_a_model_thinks(units: UnitsOfWork) -> None:
    """Between its units of work a lesson has no session, hence no transaction and no connection."""
    making = await _silent_at(Outline, units)
    pool = get_engine().pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 0
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)


async def test_a_topic_is_its_users_own(units: UnitsOfWork) -> None:
    """Another user can neither read nor resume it, and is told that it does not exist."""
    owner, stranger = uuid4(), uuid4()
    service = _service(lesson_models(), units)
    topic = await service.create_topic(NEW, owner)
    assert service.get_topic(topic.id, owner).user_id == owner
    with pytest.raises(TopicNotFoundError):
        service.get_topic(topic.id, stranger)
    with pytest.raises(TopicNotFoundError):
        await service.resume_topic(topic.id, stranger)
    assert service.list_topics(stranger) == []
    assert [found.id for found in service.list_topics(owner)] == [topic.id]


async def test_lists_are_newest_first_and_in_pages(units: UnitsOfWork) -> None:
    """A page holds at most ``limit`` topics, after ``offset`` newer ones."""
    service = _service(lesson_models(), units)
    made = [(await service.create_topic(NEW)).id for _ in range(3)]
    assert [topic.id for topic in service.list_topics()] == made[::-1]
    assert [topic.id for topic in service.list_topics(limit=1, offset=1)] == [made[1]]

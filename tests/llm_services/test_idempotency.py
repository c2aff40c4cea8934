"""A call with an idempotency key is paid for once, whoever makes it again, and wherever."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import text, update

from modules.content_creation.dto import NewTopicDTO, TopicStatus
from modules.content_creation.service import ContentCreationService
from modules.content_creation.units import UnitsOfWork
from modules.llm_services.exceptions import (
    LLMIdempotencyError,
    LLMInputError,
    LLMRecordingError,
    LLMRefusedError,
    LLMTimeoutError,
)
from modules.llm_services.executor import Executor
from modules.llm_services.idempotency import Once, Settled
from modules.llm_services.models import LLMRequest
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.public import (
    BatchRequest,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)
from modules.llm_services.recording import (
    GuardedOpening,
    KeyLedger,
    LedgerWriter,
    Outcome,
    PayloadPolicy,
    Recorder,
    ledger_engine,
)
from modules.llm_services.types import Attribution, Call
from modules.shared.db import get_engine
from sandbox import Sandbox
from sandbox.audio import to_wav
from tests.llm_services.test_recording import a_call, answer
from tests.support.ledger import rows, statuses

ROOT = Path(__file__).resolve().parents[2]
ASK = [LLMMessageDTO(role="user", content="Tell me about Mars and its moons.")]


class Planet(BaseModel):
    """A planet."""

    name: str


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The module on a fresh database, with the sandbox as its vendor."""
    async with open_llm_services() as services:
        yield services


class Road:
    """The road with keys, on the test's database, and how often it was gone."""

    def __init__(self, policy: PayloadPolicy | None = None, patience: float = 20) -> None:
        engine = ledger_engine(get_engine(), patience)
        self.writer, self.guarded = LedgerWriter(engine), GuardedOpening(engine)
        recorder = Recorder(self.writer, patience=patience, policy=policy, guarded=self.guarded)
        self.executor = Executor(recorder, PriceList())
        self.once = Once(KeyLedger(engine))
        self.sent = 0
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None

    async def invoke(self, call: Call, attempt: Attempt) -> Reply:
        """One request to a vendor that answers when it is told to."""
        self.sent += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return await answer(call, attempt)

    async def run(self, call: Call) -> tuple[Outcome, UUID]:
        """Make a call."""

        async def ask(call: Call) -> Outcome:
            return await self.executor.run(call, self.invoke)

        return await self.once(call, ask, Settled.outcome)

    async def close(self) -> None:
        """Let everything be written."""
        await asyncio.to_thread(self.guarded.close)
        await asyncio.to_thread(self.writer.close)


@pytest.fixture
async def road(database_url: str) -> AsyncIterator[Road]:
    """The road on the test's database."""
    made = Road()
    yield made
    await made.close()


def keyed(key: str = "job 1", **changes: Any) -> Call:
    """A call with a key."""
    return a_call(idempotency_key=key, **changes)


async def test_the_same_request_is_answered_from_the_ledger(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """The same key again gets the same answer, tokens, cost and request id; nothing is sent."""
    first, request_id = await llm.generate_response(ASK, idempotency_key="job 1")
    again, same_id = await llm.generate_response(ASK, idempotency_key="job 1")
    assert same_id == request_id
    assert again == first.model_copy(update={"execution_time_ms": again.execution_time_ms})
    assert again.tokens_used
    assert len(vendor.journal()) == len(rows()) == 1
    assert len(rows()[0]["idempotency_key"]) == 64  # a hash: the key itself may name somebody
    await llm.generate_response(ASK, idempotency_key="job 2")
    assert len(vendor.journal()) == 2


async def test_objects_and_calls_of_tools_come_again(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """An object is validated anew, and calls of tools are the ones that were asked for."""
    planet, one = await llm.generate_structured_response(ASK, Planet, idempotency_key="object")
    same, two = await llm.generate_structured_response(ASK, Planet, idempotency_key="object")
    assert (planet, one) == (same, two)
    wish = [LLMMessageDTO(role="user", content="Call weather for Oslo.")]
    asked, three = await llm.generate_response(wish, tools=[weather], idempotency_key="tool")
    again, four = await llm.generate_response(wish, tools=[weather], idempotency_key="tool")
    assert asked.tool_calls == again.tool_calls != ()
    assert three == four
    assert len(vendor.journal()) == 2


async def test_rounds_of_tools_come_again(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Each round that was paid for comes from the ledger, as long as tools say the same."""
    wish = [LLMMessageDTO(role="user", content="Call weather for Oslo.")]
    run, _ = await llm.run_tools(wish, [weather], model="gpt-4o", idempotency_key="run")
    sent = len(vendor.journal())
    again, _ = await llm.run_tools(wish, [weather], model="gpt-4o", idempotency_key="run")
    assert run.request_ids == again.request_ids
    assert len(vendor.journal()) == sent == len(run.request_ids) > 1


async def test_searches_transcripts_and_pictures_come_again(
    llm: LLMServicesProvider, vendor: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages with their citations, a transcript and a kept picture's URL, each from its row."""
    pages = [await llm.search_web(["lava", "ash"], idempotency_key="s") for _ in range(2)]
    heard = [
        await llm.transcribe_audio(to_wav(bytes(48_000)), idempotency_key="t") for _ in range(2)
    ]
    sent = len(vendor.journal())
    assert pages[0] == pages[1]
    assert heard[0] == heard[1]
    assert sent == 3
    monkeypatch.setenv("LLM_MEDIA_DIR", str(tmp_path))
    async with open_llm_services() as other:
        urls = [await other.generate_image("Mars", idempotency_key="i") for _ in range(2)]
    assert urls[0] == urls[1]
    assert len(vendor.journal()) == 4


async def test_what_the_ledger_does_not_hold_is_not_paid_for_again(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Sound, vectors, a picture without a folder and withheld answers: told so, nothing sent."""

    async def ask() -> None:
        await llm.generate_embeddings(["Mars"], idempotency_key="v")

    async def withheld() -> None:
        await llm.generate_response(ASK, idempotency_key="w", payload_mode="none")

    async def speak() -> None:
        await llm.generate_audio("Mars.", idempotency_key="a")

    async def draw() -> None:
        await llm.generate_image("Mars", idempotency_key="p")

    for one in (ask, withheld, speak, draw):
        await one()
        sent = len(vendor.journal())
        with pytest.raises(LLMIdempotencyError, match="answered and paid for") as caught:
            await one()
        assert str(caught.value.request_id) in caught.value.message
        assert len(vendor.journal()) == sent
    with pytest.raises(LLMIdempotencyError, match="something else"):
        await llm.generate_embeddings(["Venus"], idempotency_key="v")
    assert set(statuses()) == {"completed"}


async def test_streams_and_batches_take_no_key(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """They say so instead of ignoring it."""
    with pytest.raises(LLMInputError, match="a stream takes none"):
        async with llm.stream_response(ASK, idempotency_key="job"):
            pass
    with pytest.raises(LLMInputError, match="unknown keyword parameter 'idempotency_key'"):
        await llm.submit_batch([BatchRequest(messages=ASK)], idempotency_key="job")  # type: ignore[call-arg]
    with pytest.raises(LLMInputError, match="idempotency_key must be text of 1 to 200"):
        await llm.generate_response(ASK, idempotency_key="k" * 201)
    assert vendor.journal() == []
    assert rows() == []


async def test_another_request_with_the_key_is_refused(road: Road) -> None:
    """Nothing is sent, and the error names the request that has the key."""
    _, first = await road.run(keyed())
    with pytest.raises(LLMIdempotencyError, match="something else") as caught:
        await road.run(keyed(parameters={"max_tokens": 7}))
    assert caught.value.request_id == first
    assert not caught.value.retryable
    assert road.sent == 1


async def test_a_key_belongs_to_its_user_and_tenant(road: Road) -> None:
    """The same key of others is another key."""
    for owner in (
        Attribution(),
        Attribution(user_id=uuid4()),
        Attribution(tenant="a"),
        Attribution(tenant="b"),
    ):
        await road.run(keyed(attribution=owner))
    assert road.sent == 4


async def test_one_that_is_under_way_is_waited_for(road: Road) -> None:
    """Ten at once are one request to the vendor; all get its answer."""
    road.go.clear()
    calls = [asyncio.create_task(road.run(keyed())) for _ in range(10)]
    async with asyncio.timeout(30):
        while not road.sent:  # noqa: ASYNC110 - the row is opened in a thread
            await asyncio.sleep(0.01)
    road.go.set()
    results = await asyncio.gather(*calls)
    assert len({request_id for _, request_id in results}) == 1
    assert {outcome.reply.text for outcome, _ in results} == {results[0][0].reply.text}
    assert road.sent == len(rows()) == 1


async def test_waiting_has_an_end(road: Road) -> None:
    """Who waits has its own deadline, and learns for whom it waited."""
    road.go.clear()
    first = asyncio.create_task(road.run(keyed()))
    async with asyncio.timeout(30):
        while not road.sent:  # noqa: ASYNC110 - the row is opened in a thread
            await asyncio.sleep(0.01)
    with pytest.raises(LLMTimeoutError, match="same idempotency_key") as caught:
        await road.run(keyed(timeout=0.2))
    road.go.set()
    assert (await first)[1] == caught.value.request_id
    assert caught.value.retryable


async def test_one_that_failed_is_made_anew(road: Road) -> None:
    """The key moves on to a row of its own, and stays on the failed one to link them."""
    road.error = LLMRefusedError("no")
    with pytest.raises(LLMRefusedError):
        await road.run(keyed())
    road.error = None
    _, second = await road.run(keyed())
    assert (await road.run(keyed()))[1] == second
    assert road.sent == 2
    assert [row["status"] for row in rows()] == ["failed", "completed"]
    assert len({row["idempotency_key"] for row in rows()}) == 1


async def test_who_waits_takes_over_when_the_first_fails(road: Road) -> None:
    """The failure is the first caller's; the second one's call is made."""
    road.go.clear()
    first = asyncio.create_task(road.run(keyed()))
    async with asyncio.timeout(30):
        while not road.sent:  # noqa: ASYNC110 - the row is opened in a thread
            await asyncio.sleep(0.01)
    second = asyncio.create_task(road.run(keyed()))
    await asyncio.sleep(0.1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    road.go.set()
    await second
    assert statuses() == ["cancelled", "completed"]


async def test_a_late_answer_leaves_the_key_to_its_successor(road: Road) -> None:
    """A row that was given up keeps its late answer; the key stays with who took it over."""
    road.go.clear()
    late = asyncio.create_task(road.run(keyed()))
    async with asyncio.timeout(30):
        while not road.sent:  # noqa: ASYNC110 - the row is opened in a thread
            await asyncio.sleep(0.01)
    with get_engine().begin() as connection:
        given_up = update(LLMRequest).values(status="failed", error_type="Interrupted")
        connection.execute(given_up)
    road.go.set()
    _, successor = await road.run(keyed())
    _, first = await late
    assert first != successor
    assert statuses() == ["completed", "completed"]
    assert [row["idempotency_key"] is None for row in rows()] == [True, False]
    assert (await road.run(keyed()))[1] == successor


async def test_an_answer_that_was_cut_is_not_whole(database_url: str) -> None:
    """What cleaning changed is not given out as what was said; nor is what was purged."""
    road = Road(PayloadPolicy(max_chars=5))
    await road.run(keyed())
    with pytest.raises(LLMIdempotencyError, match="payload_state truncated"):
        await road.run(keyed())
    await road.close()


@pytest.mark.parametrize("how", ["late", "cancelled"])
async def test_a_row_that_comes_too_late_is_closed(
    database_url: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is slow to open the row: nothing is sent, and no row stays open."""
    road = Road(patience=0.5)
    blocked = get_engine().connect()
    if blocked.dialect.name == "sqlite":
        blocked.execute(text("BEGIN IMMEDIATE"))
    else:
        blocked.execute(text("LOCK TABLE llm_requests IN ACCESS EXCLUSIVE MODE"))
    task = asyncio.create_task(road.run(keyed()))
    if how == "cancelled":
        await asyncio.sleep(0.1)
        task.cancel()
    with pytest.raises((LLMRecordingError, asyncio.CancelledError)):
        await task
    blocked.rollback()
    blocked.close()
    await road.close()
    assert road.sent == 0
    assert "pending" not in statuses()


async def test_a_database_that_is_away_cannot_be_asked(database_url: str, road: Road) -> None:
    """Without the ledger nobody knows what was paid for: the call is refused, retryable."""
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE llm_requests RENAME TO away"))
    with pytest.raises(LLMRecordingError, match="paid for before") as caught:
        await road.run(keyed())
    assert caught.value.retryable
    with pytest.raises(LLMRecordingError, match="who has the idempotency_key"):
        await KeyLedger(get_engine()).living_row("key")
    assert road.sent == 0


async def test_opening_twice_changes_nothing(road: Road) -> None:
    """A commit whose outcome nobody heard may be tried again: the row is the caller's."""
    opened = []

    async def ask(call: Call) -> Outcome:
        opened.append(call)
        return await road.executor.run(call, road.invoke)

    call = keyed()
    await road.once(call, ask, Settled.outcome)
    with get_engine().begin() as connection:
        connection.execute(update(LLMRequest).values(status="pending"))
    await road.executor.run(replace(opened[0]), road.invoke)
    assert len(rows()) == 1


SCRIPT = """
    import asyncio
    from modules.llm_services.public import LLMMessageDTO, open_llm_services

    async def main():
        message = LLMMessageDTO(role="user", content="Tell me about Mars.")
        async with open_llm_services() as llm:
            calls = [
                llm.generate_response([message], model="openai:gpt-4o:slow=1", idempotency_key="k")
                for _ in range(10)
            ]
            answers = await asyncio.gather(*calls)
        print(*{request_id for _, request_id in answers})

    asyncio.run(main())
"""


def test_two_processes_pay_once(database_url: str, vendor: Sandbox) -> None:
    """Ten calls in each of two processes with one key: one request, one row, one answer."""
    del database_url  # the scripts find it in the environment
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend")}
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as two,
    ):
        said = {process.communicate(timeout=100)[0].strip() for process in (one, two)}
    [row] = rows()
    assert said == {str(UUID(str(row["id"])))}
    assert len(vendor.journal()) == 1


async def test_a_lesson_that_broke_off_is_not_paid_for_again(
    database_url: str, vendor: Sandbox
) -> None:
    """A process that ends before it puts parts down: whoever resumes gets them from the ledger."""
    del database_url
    units = UnitsOfWork(get_engine())
    new = NewTopicDTO(source_material="The Moon pulls the water. Tides come and go.")
    async with open_llm_services() as llm:
        service = ContentCreationService(llm, units)
        topic = await service.create_topic(new)
        sent = len(vendor.journal())
        with get_engine().begin() as connection:
            lost = "UPDATE content_topic_parts SET status = 'missing', request_id = NULL"
            connection.execute(text(f"{lost} WHERE kind <> 'outline'"))
            connection.execute(text("UPDATE content_topics SET status = 'incomplete'"))
        again = await service.resume_topic(topic.id)
    assert again.status == TopicStatus.COMPLETED
    assert again.sections == topic.sections
    assert len(vendor.journal()) == sent == len(rows())

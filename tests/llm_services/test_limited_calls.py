"""Limits on the road: every kind of call keeps them, and what waits too long sends nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from modules.llm_services.exceptions import (
    LLMError,
    LLMOverloadedError,
    LLMRateLimitError,
)
from modules.llm_services.limits import Line
from modules.llm_services.public import (
    BatchRequest,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)
from modules.llm_services.wiring import runtime_of
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import until
from tests.support.ledger import rows, statuses

HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
SLOW = "openai:sandbox-fault:slow=30"
ONE_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def llm(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesProvider]:
    """The provider, with one place for each model and one that may wait."""
    monkeypatch.setenv("LLM_LIMITS", '{"openai": {"concurrency": 1}}')
    monkeypatch.setenv("LLM_QUEUE_LIMIT", "1")
    async with open_llm_services() as provider:
        yield provider


def line(model: str) -> Line:
    """The line of a model of this test's runtime."""
    return runtime_of(get_engine()).gate.limits.line("openai", model.removeprefix("openai:"))


async def ask(llm: LLMServicesProvider, model: str = SLOW, **options: Any) -> LLMError | None:
    """One call; its error, if it has one."""
    try:
        await llm.generate_response(HELLO, model=model, **{"max_retries": 0, **options})
    except LLMError as error:
        return error
    return None


async def gone(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and see them end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_no_room_is_a_failed_row(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """A full queue fails at once, a wait at the deadline: nothing sent, and the rows say so."""
    first = asyncio.create_task(ask(llm))
    await until(lambda: len(vendor.journal()) == 1)
    waiting = asyncio.create_task(ask(llm, timeout=3))
    await until(lambda: line(SLOW).waiting == 1)
    too_many = await ask(llm)
    too_late = await waiting
    assert isinstance(too_many, LLMOverloadedError)
    assert "LLM_QUEUE_LIMIT" in str(too_many)
    assert isinstance(too_late, LLMOverloadedError)
    assert "deadline" in str(too_late)
    await gone(first)
    assert len(vendor.journal()) == 1
    ended = rows("error_type = 'Overloaded'")
    assert len(ended) == 2
    for row in ended:
        assert (row["status"], bool(row["maybe_paid"])) == ("failed", False)
        assert row["attempts"] in ([], "[]")
        assert row["retry_attempt"] == 0


@ONE_SQLITE
async def test_a_caller_that_goes_away_frees_its_place(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """While it waits in line, and while the provider is at work: the next one is served."""
    model = "openai:sandbox-fault:slow=30,times=1"
    first = asyncio.create_task(ask(llm, model))
    await until(lambda: len(vendor.journal()) == 1)
    waiting = asyncio.create_task(ask(llm, model))
    await until(lambda: line(model).waiting == 1)
    await gone(waiting)
    assert (line(model).held, line(model).waiting) == (1, 0)
    await gone(first)
    assert (line(model).held, line(model).waiting) == (0, 0)
    assert statuses() == ["cancelled", "cancelled"]
    assert await ask(llm, "openai:gpt-6-luna") is None


@ONE_SQLITE
async def test_a_stream_holds_its_place_until_it_is_closed(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Read to the end, left early, broken or cancelled: a place is held meanwhile, and given back
    once.
    """
    model = "openai:gpt-6-luna"
    async with llm.stream_response(HELLO, model=model) as stream:
        assert [piece async for piece in stream.text()]
        assert line(model).held == 1
        assert isinstance(await ask(llm, model, timeout=0.2), LLMOverloadedError)
    assert line(model).held == 0
    async with llm.stream_response(HELLO, model=model) as stream:
        await anext(aiter(stream))
    assert line(model).held == 0
    cut = "openai:gpt-6-luna:cut=2"
    with pytest.raises(LLMError):
        async with llm.stream_response(HELLO, model=cut, max_retries=0) as stream:
            _ = [piece async for piece in stream]
    assert line(cut).held == 0

    async def read() -> None:
        async with llm.stream_response(HELLO, model="openai:gpt-6-luna:drip=20") as stream:
            _ = [piece async for piece in stream]

    reading = asyncio.create_task(read())
    await until(lambda: line("gpt-6-luna:drip=20").held == 1)
    await gone(reading)
    assert line("gpt-6-luna:drip=20").held == 0
    assert await ask(llm, model) is None


@ONE_SQLITE
async def test_every_part_takes_a_place(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Queries of one call go one after the other where there is one place, and the queue of one
    is what the third finds full.
    """
    with pytest.raises(LLMOverloadedError):
        await llm.generate_embeddings(
            ["word " * 2_000] * 300, model="openai:text-embedding-3-small:slow=1"
        )
    answers, _ = await llm.search_answers(["a", "b"], model="openai:gpt-6-luna")
    assert [answer.error for answer in answers] == [None, None]
    assert line("gpt-6-luna").held == 0


@ONE_SQLITE
async def test_batches_pass_freely(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """An upload asks no model: it does not wait for those that do."""
    first = asyncio.create_task(ask(llm))
    await until(lambda: len(vendor.journal()) == 1)
    waiting = asyncio.create_task(ask(llm))
    await until(lambda: line(SLOW).waiting == 1)
    batch = await llm.submit_batch([BatchRequest(messages=HELLO)], model=SLOW)
    assert batch.id
    await gone(first, waiting)


@ONE_SQLITE
async def test_a_retry_that_finds_no_room_fails_with_what_it_met(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """The provider's word says more than that a place was missing."""
    model = "openai:sandbox-fault:status=429,retry_after_ms=200"
    first = asyncio.create_task(ask(llm, model, max_retries=1, timeout=20))
    await until(lambda: len(vendor.journal()) == 1)
    line(model).pause(30)
    error = await first
    assert isinstance(error, LLMRateLimitError)
    [row] = rows()
    assert (row["error_type"], row["retry_attempt"]) == ("RateLimited", 1)


@ONE_SQLITE
async def test_answers_teach(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an answer says of its limits is heard, whether it is one, and streamed or not."""
    monkeypatch.delenv("LLM_LIMITS", raising=False)
    async with open_llm_services() as llm:
        for model in ("openai:gpt-6-luna", "openai:gpt-4o"):
            assert not line(model).counts_tokens
            if model.endswith("luna"):
                await ask(llm, model)
            else:
                async with llm.stream_response(HELLO, model=model) as stream:
                    assert line(model).counts_tokens
                    _ = [piece async for piece in stream]
            assert line(model).counts_tokens


@ONE_SQLITE
async def test_tokens_are_counted_as_reported(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer shorter than its cap leaves room for the next call."""
    monkeypatch.setenv("LLM_LIMITS", json.dumps({"openai:*": {"tpm": 1_500}}))
    async with open_llm_services() as llm:
        for _ in range(3):
            assert await ask(llm, "openai:gpt-6-luna", max_tokens=1_000, timeout=10) is None
        error = await ask(llm, "openai:gpt-6-luna", max_tokens=1_490, timeout=10)
    assert isinstance(error, LLMOverloadedError)

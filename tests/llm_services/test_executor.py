"""The road's own promises: parts of one call, and what is never sent twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMError,
    LLMProviderError,
    LLMTimeoutError,
)
from modules.llm_services.executor import Executor, Invoke
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.recording import LedgerWriter, Recorder, ledger_engine
from modules.llm_services.types import Call, Usage
from modules.shared.db import get_engine
from tests.llm_services.test_recording import a_call, answer, never
from tests.support.ledger import rows


@pytest.fixture
async def executor(database_url: str) -> AsyncIterator[Executor]:
    """The road on the test's database."""
    writer = LedgerWriter(ledger_engine(get_engine(), 20), patience=20)
    yield Executor(Recorder(writer, patience=20), PriceList())
    await asyncio.to_thread(writer.close)


async def test_parts_of_one_call_share_its_row(executor: Executor) -> None:
    """Several requests side by side are one row: attempts, tokens and texts of all of them."""

    details = {"a": {"input_tokens": 10}, "b": None, "c": {"input_tokens": 11}}

    def part(name: str) -> Invoke:
        async def invoke(call: Call, attempt: Attempt) -> Reply:
            return replace(
                await answer(call, attempt),
                text=name,
                raw={"part": name},
                usage_details=details[name],
            )

        return invoke

    replies = await executor.run_parts(a_call(), [part("a"), part("b"), part("c")], at_once=2)
    assert [reply.text for reply in replies] == ["a", "b", "c"]
    [row] = rows()
    assert (row["status"], row["retry_attempt"], row["prompt_tokens"]) == ("completed", 3, 30)
    assert row["response_content"] == "a\n\nb\n\nc"
    assert _json(row["usage_details"]) == {"parts": [details[name] for name in "abc"]}
    await executor.run_parts(a_call(), [part("a")])
    await executor.run_parts(a_call(), [part("b"), part("b")])
    said = [_json(row["usage_details"]) for row in rows()[1:]]
    assert said == [details["a"], None]  # one part stays as it is, and nothing is nothing


def _json(stored: object) -> object:
    """A JSON column as text() reads it: text on SQLite, an object on PostgreSQL."""
    return json.loads(stored) if isinstance(stored, str) else stored


async def test_a_part_that_fails_ends_the_others(executor: Executor) -> None:
    """One part that fails for good fails the call, and what was under way may have been paid."""

    async def fail(call: Call, attempt: Attempt) -> Reply:
        raise LLMProviderError("no", retryable=False)

    with pytest.raises(LLMProviderError, match="no"):
        await executor.run_parts(a_call(), [never, fail])
    [row] = rows()
    assert (row["status"], row["retry_attempt"]) == ("failed", 2)
    assert row["maybe_paid"]


async def test_parts_that_were_answered_are_on_the_error(executor: Executor) -> None:
    """Half of the vectors are no use, but error and row know what they have cost."""
    answered = asyncio.Event()

    async def first(call: Call, attempt: Attempt) -> Reply:
        reply = await answer(call, attempt)
        asyncio.get_running_loop().call_soon(answered.set)
        return reply

    async def second(call: Call, attempt: Attempt) -> Reply:
        await answered.wait()
        raise LLMBadRequestError("no", usage=Usage(prompt_tokens=5, completion_tokens=0))

    with pytest.raises(LLMBadRequestError) as caught:
        await executor.run_parts(a_call(), [first, second])
    [row] = rows()
    assert caught.value.usage is not None
    assert caught.value.usage.prompt_tokens == row["prompt_tokens"] == 15
    assert caught.value.cost is not None
    assert float(caught.value.cost) == row["cost_estimate"] > 0
    assert not row["maybe_paid"]


def failing(error: LLMError) -> Invoke:
    """A part that fails for good."""

    async def invoke(call: Call, attempt: Attempt) -> Reply:
        raise error

    return invoke


async def test_parts_apart_keep_what_was_paid(executor: Executor) -> None:
    """A part's error stands in its place, and the row is completed and says what is missing."""
    lost = LLMProviderError("key sk-abcdef123456", retryable=False, maybe_billed=True)
    parts = [failing(lost), answer, failing(LLMBadRequestError("no")), answer]
    outcomes = await executor.run_apart(a_call(), parts, at_once=2)
    assert [type(one).__name__ for one in outcomes] == [
        "LLMProviderError", "Reply", "LLMBadRequestError", "Reply",
    ]  # fmt: skip
    [row] = rows()
    assert (row["status"], row["error_type"], row["prompt_tokens"]) == ("completed", None, 20)
    assert row["error_message"] == (
        "2 of 4 parts failed: part 1: ProviderError: key ***; part 3: BadRequest: no"
    )
    assert row["maybe_paid"]
    attempts = json.loads(row["attempts"]) if isinstance(row["attempts"], str) else row["attempts"]
    assert sorted((one["part"], one["outcome"]) for one in attempts) == [
        (1, "ProviderError"), (2, "answered"), (3, "BadRequest"), (4, "answered"),
    ]  # fmt: skip


async def test_parts_apart_fail_when_all_do(executor: Executor) -> None:
    """The first error comes out, and has the row's id."""
    call = a_call()
    parts = [failing(LLMProviderError(word, retryable=False)) for word in ("first", "second")]
    with pytest.raises(LLMProviderError, match="first") as caught:
        await executor.run_apart(call, parts)
    assert caught.value.request_id == call.id
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", "ProviderError")


async def test_what_fails_every_part_is_sent_once(executor: Executor) -> None:
    """A wrong key is not tried on a hundred parts; it is what the call fails with."""
    parts = [
        failing(LLMProviderError("odd", retryable=False)),
        failing(LLMAuthenticationError("no")),
        *[answer] * 98,
    ]
    with pytest.raises(LLMAuthenticationError):
        await executor.run_apart(a_call(), parts, at_once=1)
    [row] = rows()
    assert (row["error_type"], row["retry_attempt"]) == ("Authentication", 2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_parts_apart_have_one_deadline(executor: Executor) -> None:
    """A part whose turn comes too late is not sent; what was answered by then is kept."""
    parts = [answer, never, answer, answer]
    outcomes = await executor.run_apart(a_call(timeout=2), parts, at_once=1)
    assert isinstance(outcomes[0], Reply)
    late = outcomes[1:]
    assert [type(one) for one in late] == [LLMTimeoutError] * 3
    assert [one.maybe_billed for one in late if isinstance(one, LLMError)] == [True, False, False]
    [row] = rows()
    assert (row["status"], row["retry_attempt"]) == ("completed", 2)


async def test_parts_apart_are_cancelled_together(executor: Executor) -> None:
    """Whoever gives up gives up all parts: one row, cancelled."""
    began = asyncio.Event()

    async def slow(call: Call, attempt: Attempt) -> Reply:
        began.set()
        return await never(call, attempt)

    task = asyncio.create_task(executor.run_apart(a_call(), [slow, slow]))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [row] = rows()
    assert (row["status"], row["maybe_paid"]) == ("cancelled", True)


async def test_what_may_be_paid_is_not_sent_again_unasked(executor: Executor) -> None:
    """A call that must not be repeated is tried again only while nothing can have been paid."""
    sent: list[int] = []

    async def twice_lost(call: Call, attempt: Attempt) -> Reply:
        sent.append(attempt.number)
        raise LLMProviderError("lost", maybe_billed=attempt.number == 2, retry_after=0.001)

    with pytest.raises(LLMProviderError):
        await executor.run(a_call(max_retries=5, resend=False), twice_lost)
    assert sent == [1, 2]

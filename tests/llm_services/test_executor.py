"""The road's own promises: parts of one call, and what is never sent twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from modules.llm_services.exceptions import LLMProviderError
from modules.llm_services.executor import Executor, Invoke
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.recording import LedgerWriter, Recorder, ledger_engine
from modules.llm_services.types import Call
from modules.shared.db import get_engine
from tests.llm_services.test_recording import a_call, answer, never
from tests.support.ledger import rows


@pytest.fixture
async def executor(database_url: str) -> AsyncIterator[Executor]:
    """The road on the test's database."""
    writer = LedgerWriter(ledger_engine(get_engine(), 2))
    yield Executor(Recorder(writer, patience=2), PriceList())
    await asyncio.to_thread(writer.close)


async def test_parts_of_one_call_share_its_row(executor: Executor) -> None:
    """Several requests side by side are one row: attempts, tokens and texts of all of them."""

    def part(name: str) -> Invoke:
        async def invoke(call: Call, attempt: Attempt) -> Reply:
            return replace(await answer(call, attempt), text=name, raw={"part": name})

        return invoke

    replies = await executor.run_parts(a_call(), [part("a"), part("b"), part("c")], at_once=2)
    assert [reply.text for reply in replies] == ["a", "b", "c"]
    [row] = rows()
    assert (row["status"], row["retry_attempt"], row["prompt_tokens"]) == ("completed", 3, 30)
    assert row["response_content"] == "a\n\nb\n\nc"


async def test_a_part_that_fails_ends_the_others(executor: Executor) -> None:
    """One part that fails for good fails the call, and what was under way may have been paid."""

    async def fail(call: Call, attempt: Attempt) -> Reply:
        raise LLMProviderError("no", retryable=False)

    with pytest.raises(LLMProviderError, match="no"):
        await executor.run_parts(a_call(), [never, fail])
    [row] = rows()
    assert (row["status"], row["retry_attempt"]) == ("failed", 2)
    assert row["maybe_paid"]


async def test_what_may_be_paid_is_not_sent_again_unasked(executor: Executor) -> None:
    """A call that must not be repeated is tried again only while nothing can have been paid."""
    sent: list[int] = []

    async def twice_lost(call: Call, attempt: Attempt) -> Reply:
        sent.append(attempt.number)
        raise LLMProviderError("lost", maybe_billed=attempt.number == 2, retry_after=0.001)

    with pytest.raises(LLMProviderError):
        await executor.run(a_call(max_retries=5, resend=False), twice_lost)
    assert sent == [1, 2]

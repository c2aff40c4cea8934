"""Whoever goes away while the provider is at work: one final row, and nothing left open."""

import asyncio
from uuid import UUID

import anyio
import pytest

from modules.llm_services.public import LLMServicesProvider, open_llm_services
from tests.faults import answers, network
from tests.faults.kinds import KINDS, RIVERS, STREAMS, Kind
from tests.faults.promises import assert_no_key, json_of
from tests.faults.proxy import Fault, FaultProxy, wait_for
from tests.faults.test_network import each, on_sqlite
from tests.support.ledger import rows


@each(network.blackhole(), network.blackhole_reply(), network.stall_after(0))
async def test_a_call_is_cancelled_while_the_provider_is_at_work(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """Every kind of call: a cancelled row that may have been paid, with its one attempt."""
    proxy.arm(fault)
    async with open_llm_services() as llm:
        calls = [asyncio.ensure_future(kind.ask(llm)) for kind in KINDS]
        await reached(proxy, len(KINDS))
        for call in calls:
            call.cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
        wait_for(lambda: proxy.open_connections == 0, "the connections to be closed")
    check_cancelled(len(KINDS))


@on_sqlite
async def test_a_stream_is_cancelled_in_the_middle(proxy: FaultProxy, database_url: str) -> None:
    """What was said so far is kept, and what it took is estimated."""
    proxy.arm(network.stall_after(0.6))
    async with open_llm_services() as llm:
        calls = [asyncio.ensure_future(kind.ask(llm)) for kind in STREAMS]
        await reached(proxy, len(STREAMS))
        await asyncio.wait(calls, timeout=0.3)  # the text that comes before the silence
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    check_cancelled(len(STREAMS))
    assert all(row["response_content"] for row in rows())
    assert {row["usage_source"] for row in rows()} == {"estimated"}


async def test_a_scope_is_cancelled(proxy: FaultProxy, database_url: str) -> None:
    """As web frameworks do it: the outcome is written although every await is cancelled."""
    proxy.arm(network.blackhole())
    async with open_llm_services() as llm, anyio.create_task_group() as group:
        for kind in KINDS:
            group.start_soon(_ask, kind, llm)
        await reached(proxy, len(KINDS))
        group.cancel_scope.cancel()
    check_cancelled(len(KINDS))


@on_sqlite
async def test_a_callers_own_timeout(proxy: FaultProxy, database_url: str) -> None:
    """A `wait_for` around the call ends as it does around anything else."""
    proxy.arm(network.blackhole())
    async with open_llm_services() as llm:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(llm.generate_response(RIVERS, model="gpt-4o"), 0.5)
    check_cancelled(1)


async def test_a_call_is_cancelled_between_two_attempts(
    proxy: FaultProxy, database_url: str
) -> None:
    """While it waits for the next attempt nothing is at work: what was known stays known."""
    proxy.arm(answers.status(429, retry_after="20"))
    async with open_llm_services() as llm:
        calls = [asyncio.ensure_future(kind.ask(llm)) for kind in KINDS]
        await reached(proxy, len(KINDS))
        await asyncio.wait(calls, timeout=0.5)  # all of them have read their 429 by now
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    kept = rows()
    assert {(row["status"], row["http_status"], bool(row["maybe_paid"])) for row in kept} == {
        ("cancelled", 429, False)
    }
    assert len(proxy.requests) == len(kept) == len(KINDS)


@on_sqlite
async def test_connections_are_whole_after_many_cancellations(
    proxy: FaultProxy, database_url: str
) -> None:
    """After a hundred calls that were cancelled at any moment, the next ones are answered."""
    proxy.arm(network.latency(0.05))
    async with open_llm_services() as llm:
        for n in range(50):
            calls = [
                asyncio.ensure_future(llm.generate_response(RIVERS, model="gpt-4o"))
                for _ in range(2)
            ]
            await asyncio.wait(calls, timeout=n / 500)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        again = await asyncio.gather(
            *(llm.generate_response(RIVERS, model="gpt-4o") for _ in range(20))
        )
    assert len(again) == 20
    kept = rows()
    assert {row["status"] for row in kept} <= {"completed", "cancelled"}
    assert {UUID(r.call_id or "") for r in proxy.requests} <= {UUID(str(r["id"])) for r in kept}


async def _ask(kind: Kind, llm: LLMServicesProvider) -> None:
    await kind.ask(llm)


async def reached(proxy: FaultProxy, count: int) -> None:
    """Wait until so many requests have arrived."""
    arrived = lambda: len(proxy.requests) >= count  # noqa: E731 - told to the proxy
    await asyncio.to_thread(wait_for, arrived, f"{count} requests", 30.0)


def check_cancelled(count: int) -> None:
    """Rows of calls that were cancelled during their one request."""
    kept = rows()
    assert len(kept) == count
    for row in kept:
        assert (row["status"], row["error_type"]) == ("cancelled", None), row["operation"]
        assert bool(row["maybe_paid"]) is True, row["operation"]
        assert sum(one["maybe_paid"] for one in json_of(row["attempts"])) == 1, row["operation"]
        assert row["cost_estimate"] is None or row["usage_source"] == "estimated"
        assert_no_key(str(row), "a row")

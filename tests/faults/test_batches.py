"""Batches behind a network that breaks: every row has its one end, and none too early."""

import gc

import pytest

from modules.llm_services.public import (
    BatchRequest,
    LLMError,
    LLMServicesProvider,
    open_llm_services,
)
from tests.faults import answers, network
from tests.faults.kinds import RIVERS
from tests.faults.promises import assert_no_key, hunt
from tests.faults.proxy import CLEAN, Fault, FaultProxy, wait_for
from tests.faults.test_network import each, on_sqlite
from tests.support.ledger import rows

WANTED = [BatchRequest(key=key, messages=RIVERS) for key in ("a", "b")]
FAULTS = (
    network.drop_reply(),
    network.close_after(0.5),
    answers.garbage("html"),
    answers.status(500),
    answers.redirect(307, "http://127.0.0.1:9/v1/batches"),
    answers.echo(400),
)


@each(*FAULTS)
async def test_a_batch_that_cannot_be_handed_over(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """All of its rows have failed, with the error that the caller gets."""
    proxy.arm(fault)
    async with open_llm_services() as llm:
        with pytest.raises(LLMError) as caught:
            await llm.submit_batch(WANTED, model="gpt-4o")
    kept = rows()
    assert [row["status"] for row in kept] == ["failed", "failed"]
    assert {row["error_type"] for row in kept} == {caught.value.error_type}
    assert str(caught.value.request_id) in {str(row["id"]) for row in kept}
    check_nothing_is_left(caught.value, proxy)


@on_sqlite
@each(network.blackhole(), network.stall_after(0.5))
async def test_a_batch_that_nobody_takes_in_time(
    fault: Fault, proxy: FaultProxy, database_url: str, impatient: None
) -> None:
    """It ends at the deadline, and so do its rows."""
    proxy.arm(fault)
    async with open_llm_services() as llm:
        with pytest.raises(LLMError) as caught:
            await llm.submit_batch(WANTED, model="gpt-4o")
    assert {(row["status"], row["error_type"]) for row in rows()} == {("failed", "Timeout")}
    check_nothing_is_left(caught.value, proxy)


@on_sqlite
@each(*FAULTS)
async def test_what_breaks_while_it_is_collected_is_collected_again(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """No row ends by a fault on the way to its answer, which waits at the vendor."""
    async with open_llm_services() as llm:
        batch = await llm.submit_batch(WANTED, model="gpt-4o")
        while not (await llm.batch_status(batch.id)).ended:
            pass
        proxy.arm(fault)
        with pytest.raises(LLMError) as caught:
            await collected(llm, batch.id)
        assert {row["status"] for row in rows()} == {"pending"}
        proxy.arm(CLEAN)
        assert await collected(llm, batch.id) == ["a", "b"]
    assert {row["status"] for row in rows()} == {"completed"}
    check_nothing_is_left(caught.value, proxy)


async def collected(llm: LLMServicesProvider, batch_id: str) -> list[str]:
    """The keys that were answered."""
    return sorted([one.key async for one in llm.collect_batch(batch_id) if one.response])


def check_nothing_is_left(error: LLMError, proxy: FaultProxy) -> None:
    """No connection, and the key nowhere."""
    gc.collect(1)
    wait_for(lambda: proxy.open_connections == 0, "the module's connections to be closed")
    hunt(error)
    assert_no_key(str(rows()), "a row")

"""The parts that calls share: made once, found again, closed, never mixed."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from anyio import CancelScope
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from modules.llm_services.config import LLMConfig
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.public import LLMMessageDTO, open_llm_services
from modules.llm_services.repo import LLMRequestRepo
from modules.llm_services.service import LLMService
from modules.llm_services.types import Call
from modules.llm_services.wiring import runtimes as wiring
from modules.llm_services.wiring.startup import configured
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import a_call
from tests.support.ledger import statuses

ROOT = Path(__file__).resolve().parents[2]
HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]


@pytest.fixture(autouse=True)
def _strangers() -> Iterator[None]:
    """Writers that other tests of this process left to their retries are not ours."""
    _OTHERS.update(threading.enumerate())
    yield
    _OTHERS.clear()


_OTHERS: set[threading.Thread] = set()


def writer_threads() -> list[str]:
    """Names of the ledger's threads that this test has started and that are alive."""
    ours = set(threading.enumerate()) - _OTHERS
    return [thread.name for thread in ours if thread.name == "llm-ledger-writer"]


async def test_a_runtime_is_found_again(database_url: str, vendor: Sandbox) -> None:
    """A database has one runtime for the same settings, and another one when they change."""
    engine = get_engine()
    first = wiring.runtime_of(engine)
    assert wiring.runtime_of(engine) is first
    os.environ["LLM_MODEL"] = "gpt-4o"
    second = wiring.runtime_of(engine)
    del os.environ["LLM_MODEL"]
    assert second is not first
    assert wiring.runtime_of(engine) is first
    assert second.config.model == "gpt-4o"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_threads_that_ask_at_once_share_a_runtime(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FastAPI's do, which makes what routes depend on in threads."""
    together = threading.Barrier(2)

    def slowly() -> LLMConfig:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.2)  # until another one is here, too
        return configured()

    monkeypatch.setattr("modules.llm_services.wiring.runtimes.configured", slowly)
    engine = get_engine()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(wiring.runtime_of, [engine] * 4))
    assert len(set(found)) == 1
    assert len(writer_threads()) <= 1


async def test_one_client_per_loop(database_url: str, vendor: Sandbox) -> None:
    """A hundred first calls at once make one client, however slowly it loads."""
    async with open_llm_services():
        runtime = wiring.runtime_of(get_engine())
        made = await asyncio.gather(*(runtime.provider("openai") for _ in range(100)))
    assert len(set(map(id, made))) == 1


async def test_a_client_that_cannot_be_made_is_tried_again(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing key is an error for everybody who waits, and not remembered."""
    monkeypatch.delenv("OPENAI_API_KEY")
    async with open_llm_services():
        runtime = wiring.runtime_of(get_engine())
        failures = await asyncio.gather(
            *(runtime.provider("openai") for _ in range(3)), return_exceptions=True
        )
        assert {type(failure) for failure in failures} == {LLMConfigurationError}
        with pytest.raises(LLMConfigurationError):
            await runtime.provider("openai")


async def test_who_leaves_while_a_client_is_made_spoils_nothing(
    database_url: str, vendor: Sandbox
) -> None:
    """A caller that is cancelled during the first load leaves the others their client."""
    async with open_llm_services():
        runtime = wiring.runtime_of(get_engine())
        leaver = asyncio.create_task(runtime.provider("openai"))
        await asyncio.sleep(0)
        leaver.cancel()
        assert (await runtime.provider("openai")).name == "openai"
        with pytest.raises(asyncio.CancelledError):
            await leaver


async def test_a_client_that_nobody_waited_for_is_no_obstacle(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first call that is cancelled and could not have worked does not disturb the end."""
    async with open_llm_services():
        caller = asyncio.create_task(wiring.runtime_of(get_engine()).provider("openai"))
        await asyncio.sleep(0)
        caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_nested_users_share_and_the_last_one_closes(
    database_url: str, vendor: Sandbox
) -> None:
    """The provider can be opened inside another opening; the inner end closes nothing."""
    async with open_llm_services() as outer:
        async with open_llm_services() as inner:
            await inner.generate_response(HELLO, model="gpt-4o")
        await outer.generate_response(HELLO, model="gpt-4o")
        assert writer_threads()
    assert writer_threads() == []
    async with open_llm_services() as again:
        await again.generate_response(HELLO, model="gpt-4o")
    assert statuses() == ["completed"] * 3


async def test_who_leaves_last_waits_for_the_cancelled(database_url: str, vendor: Sandbox) -> None:
    """A cancelled call that takes a moment to clean up still says itself how it ended."""
    waiting = asyncio.Event()

    async def slow_to_leave(call: Call, attempt: Attempt) -> Reply:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            with CancelScope(shield=True):
                await asyncio.sleep(0.3)
        raise AssertionError

    async with open_llm_services():
        runtime = wiring.runtime_of(get_engine())
        await runtime.provider("openai")
        task = asyncio.create_task(runtime.executor.run(a_call(), slow_to_leave))
        await waiting.wait()
        task.cancel()
    assert statuses() == ["cancelled"]
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_runtimes_of_other_databases_are_closed_as_well(
    database_url: str, vendor: Sandbox
) -> None:
    """What requests brought to life on another engine ends with the application's lifespan."""
    other = create_engine(database_url)
    async with open_llm_services():
        with Session(other) as session:
            await LLMService(LLMRequestRepo(session)).generate_response(HELLO, model="gpt-4o")
        assert writer_threads()
    assert writer_threads() == []
    other.dispose()


async def test_a_forgotten_engine_is_forgotten(database_url: str, vendor: Sandbox) -> None:
    """An engine that nobody uses any more is garbage, ledger and all, once its writer is idle."""
    engine = create_engine(database_url)
    with Session(engine) as session:
        llm = LLMService(LLMRequestRepo(session))
        await llm.generate_response(HELLO, model="gpt-4o")
        await wiring.runtime_of(engine).close_clients()
        await wiring.runtime_of(engine).close_ledger()
    engine.dispose()
    gone = weakref.ref(engine)
    del engine, session, llm
    async with asyncio.timeout(10):
        while gone() is not None:
            gc.collect()
            await asyncio.sleep(0)


def test_two_loops_have_two_clients(database_url: str, vendor: Sandbox) -> None:
    """One process may run one event loop after another, or two at once in threads."""

    async def one_call() -> None:
        async with open_llm_services() as llm:
            await llm.generate_response(HELLO, model="gpt-4o")

    asyncio.run(one_call())
    asyncio.run(one_call())
    threads = [threading.Thread(target=asyncio.run, args=(one_call(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses() == ["completed"] * 4


async def test_what_a_child_forgets_it_does_not_close(database_url: str, vendor: Sandbox) -> None:
    """After a fork the runtime is another one, and the parent's is kept from the collector."""
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model="gpt-4o")
        parents = wiring.runtime_of(get_engine())
        wiring._forget_after_fork()
        assert wiring.runtime_of(get_engine()) is not parents
        kept = next(known for known in wiring._inherited if parents in known.values())
        wiring._inherited.remove(kept)
        vars(get_engine())[wiring._RUNTIMES] = kept


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_after_use_works_on_both_sides(database_url: str, vendor: Sandbox) -> None:
    """A server that forks after its first call answers in parent and child, one row each."""
    script = """
import asyncio, os, sys
sys.path[:0] = ["backend"]
from modules.llm_services.public import LLMMessageDTO, llm_services_provider
from modules.shared.db import session_factory

async def call():
    with session_factory()() as session:
        llm = llm_services_provider(session)
        await llm.generate_response([LLMMessageDTO(role="user", content="Sand.")], model="gpt-4o")

asyncio.run(call())
child = os.fork()
asyncio.run(call())
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
    assert statuses() == ["completed"] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_fork_waits_for_a_runtime_that_is_being_made(database_url: str, vendor: Sandbox) -> None:
    """The child has no thread that would ever finish it, and would wait for that."""
    script = """
import os, signal, sys, threading, time
sys.path[:0] = ["backend"]
from modules.llm_services.wiring import runtimes
from modules.shared.db import get_engine

inside, configured = threading.Event(), runtimes.configured

def slowly():
    inside.set()
    time.sleep(0.2)
    return configured()

runtimes.configured = slowly
making = threading.Thread(target=runtimes.runtime_of, args=(get_engine(),))
making.start()
inside.wait()
child = os.fork()
if not child:
    signal.alarm(30)
    runtimes.runtime_of(get_engine())
    os._exit(0)
making.join()
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_the_log_level_is_the_modules(
    database_url: str,
    vendor: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """LOG_LEVEL sets the module's logger and nobody else's."""
    caplog.set_level("DEBUG", "modules.llm_services")  # given back at the end
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("LOG_REQUESTS", "true")

    async def one_call() -> None:
        async with open_llm_services() as llm:
            await llm.generate_response(HELLO, model="openai:unpriced")

    asyncio.run(one_call())
    assert [r.message for r in caplog.records if r.name.startswith("modules.")] == []


async def test_price_overrides_go_first(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file of prices decides before the bundled table, and is named on the row."""
    prices = tmp_path / "prices.json"
    prices.write_text(
        '[{"provider": "openai", "model": "house-*", "input_per_mtok": 1, "output_per_mtok": 2}]'
    )
    monkeypatch.setenv("LLM_PRICE_OVERRIDES", str(prices))
    async with open_llm_services() as llm:
        response, request_id = await llm.generate_response(HELLO, model="openai:house-7")
        row = llm.get_request(request_id)
    assert row is not None
    assert (row.cost_source, row.cost_estimate) == ("override", response.cost_estimate)
    assert response.cost_estimate is not None
    assert row.price_ref is not None
    assert "prices.json" in row.price_ref

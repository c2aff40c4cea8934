"""Real processes and real signals: what a crash, a stop, a fork and a shutdown leave behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from modules.llm_services.public import open_llm_services
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.support.ledger import rows, statuses

ROOT = Path(__file__).resolve().parents[2]
LEASE = 3  # seconds: a living process on a busy machine must manage a beat in that time

WORKER = """
    import asyncio, sys
    from modules.llm_services.public import LLMMessageDTO, open_llm_services

    def ask(llm, n, feature):
        message = LLMMessageDTO(role="user", content=f"Tell me about number {n}.")
        return llm.generate_response(
            [message], model="openai:gpt-4o:slow=60", max_retries=0, timeout=100, feature=feature
        )

    async def main(count, feature):
        async with open_llm_services() as llm:
            await asyncio.gather(*(ask(llm, n, feature) for n in range(count)))
"""
"""A worker with calls that the vendor takes long to answer."""

PATIENT = """
    import asyncio, sys, threading
    sys.path[:0] = ["backend", "."]
    from tests.llm_services.test_recording import a_call, answer
    from modules.llm_services.executor import Executor
    from modules.llm_services.pricing import PriceList
    from modules.llm_services.recording import Caretaker, LedgerWriter, Recorder, ledger_engine
    from modules.llm_services.types import Attribution
    from modules.shared.db import get_engine

    sent = threading.Semaphore(0)

    async def main(count, feature):
        engine = get_engine()
        caretaker = Caretaker(lambda: ledger_engine(engine, 5), 3)
        writer = LedgerWriter(ledger_engine(engine, 5), caretaker=caretaker)
        executor = Executor(Recorder(writer, patience=20), PriceList())
        told = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))

        async def when_told(call, attempt):
            sent.release()
            await asyncio.shield(told)
            return await answer(call, attempt)

        calls = [a_call(attribution=Attribution(feature=feature)) for _ in range(count)]
        await asyncio.gather(*(executor.run(call, when_told) for call in calls))
        await asyncio.to_thread(writer.close)
"""
"""A worker whose calls are answered when it reads a line."""

SERVER = """
    import socket, uvicorn
    from contextlib import asynccontextmanager
    from fastapi import Depends, FastAPI
    from modules.llm_services.public import (
        LLMMessageDTO, llm_services_lifespan, llm_services_provider
    )

    @asynccontextmanager
    async def lifespan(app):
        async with llm_services_lifespan():
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/ask/{n}")
    async def ask(n: int, llm=Depends(llm_services_provider)):
        message = LLMMessageDTO(role="user", content=f"Tell me about number {n}.")
        await llm.generate_response(
            [message], model="openai:gpt-4o:slow=60", max_retries=0, timeout=100
        )

    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(config).run(sockets=[listening])
"""


@contextmanager
def process(script: str, body: str = "") -> Iterator["subprocess.Popen[str]"]:
    """A Python process on the test's database and vendor; killed at the end if need be."""
    code = textwrap.dedent(script) + textwrap.dedent(body)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'backend'}{os.pathsep}{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def read_number(running: "subprocess.Popen[str]") -> int:
    """What a process says in its first line."""
    assert running.stdout is not None
    return int(running.stdout.readline())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110 - it is not on this loop
            await asyncio.sleep(0.05)


def owned(feature: str) -> set[tuple[str, str | None]]:
    """Status and type of error of a feature's rows."""
    return {(row["status"], row["error_type"]) for row in rows(f"feature = '{feature}'")}


PENDING = {("pending", None)}
INTERRUPTED = {("failed", "Interrupted")}
COMPLETED = {("completed", None)}


@pytest.fixture
def lease(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short lease, in this process and in those that it starts."""
    monkeypatch.setenv("LLM_LEASE_SECONDS", str(LEASE))


async def test_a_killed_process_and_a_stopped_one(lease: None, vendor: Sandbox) -> None:
    """After `kill -9`: a row for every request that the vendor saw, all of them interrupted, and
    the rows of a living process untouched. One that is stopped for longer than a lease loses its
    rows for as long, and its late answers still win.
    """
    dying = process(WORKER, "asyncio.run(main(100, 'dying'))")
    living = process(PATIENT, "asyncio.run(main(10, 'living'))")
    with dying as killed, living as stopped:
        await until(lambda: len(vendor.journal()) == 100)
        await until(lambda: len(rows("feature = 'living' AND status = 'pending'")) == 10)
        killed.kill()
        killed.wait()
        assert statuses() == ["pending"] * 110
        async with open_llm_services():
            await until(lambda: owned("dying") == INTERRUPTED)
            assert owned("living") == PENDING
            stopped.send_signal(signal.SIGSTOP)
            await until(lambda: owned("living") == INTERRUPTED)
            stopped.send_signal(signal.SIGCONT)
            await asyncio.to_thread(stopped.communicate, "go on\n")
    assert owned("living") == COMPLETED
    sent = [entry.client_request_id for entry in vendor.journal()]
    assert sorted(sent, key=str) == sorted(str(UUID(str(r["id"]))) for r in rows("feature='dying'"))
    assert len(set(sent)) == 100
    assert all(row["maybe_paid"] for row in rows("feature = 'dying'"))
    with get_engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM llm_owners")).scalar() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_fork_is_an_owner_of_its_own(lease: None) -> None:
    """A child's death ends the child's rows and none of its parent's."""
    body = """
        import os
        thread = threading.Thread(target=lambda: asyncio.run(main(3, "parent")))
        thread.start()
        for _ in range(3):
            sent.acquire()
        child = os.fork()
        if child == 0:
            asyncio.run(main(2, "child"))
        print(child, flush=True)
        os.waitpid(child, 0)
        thread.join()
    """
    with process(PATIENT, body) as parent:
        child = await asyncio.to_thread(read_number, parent)
        await until(lambda: len(rows("feature = 'child' AND status = 'pending'")) == 2)
        assert len({row["owner_id"] for row in rows()}) == 2
        os.kill(child, signal.SIGKILL)
        async with open_llm_services():
            await until(lambda: owned("child") == INTERRUPTED)
        assert owned("parent") == PENDING
        await asyncio.to_thread(parent.communicate, "go on\n")
    assert owned("parent") == COMPLETED


async def test_sigterm_leaves_nothing_open(lease: None, vendor: Sandbox) -> None:
    """A server that is told to end with calls in flight cancels them and writes all their rows."""
    with process(SERVER) as server:
        port = await asyncio.to_thread(read_number, server)
        async with httpx2.AsyncClient(timeout=120, trust_env=False) as client:
            asked = [
                asyncio.create_task(client.get(f"http://127.0.0.1:{port}/ask/{n}"))
                for n in range(50)
            ]
            await until(lambda: len(vendor.journal()) == 50)
            server.send_signal(signal.SIGTERM)
            await asyncio.gather(*asked, return_exceptions=True)
            assert await asyncio.to_thread(server.wait, 60) == -signal.SIGTERM
    assert statuses() == ["cancelled"] * 50
    assert all(row["maybe_paid"] for row in rows())
    with get_engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM llm_owners")).scalar() == 0


UNDER_BUDGET = """
    import asyncio
    from tests.llm_services.test_budgets import Road, tokens

    async def main():
        road = Road(tokens(50), patience=20, lease=3)
        road.go.clear()
        await asyncio.gather(*(road.run() for _ in range(20)))

    asyncio.run(main())
"""
"""A worker whose calls are under a budget and are never answered."""


async def test_what_a_killed_process_had_reserved_is_given_back(lease: None) -> None:
    """After `kill -9` the books hold every reservation, and after the lease none."""
    reserved = text("SELECT sum(reserved_tokens), sum(spent_tokens) FROM llm_budget_periods")

    def books() -> tuple[int, int]:
        with get_engine().connect() as connection:
            held, spent = connection.execute(reserved).one()
        return held, spent

    with process(UNDER_BUDGET) as killed:
        await until(lambda: statuses() == ["pending"] * 20)
        held, spent = books()
        killed.kill()
        killed.wait()
    assert (held > 0, held % 20, spent) == (True, 0, 0)
    async with open_llm_services():
        await until(lambda: books() == (0, 0))
    assert statuses() == ["failed"] * 20

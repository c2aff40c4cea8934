"""One call = one row, whatever the database, the caller and the process do meanwhile."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine, create_engine, event

from modules.llm_services.bulk import LARGE
from modules.llm_services.exceptions import (
    LLMConfigurationError,
    LLMError,
    LLMProviderError,
    LLMRecordingError,
)
from modules.llm_services.executor import Executor
from modules.llm_services.ids import uuid7
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.recording import (
    LedgerWriter,
    Recorder,
    Spool,
    ledger_engine,
    recorder,
)
from modules.llm_services.recording.rows import outcome
from modules.llm_services.recording.writer import _close_all
from modules.llm_services.types import Call, LLMMessageDTO, Usage
from modules.shared.db import engine_for, get_engine
from tests.support.ledger import Lock, rows, statuses
from tests.support.migrations import downgrade, upgrade
from tests.support.postgres import PostgresServer

PATIENCE = 1.2
ROOT = Path(__file__).resolve().parents[2]


def a_call(**changes: Any) -> Call:
    """A call as the service would freeze it."""
    plain = Call(
        id=uuid7(),
        operation="chat",
        provider="openai",
        model="gpt-4o",
        requested_model=None,
        messages=(LLMMessageDTO(role="user", content="hello"),),
        parameters={},
        timeout=20,
        max_retries=0,
    )
    return replace(plain, **changes)


async def answer(call: Call, attempt: Attempt) -> Reply:
    """A provider that answers at once."""
    return Reply(text="hi", model="gpt-4o", usage=Usage(prompt_tokens=10, completion_tokens=2))


async def never(call: Call, attempt: Attempt) -> Reply:
    """A provider that thinks for ever."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def own_engine(database_url: str) -> Engine:
    """The ledger's engine on the test's database."""
    return ledger_engine(get_engine(), PATIENCE)


@pytest.fixture
async def writer(own_engine: Engine, tmp_path: Path) -> AsyncIterator[LedgerWriter]:
    """A writer with a spool, closed at the end."""
    writer = LedgerWriter(own_engine, Spool(tmp_path / "rows"), patience=PATIENCE)
    yield writer
    await asyncio.to_thread(writer.close)


@pytest.fixture
def executor(writer: LedgerWriter) -> Executor:
    """The road on that writer."""
    return Executor(Recorder(writer, patience=PATIENCE), PriceList())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is not on this loop
            await asyncio.sleep(0.01)


async def test_the_row_is_there_before_anything_is_sent(executor: Executor) -> None:
    """While the provider works, another connection sees the row as pending."""
    seen: list[str] = []

    async def look(call: Call, attempt: Attempt) -> Reply:
        seen.extend(statuses())
        return await answer(call, attempt)

    outcome = await executor.run(a_call(), look)
    assert seen == ["pending"]
    assert statuses() == ["completed"]
    assert outcome.usage == Usage(prompt_tokens=10, completion_tokens=2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_large_answer_is_cleaned_in_a_thread(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, *, is_cancelled: bool
) -> None:
    """And recorded even if its caller is cancelled while that lasts."""
    at_work, goes_on, places = threading.Event(), threading.Event(), []

    def cleaned(*args: Any) -> dict[str, Any]:
        places.append(threading.get_ident())
        at_work.set()
        assert goes_on.wait(30)
        return outcome(*args)

    async def much(call: Call, attempt: Attempt) -> Reply:
        return replace(await answer(call, attempt), text="x" * LARGE)

    monkeypatch.setattr(recorder, "outcome", cleaned)
    call = asyncio.ensure_future(executor.run(a_call(), much))
    assert await asyncio.to_thread(at_work.wait, 30)
    if is_cancelled:
        call.cancel()
    goes_on.set()
    [ended] = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError) is is_cancelled
    await until(lambda: statuses() == ["completed"])
    assert [place == threading.get_ident() for place in places] == [False, True][: len(places)]
    assert len(places) == 1 + is_cancelled
    assert rows()[0]["payload_state"] == "truncated"


async def test_rows_that_wait_share_a_commit(executor: Executor, own_engine: Engine) -> None:
    """A hundred calls at once cost a few commits, and every caller's row is there."""
    commits: list[object] = []
    event.listen(own_engine, "commit", commits.append)
    await asyncio.gather(*(executor.run(a_call(), answer) for _ in range(100)))
    assert statuses() == ["completed"] * 100
    assert len(commits) < 50


async def test_a_row_that_spoils_its_group_fails_alone(
    executor: Executor, own_engine: Engine
) -> None:
    """One row that the database cannot hold stops its own call and no other."""
    broken = a_call(provider=None)
    calls = [broken, *(a_call() for _ in range(20))]
    results = await asyncio.gather(
        *(executor.run(call, answer) for call in calls), return_exceptions=True
    )
    assert isinstance(results[0], LLMRecordingError)
    assert statuses() == ["completed"] * 20


async def test_an_error_nobody_foresaw_is_ours(executor: Executor) -> None:
    """Whatever an adapter raises, the caller gets an LLMError and the row is failed."""

    async def stumble(call: Call, attempt: Attempt) -> Reply:
        raise KeyError("usage")

    with pytest.raises(LLMError, match="unexpected KeyError") as caught:
        await executor.run(a_call(), stumble)
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", "ProviderError")
    assert isinstance(caught.value.__cause__, KeyError)


async def test_failed_attempts_that_used_tokens_are_paid(executor: Executor) -> None:
    """Tokens and money are those of all attempts, the failed ones included."""
    spent = Usage(prompt_tokens=1_000, completion_tokens=0)

    async def second_time(call: Call, attempt: Attempt) -> Reply:
        if attempt.number == 1:
            raise LLMProviderError("half an answer", usage=spent, retry_after=0.01)
        return await answer(call, attempt)

    outcome = await executor.run(a_call(max_retries=1), second_time)
    assert outcome.usage == Usage(prompt_tokens=1_010, completion_tokens=2)
    [row] = rows()
    assert row["prompt_tokens"] == 1_010
    assert outcome.cost is not None
    assert row["cost_estimate"] == pytest.approx(1_010 * 2.5e-6 + 2 * 10e-6)


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_cancellation_is_an_outcome(executor: Executor, how: str) -> None:
    """A cancelled task and a cancelled anyio scope both leave a cancelled row when they return."""
    started = asyncio.Event()

    async def think(call: Call, attempt: Attempt) -> Reply:
        started.set()
        return await never(call, attempt)

    if how == "task":
        task = asyncio.create_task(executor.run(a_call(), think))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(executor.run, a_call(), think)
            await started.wait()
            group.cancel_scope.cancel()
    [row] = rows()
    assert row["status"] == "cancelled"
    assert row["maybe_paid"]


async def test_cancelled_between_attempts(executor: Executor) -> None:
    """Whoever leaves during the wait for a retry leaves a cancelled row with its attempt."""
    failed = asyncio.Event()

    async def fail(call: Call, attempt: Attempt) -> Reply:
        failed.set()
        raise LLMProviderError("not now", retry_after=15)

    task = asyncio.create_task(executor.run(a_call(max_retries=2), fail))
    await failed.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [row] = rows()
    assert (row["status"], row["retry_attempt"]) == ("cancelled", 1)


async def test_locked_before_the_call_and_cancelled(
    executor: Executor, writer: LedgerWriter, database_url: str
) -> None:
    """A caller that leaves while its row waits for the database leaves no open row."""
    lock = Lock(get_engine())
    task = asyncio.create_task(executor.run(a_call(), never))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lock.release()
    await asyncio.to_thread(writer.close)
    assert "pending" not in statuses()


async def test_locked_at_the_end(executor: Executor, database_url: str) -> None:
    """An answer is never hostage to the log: the caller has it, the row follows."""
    locks: list[Lock] = []

    async def lock_then_answer(call: Call, attempt: Attempt) -> Reply:
        locks.append(await asyncio.to_thread(Lock, get_engine()))
        return await answer(call, attempt)

    outcome = await executor.run(a_call(), lock_then_answer)
    assert outcome.reply.text == "hi"
    assert statuses() == ["pending"]
    locks[0].release()
    await until(lambda: statuses() == ["completed"])


async def test_a_late_outcome_replaces_only_an_interruption(
    executor: Executor, database_url: str
) -> None:
    """What a crash left as interrupted is settled by a late answer; a final row never changes."""

    async def slow(call: Call, attempt: Attempt) -> Reply:
        with get_engine().begin() as connection:
            connection.exec_driver_sql(
                "UPDATE llm_requests SET status='failed', error_type='Interrupted'"
            )
        return await answer(call, attempt)

    async def overtaken(call: Call, attempt: Attempt) -> Reply:
        with get_engine().begin() as connection:
            connection.exec_driver_sql(
                "UPDATE llm_requests SET status='failed', error_type='Timeout' "
                "WHERE status='pending'"
            )
        return await answer(call, attempt)

    await executor.run(a_call(), slow)
    assert statuses() == ["completed"]
    await executor.run(a_call(), overtaken)
    assert statuses() == ["completed", "failed"]


async def test_close_writes_what_waits(executor: Executor, writer: LedgerWriter) -> None:
    """Closing returns how many rows it could not write, and nothing is left open by then."""
    await executor.run(a_call(), answer)
    assert await asyncio.to_thread(writer.close) == 0
    await executor.run(a_call(), answer)
    assert statuses() == ["completed"] * 2


async def test_an_idle_writer_holds_nothing(database_url: str) -> None:
    """After an idle time the thread and its connection are gone; the next row begins anew."""
    own = ledger_engine(get_engine(), PATIENCE)
    closed: list[object] = []
    event.listen(own, "close", lambda *connection: closed.append(connection))
    writer = LedgerWriter(own, idle=0.05)
    executor = Executor(Recorder(writer, patience=PATIENCE), PriceList())
    for rounds in (1, 2):
        await executor.run(a_call(), answer)
        await until(lambda rounds=rounds: len(closed) >= rounds)  # type: ignore[misc]
    assert statuses() == ["completed"] * 2
    assert writer.close() == 0


async def test_an_outcome_that_no_column_holds_is_stored_bare(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider's absurd numbers cost the row its content and never its outcome."""

    async def absurd(call: Call, attempt: Attempt) -> Reply:
        return Reply(text="hi", model="gpt-4o", usage=Usage(prompt_tokens=2**70))

    outcome = await executor.run(a_call(), absurd)
    assert outcome.reply.text == "hi"
    [row] = rows()
    assert (row["status"], row["prompt_tokens"]) == ("completed", None)
    assert "did not take the row" in row["error_message"]
    assert "stored bare" in caplog.text


async def test_a_table_that_vanishes_costs_nobody_an_answer(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    """Even an outcome that can no longer be written leaves the caller its answer, and is told."""

    async def drop(call: Call, attempt: Attempt) -> Reply:
        with get_engine().begin() as connection:
            connection.exec_driver_sql("DROP TABLE llm_requests")
        return await answer(call, attempt)

    outcome = await executor.run(a_call(), drop)
    assert outcome.reply.text == "hi"
    assert "alembic upgrade head" in caplog.text
    await asyncio.to_thread(upgrade_again)


def upgrade_again() -> None:
    """Give the test's database its table back, so that what waits for it can be written."""
    url = get_engine().url.render_as_string(hide_password=False)
    downgrade(url)
    upgrade(url)


async def test_a_restarted_postgresql_is_not_noticed(
    own_postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that died while nobody used it is replaced without a word to the caller."""
    url = own_postgres_server.url(own_postgres_server.create_database())
    monkeypatch.setenv("DATABASE_URL", url)
    await asyncio.to_thread(upgrade, url)
    plain = create_engine(url)  # no ping before use
    writer = LedgerWriter(ledger_engine(plain, 5))
    executor = Executor(Recorder(writer, patience=5), PriceList())
    await executor.run(a_call(), answer)
    await asyncio.to_thread(own_postgres_server.restart)
    await executor.run(a_call(), answer)
    assert statuses() == ["completed"] * 2
    assert await asyncio.to_thread(writer.close) == 0
    engine_for(url).dispose()
    plain.dispose()


async def test_the_end_of_the_process_closes_what_is_left(database_url: str) -> None:
    """What the interpreter calls at its end writes what every writer still has."""
    executor = Executor(Recorder(_forgotten_writer(), patience=PATIENCE), PriceList())
    await executor.run(a_call(), answer)
    await asyncio.to_thread(_close_all)
    assert statuses() == ["completed"]


def _forgotten_writer() -> LedgerWriter:
    return LedgerWriter(ledger_engine(get_engine(), PATIENCE))


def test_other_databases_are_refused() -> None:
    """A database whose SQL the ledger does not speak is named at once."""
    with pytest.raises(LLMConfigurationError, match="not mysql"):
        ledger_engine(create_engine("mysql+pymysql://h/d", module=sqlite3), 1)


SCRIPT = """
    import asyncio, os, sys
    sys.path[:0] = ["backend", "."]
    from tests.llm_services.test_recording import a_call, answer, never
    from modules.llm_services.executor import Executor
    from modules.llm_services.pricing import PriceList
    from modules.llm_services.recording import LedgerWriter, Recorder, Spool, ledger_engine
    from modules.shared.db import get_engine

    writer = LedgerWriter(ledger_engine(get_engine(), 20), patience=20)
    executor = Executor(Recorder(writer, patience=20), PriceList())
"""


def run_script(body: str) -> None:
    """Run Python in a process of its own on the test's database."""
    script = textwrap.dedent(SCRIPT) + textwrap.dedent(body)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60, env=os.environ)


def test_a_process_that_just_ends_loses_nothing(database_url: str) -> None:
    """Without a shutdown of ours, what callers handed over is written before the end."""
    run_script("""
        async def main():
            calls = [asyncio.create_task(executor.run(a_call(), never)) for _ in range(5)]
            await asyncio.gather(*(executor.run(a_call(), answer) for _ in range(20)))
        asyncio.run(main())
    """)
    assert statuses() == ["cancelled"] * 5 + ["completed"] * 20


def test_two_loops_share_a_writer(database_url: str) -> None:
    """A writer serves one event loop after another, and one that was closed too early."""
    writer = LedgerWriter(ledger_engine(get_engine(), PATIENCE))
    executor = Executor(Recorder(writer, patience=PATIENCE), PriceList())
    for _ in range(2):
        asyncio.run(_one(executor))
    assert statuses() == ["completed"] * 2
    assert writer.close() == 0


async def _one(executor: Executor) -> None:
    await executor.run(a_call(), answer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_afresh(database_url: str) -> None:
    """After a fork both record, and the child's end closes nothing of its parent's."""
    run_script("""
        async def calls():
            await asyncio.gather(*(executor.run(a_call(), answer) for _ in range(3)))
        asyncio.run(calls())
        child = os.fork()
        if child == 0:
            writer = LedgerWriter(ledger_engine(get_engine(), 20), patience=20)
            executor = Executor(Recorder(writer, patience=20), PriceList())
            asyncio.run(calls())
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        asyncio.run(calls())
    """)
    assert statuses() == ["completed"] * 9


async def test_what_a_database_refuses_is_made_storable(executor: Executor) -> None:
    """NUL, lone surrogates, over-long words and NaN reach the row; the caller gets them as sent."""
    text = "a\x00b \ud800 c"

    async def nasty(call: Call, attempt: Attempt) -> Reply:
        return Reply(
            text=text,
            model="m" * 500,
            finish_reason="f" * 500,
            provider_request_id="r" * 500,
            raw={"nan": float("nan"), "nul": "\x00", "half": "\ud800"},
        )

    outcome = await executor.run(a_call(), nasty)
    assert outcome.reply.text == text
    [row] = rows()
    assert row["status"] == "completed"
    assert row["response_content"] == "a\N{REPLACEMENT CHARACTER}b ? c"


async def test_one_log_line_per_call(
    writer: LedgerWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """With LOG_REQUESTS a call is one line that holds no content."""
    caplog.set_level("INFO", "modules.llm_services")
    executor = Executor(Recorder(writer, patience=PATIENCE, log_calls=True), PriceList())
    call = a_call()
    await executor.run(call, answer)
    [line] = [r.getMessage() for r in caplog.records if "request_id=" in r.getMessage()]
    assert str(call.id) in line
    assert "hello" not in line
    assert "tokens=12" in line


def test_sqlite_connections_give_up_before_their_callers(tmp_path: Path) -> None:
    """The database's own patience is shorter than the caller's, so that the caller learns why."""
    engine = engine_for(f"sqlite:///{tmp_path / 'x.db'}")
    own = ledger_engine(engine, 2.0)
    with own.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 800
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert isinstance(connection.connection.driver_connection, sqlite3.Connection)
    own.dispose()
    engine.dispose()
    engine_for.cache_clear()

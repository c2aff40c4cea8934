"""Databases that are away: callers are answered, and every row is there soon after."""

import asyncio
import resource
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text

from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.executor import Executor, Invoke
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.public import LLMMessageDTO, open_llm_services
from modules.llm_services.recording import (
    LedgerWriter,
    PayloadPolicy,
    Recorder,
    Spool,
    ledger_engine,
)
from modules.llm_services.recording.lines import SpooledRow, line_of
from modules.llm_services.recording.record import CallRecord
from modules.llm_services.recording.rows import opening_row, outcome
from modules.llm_services.recording.store import Store
from modules.llm_services.types import Call
from modules.shared.db import engine_for, get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import a_call, answer, until
from tests.support.ledger import Lock, statuses
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer, StopMode

PATIENCE = 1.0
PLENTY = 15.0  # where the database refuses at once, and a busy machine may take its time
POLICY = PayloadPolicy()
HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]


class SlowSpool(Spool):
    """A spool on a disk that hangs while it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.goes_on = threading.Event()

    def append(self, lines: Sequence[bytes]) -> None:
        """Wait, then append."""
        self.goes_on.wait(30)
        super().append(lines)


class GrowingSpool(Spool):
    """A spool that gets another row just before it is cleared for the first time."""

    more: Sequence[bytes] = ()

    def clear(self) -> bool:
        """Append, then clear."""
        more, self.more = self.more, ()
        if more and self.own is not None:
            self.append(more)
        return super().clear()


class Ledger:
    """A writer on the test's database, with the road before it and the spool behind it."""

    def __init__(self, spool: Spool, patience: float = PATIENCE) -> None:
        own = ledger_engine(get_engine(), patience)
        self.writer = LedgerWriter(own, spool, patience=patience)
        self.executor = Executor(Recorder(self.writer, patience=patience), PriceList())

    async def calls(self, count: int) -> list[float]:
        """Make calls at once; what each of them took, in seconds."""

        async def one() -> float:
            began = time.monotonic()
            await self.executor.run(a_call(), answer)
            return time.monotonic() - began

        return list(await asyncio.gather(*(one() for _ in range(count))))

    async def one_after_the_other(self, until_set: asyncio.Event, invoke: Invoke = answer) -> int:
        """Make calls until an event; how many."""
        count = 0
        while not until_set.is_set():
            await self.executor.run(a_call(), invoke)
            count += 1
        return count


@pytest.fixture
async def ledger(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Ledger]:
    """A ledger with a spool, closed at the end. Its patience may be a parameter."""
    ledger = Ledger(Spool(tmp_path / "rows"), getattr(request, "param", PATIENCE))
    yield ledger
    assert await asyncio.to_thread(ledger.writer.close) == 0


@pytest.fixture
def locks() -> Iterator[Callable[[], Lock]]:
    """Locks of the ledger's table that are released at the end, if not before."""
    made: list[Lock] = []

    def lock() -> Lock:
        made.append(Lock(get_engine()))
        return made[-1]

    yield lock
    for each in made:
        each.release()


async def test_locked_before_the_call(ledger: Ledger, locks: Callable[[], Lock]) -> None:
    """A database that is locked by somebody delays the first call by its patience and the others
    by nothing; when it is free, all rows are there.
    """
    lock = locks()
    assert (await ledger.calls(1))[0] < 20
    assert (await asyncio.to_thread(ledger.writer.status)).mode == "away"
    await ledger.calls(30)
    status = await asyncio.to_thread(ledger.writer.status)
    assert (status.spooled, status.unwritten) == (62, 0)
    assert status.oldest is not None
    assert statuses() == []
    lock.release()
    await until(lambda: statuses() == ["completed"] * 31)
    await until(lambda: ledger.writer.status().spooled == 0)
    assert (await asyncio.to_thread(ledger.writer.status)).mode == "normal"


async def test_a_loop_that_is_held_up_is_no_outage(ledger: Ledger) -> None:
    """Calls whose rows the ledger has taken go on, however late their loop hears of it."""
    calls = asyncio.create_task(ledger.calls(20))
    while not ledger.writer._waiting:  # noqa: ASYNC110 - no turn of the loop may be missed
        await asyncio.sleep(0)
    time.sleep(PATIENCE * 2)  # noqa: ASYNC251 - what thousands of calls that begin together do
    await calls
    await until(lambda: statuses() == ["completed"] * 20)


async def test_nobody_waits_for_a_writer_that_is_stuck(ledger: Ledger, database_url: str) -> None:
    """A database that neither takes a row nor refuses it is given up by the callers' own clock."""
    free = asyncio.Event()
    loop = asyncio.get_running_loop()
    stuck: list[bool] = []

    def stick(*_arguments: object) -> None:
        if not stuck:
            stuck.append(True)
            asyncio.run_coroutine_threadsafe(free.wait(), loop).result(30)

    event.listen(ledger.writer._engine, "before_cursor_execute", stick)
    await ledger.calls(10)
    assert statuses() == []
    free.set()
    await until(lambda: statuses() == ["completed"] * 10)


async def test_callers_that_hold_uncommitted_writes(ledger: Ledger) -> None:
    """200 callers write, await a model, then commit or roll back: none is locked out by the
    ledger, and each has its row.
    """
    callers = create_engine(get_engine().url, pool_size=20)
    with callers.begin() as connection:
        connection.execute(text("CREATE TABLE notes (word TEXT)"))
    turn = asyncio.Semaphore(1 if callers.dialect.name == "sqlite" else 20)

    async def caller(number: int) -> None:
        async with turn:  # SQLite has one writer at a time, also without us
            with callers.connect() as connection:
                await asyncio.to_thread(connection.execute, text("INSERT INTO notes VALUES ('x')"))
                await ledger.executor.run(a_call(), answer)
                connection.commit() if number % 2 else connection.rollback()

    await asyncio.gather(*(caller(number) for number in range(200)))
    await until(lambda: statuses() == ["completed"] * 200)
    with callers.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 100
    callers.dispose()


async def test_in_order_while_it_serves(ledger: Ledger, locks: Callable[[], Lock]) -> None:
    """Calls go on while the spool is drained, and settle rows that were opened in it."""
    lock = locks()
    await ledger.calls(60)
    done = asyncio.Event()
    serving = asyncio.create_task(ledger.one_after_the_other(done))
    lock.release()
    await until(lambda: len(statuses()) > 60)
    done.set()
    count = 60 + await serving
    await until(lambda: statuses() == ["completed"] * count)


async def test_opened_in_the_spool_and_settled_in_the_database(
    ledger: Ledger, locks: Callable[[], Lock]
) -> None:
    """A call that began during an outage ends after it."""
    lock = locks()

    async def outlast(call: Call, attempt: Attempt) -> Reply:
        lock.release()
        await until(lambda: statuses() == ["pending"])
        await until(lambda: ledger.writer.status().mode == "normal")
        return await answer(call, attempt)

    await ledger.executor.run(a_call(), outlast)
    await until(lambda: statuses() == ["completed"])


async def test_what_is_left_is_drained_by_whoever_comes(
    database_url: str, tmp_path: Path, locks: Callable[[], Lock], caplog: pytest.LogCaptureFixture
) -> None:
    """A shutdown during an outage leaves its rows in the spool, says so, and the next start
    writes them before anybody calls.
    """
    first = Ledger(Spool(tmp_path / "rows"))
    lock = locks()
    await first.calls(20)
    assert await asyncio.to_thread(first.writer.close, 5) == 0
    assert "40 rows wait in its spool" in caplog.text
    second = Ledger(Spool(tmp_path / "rows"))
    second.writer.begin()
    await until(lambda: second.writer.status().mode == "away")
    lock.release()
    await until(lambda: statuses() == ["completed"] * 20)
    assert await asyncio.to_thread(second.writer.close) == 0
    assert list((tmp_path / "rows").iterdir()) == []


async def test_without_a_spool_outcomes_wait(database_url: str, locks: Callable[[], Lock]) -> None:
    """Where there is no spool, an outcome waits in memory, and what a shutdown leaves is counted;
    a new call is refused and sends nothing.
    """
    ledger = Ledger(Spool())
    made: list[Lock] = []

    async def lock_then_answer(call: Call, attempt: Attempt) -> Reply:
        made.append(await asyncio.to_thread(locks))
        return await answer(call, attempt)

    outcome = await ledger.executor.run(a_call(), lock_then_answer)
    assert outcome.reply.text == "hi"
    with pytest.raises(LLMRecordingError, match="nor did its spool") as refused:
        await ledger.executor.run(a_call(), lock_then_answer)
    assert refused.value.retryable
    assert len(made) == 1
    assert await asyncio.to_thread(ledger.writer.close, 0.5) == 1
    made[0].release()
    assert await asyncio.to_thread(ledger.writer.close) == 0
    assert statuses() == ["completed"]


async def test_neither_takes_the_row(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the database locked and a spool that is no folder any more, nothing is sent; when
    either is mended, calls work again.
    """
    monkeypatch.setenv("LLM_WRITE_TIMEOUT", "0.5")
    async with open_llm_services() as llm:
        (tmp_path / "spool").rmdir()
        (tmp_path / "spool").write_text("in the way")
        lock = Lock(get_engine())
        with pytest.raises(LLMRecordingError):
            await llm.generate_response(HELLO, model="gpt-4o")
        assert vendor.journal() == []
        (tmp_path / "spool").unlink()
        await llm.generate_response(HELLO, model="gpt-4o")
        lock.release()
    assert statuses() == ["completed"]


async def test_away_again_before_it_was_back(
    database_url: str, tmp_path: Path, locks: Callable[[], Lock]
) -> None:
    """A database that fails again while the spool still works loses nobody's row."""
    spool = SlowSpool(tmp_path / "rows")
    ledger = Ledger(spool, patience=3.0)
    lock = locks()
    writes = [ledger.writer.open(opening_row(CallRecord(a_call()), POLICY))]
    await until(lambda: ledger.writer._away is not None)
    writes += [ledger.writer.open(opening_row(CallRecord(a_call()), POLICY)) for _ in range(5)]
    lock.release()
    await until(lambda: ledger.writer._away is None)
    ledger.writer._go_away(LLMRecordingError("again"))
    spool.goes_on.set()
    assert await asyncio.gather(*(write.done for write in writes)) == [None] * 6
    await until(lambda: statuses() == ["pending"] * 6)
    assert await asyncio.to_thread(ledger.writer.close) == 0


async def test_a_disk_that_hangs(
    database_url: str, tmp_path: Path, locks: Callable[[], Lock]
) -> None:
    """A caller waits for its patience and no longer, nothing is sent, and no row stays open."""
    spool = SlowSpool(tmp_path / "rows")
    ledger = Ledger(spool)
    lock = locks()
    first = asyncio.create_task(ledger.calls(1))
    await until(lambda: ledger.writer._away is not None)
    late = asyncio.create_task(ledger.calls(1))
    for call in (first, late):
        with pytest.raises(LLMRecordingError, match="neither the ledger's database nor its spool"):
            await call
    spool.goes_on.set()
    lock.release()
    assert await asyncio.to_thread(ledger.writer.close) == 0
    assert set(statuses()) <= {"failed"}


@pytest.mark.parametrize("ledger", [PLENTY], indirect=True)
async def test_more_than_a_group(ledger: Ledger) -> None:
    """Any number of rows may come at once."""
    writes = [ledger.writer.open(opening_row(CallRecord(a_call()), POLICY)) for _ in range(1_200)]
    assert set(await asyncio.gather(*(write.done for write in writes))) == {None}
    await until(lambda: len(statuses()) == 1_200)


async def test_a_row_that_comes_last_is_not_cleared_away(
    database_url: str, tmp_path: Path, locks: Callable[[], Lock]
) -> None:
    """What is appended while the spool seems drained is drained as well."""
    spool = GrowingSpool(tmp_path / "rows")
    spool.more = [line_of(SpooledRow(opens=True, row=opening_row(CallRecord(a_call()), POLICY)))]
    ledger = Ledger(spool)
    lock = locks()
    await ledger.calls(1)
    lock.release()
    await until(lambda: statuses() == ["completed", "pending"])
    assert await asyncio.to_thread(ledger.writer.close) == 0


async def test_away_again_while_the_spool_is_drained(
    database_url: str, tmp_path: Path, locks: Callable[[], Lock]
) -> None:
    """A database that was back, and takes no row after all, is away again; the row stays."""
    spool = Spool(tmp_path / "rows")
    spool.append([line_of(SpooledRow(opens=True, row=opening_row(CallRecord(a_call()), POLICY)))])
    ledger = Ledger(spool)
    lock = locks()
    store = Store(ledger.writer._engine)
    await asyncio.to_thread(ledger.writer._serve, store)
    assert ledger.writer._away is not None
    store.close()
    lock.release()
    ledger.writer.begin()
    await until(lambda: statuses() == ["pending"])
    assert await asyncio.to_thread(ledger.writer.close) == 0


async def test_a_clock_that_rings_late(ledger: Ledger) -> None:
    """A row that was written in time is no sign of trouble, however late anybody looks."""
    write = ledger.writer.open(opening_row(CallRecord(a_call()), POLICY))
    assert await write.done is None
    time.sleep(ledger.writer._patience)  # noqa: ASYNC251 - the loop is to be late
    await asyncio.sleep(0)
    assert (await asyncio.to_thread(ledger.writer.status)).mode == "normal"


async def test_rows_that_json_cannot_say(ledger: Ledger, locks: Callable[[], Lock]) -> None:
    """On the way to the spool, such a row stops its call, and such an outcome is made bare."""
    lock = locks()
    record = CallRecord(a_call())
    unsayable = {**opening_row(CallRecord(a_call()), POLICY), "context_data": {"what": object()}}
    first = ledger.writer.open(opening_row(record, POLICY))
    refused = ledger.writer.open(unsayable)
    gone = ledger.writer.open(opening_row(CallRecord(a_call()), POLICY))
    gone.done.cancel()
    assert await first.done is None
    alone = ledger.writer.open(opening_row(CallRecord(a_call()), POLICY))
    alone.done.cancel()
    await until(lambda: alone not in ledger.writer._waiting)
    assert "cannot be stored" in str(await refused.done)
    record.cancelled()
    settled = ledger.writer.settle({**outcome(record, POLICY), "response_raw": {"what": object()}})
    assert await settled.done is None
    lock.release()
    await until(lambda: statuses() == ["cancelled"])


async def test_no_table_is_no_outage(
    empty_database_url: str, tmp_path: Path, locks: Callable[[], Lock]
) -> None:
    """Without the table, calls are refused with what to do, and nothing is spooled."""
    ledger = Ledger(Spool(tmp_path / "rows"))
    for _ in range(2):
        with pytest.raises(LLMRecordingError, match="alembic upgrade head") as refused:
            await ledger.executor.run(a_call(), answer)
        assert not refused.value.retryable
    assert (await asyncio.to_thread(ledger.writer.status)).spooled == 0
    await asyncio.to_thread(ledger.writer.close)


async def test_a_table_that_vanishes_during_an_outage(
    ledger: Ledger, locks: Callable[[], Lock]
) -> None:
    """Rows that were spooled wait for their table, and new calls are told what to do meanwhile."""
    lock = locks()
    await ledger.calls(5)
    lock.release()
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE llm_requests RENAME TO elsewhere"))
    for _ in range(2):
        with pytest.raises(LLMRecordingError, match="alembic upgrade head"):
            await ledger.one_after_the_other(asyncio.Event())
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO llm_requests"))
    await until(lambda: ledger.writer.status().spooled == 0)
    assert set(statuses()) == {"completed"}
    assert len(statuses()) >= 5


def make_read_only(engine: Engine) -> None:
    """Let PostgreSQL refuse writes from now on, as a replica after a failover does."""
    with engine.begin() as connection:
        name = engine.url.database
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("ledger", [PLENTY], indirect=True)
async def test_a_server_that_became_read_only(ledger: Ledger) -> None:
    """After a failover to a replica, rows wait for the server that takes them."""
    engine = get_engine()
    name = engine.url.database
    await asyncio.to_thread(make_read_only, engine)
    await ledger.calls(10)
    assert statuses() == []
    with engine.connect() as connection:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"))
        connection.commit()
        connection.execute(text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))
        connection.commit()
    await until(lambda: statuses() == ["completed"] * 10)


@pytest.mark.parametrize("mode", ["immediate", "kill"])
async def test_a_server_that_is_gone_under_load(
    own_postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    mode: StopMode,
) -> None:
    """PostgreSQL stops while calls are under way: all are answered, and all have rows."""
    url = own_postgres_server.url(own_postgres_server.create_database())
    monkeypatch.setenv("DATABASE_URL", url)
    await asyncio.to_thread(upgrade, url)
    ledger = Ledger(Spool(tmp_path / "rows"), PLENTY)
    done = asyncio.Event()
    serving = [asyncio.create_task(ledger.one_after_the_other(done)) for _ in range(20)]
    await until(lambda: len(statuses()) > 20)
    await asyncio.to_thread(own_postgres_server.stop, mode)
    await until(lambda: ledger.writer.status().spooled > 100)
    await asyncio.to_thread(own_postgres_server.start)
    get_engine().dispose()
    await until(lambda: ledger.writer.status().mode == "normal")
    done.set()
    count = sum(await asyncio.gather(*serving))
    assert await asyncio.to_thread(ledger.writer.close) == 0
    assert statuses() == ["completed"] * count
    engine_for(url).dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ledger", [PLENTY], indirect=True)
async def test_a_full_database(ledger: Ledger) -> None:
    """When the database has no room, rows are spooled; when it has, they are there. No restart."""
    event.listen(ledger.writer._engine, "connect", _limit_pages)
    await asyncio.to_thread(ledger.writer.close)  # the next row makes a connection with the limit
    await ledger.calls(300)
    assert len(statuses()) < 300
    assert ledger.writer.status().spooled > 0
    event.remove(ledger.writer._engine, "connect", _limit_pages)
    await until(lambda: statuses() == ["completed"] * 300)
    with get_engine().connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def _limit_pages(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("VACUUM")  # pages that migrations have freed are room, too
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 10}")


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Limits how long files may grow from now on, for this process: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda length: resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_full_disk_and_then_room_again(
    ledger: Ledger, locks: Callable[[], Lock], small_files: Callable[[int], None]
) -> None:
    """A spool that is full in the middle of a row: what was sent loses nothing, what is new is
    refused, and room is all it takes to go on.
    """
    lock = locks()
    sent: list[Call] = []

    async def fill_then_answer(call: Call, attempt: Attempt) -> Reply:
        sent.append(call)
        if len(sent) == 20:
            small_files(ledger.writer.status().spooled * 600)
        return await answer(call, attempt)

    for _ in range(20):
        await ledger.executor.run(a_call(), fill_then_answer)
    with pytest.raises(LLMRecordingError, match="nor"):
        await ledger.one_after_the_other(asyncio.Event(), fill_then_answer)
    small_files(resource.RLIM_INFINITY)
    await ledger.calls(5)
    lock.release()
    await until(lambda: statuses() == ["completed"] * (len(sent) + 5))
    status = await asyncio.to_thread(ledger.writer.status)
    assert (status.torn, status.unwritten) == (0, 0)

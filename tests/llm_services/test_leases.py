"""Leases on open rows: who lives is told by beats alone, and what the gone left open is ended."""

import ast
import asyncio
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert, text
from sqlalchemy.pool import NullPool

from modules.llm_services import repo
from modules.llm_services.executor import Executor
from modules.llm_services.models import LedgerOwner, LLMRequest
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.recording import Caretaker, LedgerWriter, Recorder, ledger_engine
from modules.llm_services.recording import caretaker as caretaker_file
from modules.llm_services.recording import lease as lease_file
from modules.llm_services.recording import watch as watch_file
from modules.llm_services.recording.lease import Lease
from modules.llm_services.recording.watch import Watch
from modules.llm_services.repo import Owner
from modules.llm_services.types import Call
from modules.shared.db import engine_for, get_engine
from tests.llm_services.test_recording import a_call, answer, until
from tests.support.ledger import Lock, rows, statuses
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer

SHORT = 0.5  # seconds; only where nobody who lives could be late
LONG = 3_600.0


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The ledger's engine on the test's database."""
    engine = ledger_engine(get_engine(), 5)
    yield engine
    engine.dispose()


@pytest.fixture
def caretaker(database_url: str) -> Iterator[Caretaker]:
    """A caretaker that soon believes that others are gone."""
    caretaker = a_caretaker()
    yield caretaker
    caretaker.close(30)


def a_caretaker(lease: float = SHORT) -> Caretaker:
    """A caretaker of the test's database."""
    return Caretaker(partial(ledger_engine, get_engine(), 5), lease)


def an_owner(id_: UUID, beat: int | None = 0, *, has_rows: bool = True) -> Owner:
    """An owner as it was seen."""
    return Owner(id=id_, beat=beat, has_rows=has_rows)


def add_rows(count: int = 1, **columns: Any) -> None:
    """Open rows, as a process that is no more has left them."""
    plain = {"status": "pending", "provider": "openai", "model": "m", "messages": []}
    with get_engine().begin() as connection:
        ids = [{"id": uuid4(), **plain, **columns} for _ in range(count)]
        connection.execute(insert(LLMRequest), ids)


def add_owner(id_: UUID, *, pid: int = 4711) -> None:
    """An owner that has said once that it lives."""
    with get_engine().begin() as connection:
        repo.beat(connection, id_, host="there", pid=pid)


def known_owners() -> set[UUID]:
    """Ids in llm_owners."""
    with get_engine().connect() as connection:
        return set(connection.execute(text("SELECT id FROM llm_owners")).scalars())


def own_threads() -> list[threading.Thread]:
    """Caretakers' threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "llm-ledger-caretaker"]


# The watch: no database, no clock but the one it is told.


def test_an_owner_is_gone_after_a_lease_without_a_beat() -> None:
    """Only looks that saw the same beat over a whole lease make somebody gone."""
    watch, owner = Watch(20), an_owner(uuid4())
    looks = [watch.gone([owner], now) for now in (100.0, 105.0, 110.0, 115.0, 119.9, 120.0)]
    assert looks == [[], [], [], [], [], [owner]]


def test_a_beat_begins_a_new_lease() -> None:
    """Whoever beats once in a lease lives for ever."""
    watch, id_ = Watch(20), uuid4()
    for beat in range(50):
        for step in (0, 9, 18):
            assert watch.gone([an_owner(id_, beat)], 100.0 + 19 * beat + step) == []


def test_an_idle_owner_begins_its_lease_with_its_rows() -> None:
    """A process that had nothing to beat for is not gone in the moment when it has."""
    watch, id_ = Watch(20), uuid4()
    for now in range(0, 100, 5):
        watch.gone([an_owner(id_, has_rows=False)], now)
    assert watch.gone([an_owner(id_)], 100) == []
    assert watch.gone([an_owner(id_)], 110) == []
    assert watch.gone([an_owner(id_)], 120) == [an_owner(id_)]


def test_who_did_not_look_judges_nobody() -> None:
    """After a pause of the watcher, or of the database, everybody has a full lease."""
    watch, owner = Watch(20), an_owner(uuid4())
    assert watch.gone([owner], 100) == []
    assert watch.gone([owner], 500) == []  # the watcher itself stood still
    assert watch.gone([owner], 510) == []
    watch.start_over()
    assert watch.gone([owner], 520) == []
    assert watch.gone([owner], 530) == []
    assert watch.gone([owner], 540) == [owner]


@pytest.mark.parametrize("file", [caretaker_file, lease_file, watch_file])
def test_no_wall_clock_takes_part(file: object) -> None:
    """A clock that is set back or forward changes nothing: none is read."""
    tree = ast.parse(inspect.getsource(file))  # type: ignore[arg-type]
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name for name in names if name in {"time.time", "time.time_ns"}}
    assert not {name for name in names if name.split(".")[-1] in {"now", "utcnow", "today"}}


# The database's part.


@pytest.mark.parametrize("year", [1971, 2300])
def test_times_in_rows_do_not_count(database_url: str, year: int) -> None:
    """Rows and owners from a wrong clock are ended when their owner is gone, and not before."""
    when = datetime(year, 1, 1, tzinfo=UTC)
    gone, living = uuid4(), uuid4()
    add_rows(created_at=when, owner_id=gone)
    add_rows(created_at=when, owner_id=living, feature="lives")
    with get_engine().begin() as connection:
        values = {"id": gone, "beat": 7, "host": "h", "pid": 1, "started_at": when}
        connection.execute(insert(LedgerOwner), values)
    stop = threading.Event()
    beating = threading.Thread(target=_beat_until, args=(stop, living))
    beating.start()
    caretaker = a_caretaker(2.0)
    caretaker.hold()
    try:
        _until(lambda: rows("feature IS NULL")[0]["status"] == "failed")
        assert [row["status"] for row in rows("feature = 'lives'")] == ["pending"]
    finally:
        caretaker.close(30)
        stop.set()
        beating.join()


def _beat_until(stop: threading.Event, owner: UUID) -> None:
    while not stop.wait(0.05):
        add_owner(owner)


def _until(condition: Any) -> None:
    asyncio.run(until(condition))


def test_the_gone_are_ended_with_a_reason(
    database_url: str, caretaker: Caretaker, caplog: pytest.LogCaptureFixture
) -> None:
    """What a crash left open says who left it, that it may have been paid, and nothing unknown."""
    gone = uuid4()
    add_owner(gone)
    add_rows(3, owner_id=gone)
    caretaker.hold()
    _until(lambda: statuses() == ["failed"] * 3 and not known_owners() & {gone, str(gone)})
    row = rows()[0]
    assert (row["error_type"], bool(row["maybe_paid"])) == ("Interrupted", True)
    assert "pid 4711 on there" in row["error_message"]
    assert row["completed_at"] is not None
    assert (row["execution_time_ms"], row["cost_estimate"], row["tokens_used"]) == (None,) * 3
    assert [r.levelname for r in caplog.records if "3 open requests" in r.message] == ["WARNING"]


def test_who_never_beat_is_gone_as_well(database_url: str, caretaker: Caretaker) -> None:
    """A process that died before its first beat leaves nothing open either."""
    add_rows(owner_id=uuid4())
    caretaker.hold()
    _until(lambda: statuses() == ["failed"])
    assert "never said its name" in rows()[0]["error_message"]


def test_rows_without_an_owner_are_left_alone(database_url: str, caretaker: Caretaker) -> None:
    """Batches stay open for hours, an older engine's rows are its own: neither is touched."""
    dead, batch = uuid4(), uuid4()
    add_rows(2, feature="legacy")
    add_rows(2, batch_id=batch, feature="batch")
    add_rows(2, batch_id=batch, owner_id=dead, feature="owned batch")
    add_rows(owner_id=dead, feature="gone")
    add_rows(status="completed", owner_id=dead, feature="done")
    add_rows(status="failed", error_type="Timeout", owner_id=dead, feature="failed")
    before = rows("feature <> 'gone'")
    caretaker.hold()
    _until(lambda: rows("feature = 'gone'")[0]["status"] == "failed")
    assert rows("feature <> 'gone'") == before


def test_the_dead_without_rows_are_forgotten(database_url: str, caretaker: Caretaker) -> None:
    """Owners that ended without a word do not pile up."""
    for pid in range(5):
        add_owner(uuid4(), pid=pid)
    caretaker.hold()
    _until(lambda: known_owners() == set())


def test_many_reapers_end_each_row_once(database_url: str, engine: Engine) -> None:
    """However many processes notice a death at once, the sum of what they end is what was open."""
    gone = uuid4()
    add_rows(1_200, owner_id=gone)
    barrier = threading.Barrier(4)

    def reap() -> int:
        barrier.wait()
        ended = 0
        while "pending" in statuses():
            with engine.begin() as connection:
                ended += repo.interrupt(connection, an_owner(gone, None), "gone", 100)
        return ended

    with ThreadPoolExecutor(4) as pool:
        counts = [future.result() for future in [pool.submit(reap) for _ in range(4)]]
    assert sum(counts) == 1_200
    assert statuses() == ["failed"] * 1_200


def test_a_beat_in_the_last_moment_saves(database_url: str, engine: Engine) -> None:
    """Who beats between the look and the end is neither ended nor forgotten."""
    owner = uuid4()
    add_owner(owner)
    add_rows(owner_id=owner)
    with engine.connect() as connection:
        [seen] = repo.owners(connection)
    add_owner(owner)
    with engine.begin() as connection:
        assert repo.interrupt(connection, seen, "gone", 100) == 0
        assert repo.interrupt(connection, an_owner(owner, None), "gone", 100) == 0
    with get_engine().begin() as connection:
        connection.execute(text("DELETE FROM llm_requests"))
        repo.forget(connection, seen)
    assert len(known_owners()) == 1


def test_looking_reads_a_small_index(database_url: str, engine: Engine) -> None:
    """A ledger of millions costs a look no more than its open rows do."""
    add_rows(owner_id=uuid4())
    with engine.connect() as connection:
        assert "ix_llm_requests_owner" in _plan(connection)


def _plan(connection: Connection) -> str:
    look = str(repo.HOLDERS.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET enable_seqscan = off"))  # a table of one row is read whole
        return str(connection.execute(text(f"EXPLAIN {look}")).all())
    return str(connection.execute(text(f"EXPLAIN QUERY PLAN {look}")).all())


# The thread.


async def test_a_call_has_an_owner_that_beats(database_url: str, engine: Engine) -> None:
    """While a call is under way its row names an owner, and that owner is known by host and pid."""
    writer = LedgerWriter(engine, caretaker=a_caretaker(LONG))
    executor = Executor(Recorder(writer, patience=5), PriceList())

    async def look(call: Call, attempt: Attempt) -> Reply:
        await until(lambda: len(known_owners()) == 1)
        return await answer(call, attempt)

    await executor.run(a_call(), look)
    [row] = rows()
    assert (row["status"], row["owner_id"]) == ("completed", *known_owners())
    assert await asyncio.to_thread(writer.close) == 0
    assert known_owners() == set()


async def test_closing_ends_what_is_still_open(database_url: str, engine: Engine) -> None:
    """Nothing is pending after the end; an answer that comes all the same still wins."""
    writer = LedgerWriter(engine, caretaker=a_caretaker(LONG))
    executor = Executor(Recorder(writer, patience=5), PriceList())
    gate = asyncio.Event()

    async def late(call: Call, attempt: Attempt) -> Reply:
        await gate.wait()
        return await answer(call, attempt)

    task = asyncio.create_task(executor.run(a_call(), late))
    await until(lambda: statuses() == ["pending"])
    await asyncio.to_thread(writer.close)
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", "Interrupted")
    assert "before the request had ended" in row["error_message"]
    gate.set()
    await task
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("completed", None)
    assert await asyncio.to_thread(writer.close) == 0


async def test_each_life_is_an_owner_of_its_own(database_url: str, engine: Engine) -> None:
    """A caretaker that was closed begins again, under another name, with the next row."""
    caretaker = a_caretaker(LONG)
    writer = LedgerWriter(engine, caretaker=caretaker)
    executor = Executor(Recorder(writer, patience=5), PriceList())
    for _ in range(2):
        await executor.run(a_call(), answer)
        await asyncio.to_thread(writer.close)
    assert len({row["owner_id"] for row in rows()}) == 2
    await asyncio.to_thread(caretaker.close)  # closing twice does no harm


def test_the_thread_ends_when_nobody_needs_it(database_url: str) -> None:
    """A forgotten caretaker is nothing after a while; a held one stays until it is closed."""
    before = set(own_threads())
    forgotten, held = a_caretaker(), a_caretaker()
    forgotten.owned({"batch_id": None})
    held.hold()
    _until(lambda: len(set(own_threads()) - before) == 1)
    held.close(30)
    assert set(own_threads()) <= before


def test_an_open_row_keeps_the_thread(database_url: str) -> None:
    """As long as a row is open its owner beats, whether or not anybody holds it."""
    before = set(own_threads())
    caretaker = a_caretaker()
    owner = caretaker.owned({"batch_id": None})["owner_id"]
    add_rows(owner_id=owner)
    _until(lambda: _beat_of(owner) > 8)
    with get_engine().begin() as connection:
        connection.execute(text("DELETE FROM llm_requests"))
    _until(lambda: set(own_threads()) <= before)
    assert known_owners() == set()


def _beat_of(owner: UUID) -> int:
    with get_engine().connect() as connection:
        return max([o.beat or 0 for o in repo.owners(connection) if o.id == owner], default=0)


def test_after_a_fork_a_caretaker_is_another_owner(database_url: str) -> None:
    """A child that uses its parent's caretaker does not speak in its parent's name."""
    before = set(own_threads())
    caretaker = a_caretaker()
    parent = caretaker.owned({"batch_id": None})["owner_id"]
    caretaker_file._after_fork()
    assert caretaker.owned({"batch_id": None})["owner_id"] != parent
    _until(lambda: set(own_threads()) <= before)


def test_rows_of_batches_start_nothing(database_url: str) -> None:
    """A batch's rows have no owner: they outlive their process."""
    before = set(own_threads())
    row = a_caretaker().owned({"batch_id": uuid4(), "model": "m"})
    assert (row["owner_id"], row["model"]) == (None, "m")
    assert set(own_threads()) <= before


def test_a_locked_database_is_told_of_once(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who cannot beat complains once, judges nobody, and goes on when the lock is gone."""
    engine = ledger_engine(get_engine(), 0.1)
    own, gone = Lease(engine, 0.0), uuid4()
    add_rows(owner_id=gone)
    lock = _lock_everything()
    try:
        assert own.round(opened=False)
        assert own.round(opened=False)
        own.leave()
    finally:
        lock.release()
    assert statuses() == ["pending"]
    assert sum("wait for the database" in r.message for r in caplog.records) == 1
    assert not own.round(opened=False)
    assert statuses() == ["failed"]
    engine.dispose()


def _lock_everything() -> Lock:
    lock = Lock(get_engine())
    if get_engine().dialect.name == "postgresql":
        lock._connection.exec_driver_sql("LOCK TABLE llm_owners IN ACCESS EXCLUSIVE MODE")
    return lock


def test_a_stuck_database_does_not_keep_the_process() -> None:
    """Closing waits for its patience and no longer, whatever the driver hangs in."""
    gate = threading.Event()

    def stuck() -> Any:
        gate.wait()
        raise OSError

    engine = create_engine("sqlite://", creator=stuck, poolclass=NullPool)
    before = set(own_threads())
    caretaker = Caretaker(lambda: engine, LONG)
    caretaker.hold()
    caretaker.close(0.05)
    [thread] = set(own_threads()) - before
    assert thread.daemon
    gate.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.postgresql
def test_a_database_that_was_away_gives_everybody_time(
    own_postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """PostgreSQL dies and comes back after many leases: the living keep their rows."""
    url = own_postgres_server.url(own_postgres_server.create_database())
    monkeypatch.setenv("DATABASE_URL", url)
    upgrade(url)
    living, watching = (a_caretaker(1.5) for _ in range(2))
    owner = living.owned({"batch_id": None})["owner_id"]
    add_rows(owner_id=owner, feature="lives")
    watching.hold()
    _until(lambda: _beat_of(owner) > 1)
    own_postgres_server.stop("immediate")
    _until(lambda: sum("wait for the database" in r.message for r in caplog.records) == 2)
    own_postgres_server.start()
    get_engine().dispose()
    add_rows(owner_id=uuid4(), feature="gone")
    _until(lambda: rows("feature = 'gone'")[0]["status"] == "failed")
    assert rows("feature = 'lives'")[0]["status"] == "pending"
    for caretaker in (living, watching):
        caretaker.close(30)
    engine_for(url).dispose()

"""The spool by itself: what is on the disk when a process dies, whose it is, what is torn."""

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import create_engine, event, make_url

from modules.llm_services.ids import uuid7
from modules.llm_services.recording import (
    LedgerWriter,
    PayloadPolicy,
    Spool,
    ledger_engine,
    spool_of,
)
from modules.llm_services.recording.drain import Drain
from modules.llm_services.recording.lines import SpooledRow, entry_of, line_of
from modules.llm_services.recording.record import CallRecord
from modules.llm_services.recording.rows import opening_row, outcome
from modules.llm_services.recording.segment import Segment, _abandon_all, _locked
from modules.llm_services.recording.store import Store
from modules.llm_services.types import LLMMessageDTO
from modules.shared.db import get_engine
from tests.llm_services.test_recording import a_call
from tests.support.ledger import Lock, rows, statuses

POLICY = PayloadPolicy()
ROOT = Path(__file__).resolve().parents[2]


def rows_of_a_call(**changes: Any) -> list[SpooledRow]:
    """The opening row and the outcome of a call that was cancelled."""
    record = CallRecord(a_call(**changes))
    opening = SpooledRow(opens=True, row=opening_row(record, POLICY))
    record.cancelled()
    return [opening, SpooledRow(opens=False, row=outcome(record, POLICY))]


def lines_of_calls(count: int, **changes: Any) -> list[bytes]:
    """The lines of so many calls."""
    return [line_of(row) for _ in range(count) for row in rows_of_a_call(**changes)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for segments."""
    folder = tmp_path / "rows"
    folder.mkdir()
    return folder


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """The table of the test's database."""
    store = Store(ledger_engine(get_engine(), 20))
    yield store
    store.close()


def drain(folder: Path, store: Store) -> Spool:
    """Drain what processes left behind; the spool that did it."""
    spool = Spool(folder)
    drain = Drain(spool)
    while drain.adopted(store)[0]:
        pass
    drain.release()
    return spool


def left_behind(folder: Path, data: bytes) -> Path:
    """A segment of a process that is gone."""
    path = folder / "gone.jsonl"
    path.write_bytes(data)
    return path


def test_a_row_comes_back_as_it_was() -> None:
    """Ids, times, text in every script and nested values survive the line."""
    said = LLMMessageDTO(role="user", content="a\u2028b \N{PILE OF POO} \\u0041\n")
    for row in rows_of_a_call(messages=(said,), parameters={"seed": 7, "stop": ["x"]}):
        read = entry_of(line_of(row))
        assert read is not None
        assert (read.opens, read.row) == (row.opens, row.row)


def test_what_a_database_refuses_is_not_in_the_spool_either() -> None:
    """NUL, lone surrogates and NaN are made storable on the way."""
    row = {"id": uuid7(), "context_data": {"nul": "\x00", "half": "\ud800", "nan": float("nan")}}
    read = entry_of(line_of(SpooledRow(opens=True, row=row)))
    assert read is not None
    assert read.row["context_data"] == {
        "nul": "\N{REPLACEMENT CHARACTER}",
        "half": "?",
        "nan": "nan",
    }


def test_an_older_versions_outcome_is_written(folder: Path, store: Store) -> None:
    """What was spooled before an upgrade is drained after it: columns that are new stay NULL."""
    opening, end = rows_of_a_call()
    older = {name: value for name, value in end.row.items() if name != "response_raw"}
    left_behind(folder, line_of(opening) + line_of(SpooledRow(opens=False, row=older)))
    assert drain(folder, store).rejected == 0
    assert [(row["status"], row["error_message"]) for row in rows()] == [("cancelled", None)]


def test_columns_of_a_newer_version_are_left_out() -> None:
    """An older process that drains a newer one's segment writes what it knows."""
    read = entry_of(line_of(SpooledRow(opens=True, row={"id": uuid7(), "mood": "good"})))
    assert read is not None
    assert list(read.row) == ["id"]


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"00000000 {}\n", b"\xff\xfe\n", b"%08x {}\n" % crc32(b"{}")],
    ids=["nothing", "empty", "wrong checksum", "bytes", "no row"],
)
def test_what_is_no_record_is_none(line: bytes) -> None:
    """Whatever a disk holds after a crash is read without an error."""
    assert entry_of(line) is None


def test_every_torn_end_is_skipped(folder: Path) -> None:
    """Cut at any byte of its last record, a segment gives all others, and the rest is counted."""
    whole = b"".join(lines_of_calls(1))
    last = line_of(SpooledRow(opens=True, row=rows_of_a_call(provider="p")[0].row))
    for length in range(len(last)):
        segment = Segment.adopt(left_behind(folder, whole + last[:length]))
        assert segment is not None
        chunk = segment.read()
        assert len(chunk.entries) == 2
        assert list(chunk.torn) == ([last[:length]] if length else [])
        segment.abandon()


def test_garbage_is_kept_and_said_once(
    folder: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Torn lines cost nobody else a row; they are counted, kept and told of in one line."""
    lines = lines_of_calls(3)
    left_behind(folder, b"".join([lines[0], b"garbage\n", *lines[1:], b"\x00\x00torn"]))
    spool = drain(folder, store)
    assert statuses() == ["cancelled"] * 3
    assert spool.torn == 2
    assert [path.name for path in folder.iterdir()] == ["gone.corrupt"]
    assert (folder / "gone.corrupt").read_bytes() == b"garbage\n\x00\x00torn"
    assert [r.levelname for r in caplog.records if "2 lines" in r.message] == ["WARNING"]


def test_a_row_that_no_table_holds_is_set_aside(
    folder: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """An opening row that fits no column is kept beside the segment with its outcome, also with
    one that comes later; all others are written.
    """
    bad, good = lines_of_calls(1, provider=None), lines_of_calls(2)
    left_behind(folder, b"".join([*good[:2], *bad, *good[2:]]))
    spool = drain(folder, store)
    assert statuses() == ["cancelled"] * 2
    assert spool.rejected == 2
    kept = [
        entry_of(line) for line in (folder / "gone.rejected").read_bytes().splitlines(keepends=True)
    ]
    assert [entry and entry.row for entry in kept] == [
        entry and entry.row for entry in map(entry_of, bad)
    ]
    assert "the database cannot hold the row" in caplog.text
    assert (folder / "gone.rejected").stat().st_mode & 0o077 == 0


def test_an_outcome_that_no_column_holds_is_stored_bare(folder: Path, store: Store) -> None:
    """As when it comes straight from the call."""
    opening, end = rows_of_a_call()
    absurd = SpooledRow(opens=False, row={**end.row, "prompt_tokens": 2**70})
    left_behind(folder, line_of(opening) + line_of(absurd))
    assert drain(folder, store).rejected == 0
    [row] = rows()
    assert (row["status"], row["prompt_tokens"]) == ("cancelled", None)


def test_an_outcome_that_not_even_bare_fits_is_set_aside(folder: Path, store: Store) -> None:
    """It stays readable for a person; the row stays open for the reaper."""
    opening, end = rows_of_a_call()
    hopeless = SpooledRow(opens=False, row={**end.row, "status": None})
    left_behind(folder, line_of(opening) + line_of(hopeless))
    assert drain(folder, store).rejected == 1
    assert statuses() == ["pending"]


def test_lines_that_cannot_be_kept_are_told(
    folder: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A side file that cannot be written stops nobody."""
    (folder / "gone.corrupt").mkdir()
    left_behind(folder, b"".join([b"garbage\n", *lines_of_calls(1)]))
    drain(folder, store)
    assert statuses() == ["cancelled"]
    assert "1 lines could not be kept" in caplog.text


def test_draining_twice_changes_nothing(folder: Path, store: Store) -> None:
    """A process that dies while it drains leaves the segment, and the next writes no row twice."""
    data = b"".join(lines_of_calls(300))
    left_behind(folder, data)
    drain(folder, store)
    left_behind(folder, data)
    drain(folder, store)
    assert statuses() == ["cancelled"] * 300
    assert list(folder.iterdir()) == []


def test_long_rows_are_read_a_few_at_a_time(folder: Path) -> None:
    """A group is bounded in bytes as well, so that long prompts do not fill the memory."""
    long = line_of(SpooledRow(opens=True, row={"id": uuid7(), "messages": "x" * 5_000_000}))
    segment = Segment.adopt(left_behind(folder, long * 4))
    assert segment is not None
    assert 0 < len(segment.read().entries) < 4
    segment.abandon()


def test_a_segment_has_one_owner(folder: Path) -> None:
    """While its process lives nobody adopts it; a drained one is removed with its lock held."""
    spool = Spool(folder)
    spool.append(lines_of_calls(1))
    assert spool.own is not None
    assert Segment.adopt(spool.own.path) is None
    assert spool.own.path.stat().st_mode & 0o077 == 0
    assert Spool(folder).orphans() == []
    assert spool.release() == 2
    [adopted] = Spool(folder).orphans()
    assert Spool(folder).orphans() == []
    adopted.start = adopted.end
    adopted.release()
    adopted.release()
    assert list(folder.iterdir()) == []


def test_a_file_that_was_removed_meanwhile_is_nobodys(folder: Path) -> None:
    """Between opening and locking, another process may have drained and removed it."""
    path = left_behind(folder, b"")
    assert Segment.adopt(folder / "never.jsonl") is None
    descriptor = os.open(path, os.O_RDWR)
    path.unlink()
    assert not _locked(descriptor)
    os.close(descriptor)


def test_a_new_file_that_somebody_took_is_left_to_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a new segment is locked it looks like a dead process's: then another one is made."""
    lock, taken = fcntl.flock, list[Segment]()

    def late(descriptor: int, operation: int) -> None:
        if not taken:
            monkeypatch.setattr(fcntl, "flock", lock)
            taken.extend(Spool(folder).orphans())
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    spool = Spool(folder)
    spool.append(lines_of_calls(1))
    assert spool.own is not None
    assert spool.own.path != taken[0].path
    taken[0].release()
    assert list(folder.iterdir()) == [spool.own.path]
    spool.release()


def test_a_disk_without_locks_holds_no_spool(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked, rows are refused rather than left to two owners."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks"):
        Spool(folder).append([b"x\n"])
    assert list(folder.iterdir()) == []
    left_behind(folder, b"x\n")
    assert Spool(folder).orphans() == []


def test_databases_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password changes nothing; a host, a database and a working directory do."""

    def name(url: str) -> str:
        folder = spool_of(tmp_path, make_url(url)).folder
        assert folder is not None
        return folder.name

    one = name("postgresql+psycopg://me:secret@h/one")
    assert name("postgresql+psycopg://me:other@h/one?password=x") == one
    assert name("postgresql+psycopg://me:secret@h/two") != one
    monkeypatch.chdir(tmp_path)
    here = name("sqlite:///backend.db")
    assert here == name(f"sqlite:///{tmp_path}/backend.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert name("sqlite:///backend.db") != here
    assert spool_of(None, make_url("sqlite:///backend.db")).folder is None


def test_what_waits_is_counted_over_all_processes(folder: Path) -> None:
    """Rows and the oldest of them; what cannot be read counts as nothing."""
    record = CallRecord(a_call(), created_at=datetime(2026, 1, 1, tzinfo=UTC))
    old = line_of(SpooledRow(opens=True, row=opening_row(record, POLICY)))
    left_behind(folder, old)
    (folder / "folder.jsonl").mkdir()
    (folder / "nowhere.jsonl").symlink_to(folder / "nothing")
    spool = Spool(folder)
    spool.append(lines_of_calls(2))
    assert spool.spooled().rows == 5
    assert spool.spooled().oldest == record.created_at
    assert Spool().spooled().rows == 0
    spool.release()


SCRIPT = """
    import os, sys, time
    sys.path[:0] = ["backend", "."]
    from pathlib import Path
    from modules.llm_services.recording import Spool
    from tests.llm_services.test_spool import lines_of_calls
    spool = Spool(Path(sys.argv[1]))
"""


def start(folder: Path, body: str) -> "subprocess.Popen[str]":
    """Python in a process of its own, with a spool."""
    script = textwrap.dedent(SCRIPT) + textwrap.dedent(body)
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)


def said(process: "subprocess.Popen[str]") -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_was_appended_survives_a_kill(folder: Path, store: Store) -> None:
    """`kill -9` in the middle of appending loses no row that was promised, and the living
    process beside it keeps its own.
    """
    other = Spool(folder)
    other.append(lines_of_calls(1))
    process = start(
        folder,
        """
        count = 0
        while True:
            spool.append(lines_of_calls(1))
            count += 1
            print(count, flush=True)
    """,
    )
    for _ in range(200):
        promised = int(said(process))
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    promised = int(rest.split()[-1]) if rest.split() else promised
    drain(folder, store)
    assert promised <= len(statuses()) <= promised + 1
    assert set(statuses()) <= {"cancelled", "pending"}
    assert other.own is not None
    assert [path.name for path in folder.glob("*.jsonl")] == [other.own.path.name]
    other.release()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_fork_does_not_share_a_segment(folder: Path, store: Store) -> None:
    """A child that lives on neither holds its parent's lock nor writes into its segment."""
    process = start(
        folder,
        """
        spool.append(lines_of_calls(1))
        child = os.fork()
        if child == 0:
            spool.append(lines_of_calls(1))
            print(os.getpid(), flush=True)
            time.sleep(60)
        time.sleep(60)
    """,
    )
    child = int(said(process))
    assert len(list(folder.glob("*.jsonl"))) == 2
    assert Spool(folder).orphans() == []
    process.kill()
    process.wait()
    drain(folder, store)
    assert statuses() == ["cancelled"]
    os.kill(child, signal.SIGKILL)
    process.communicate()
    drain(folder, store)
    assert statuses() == ["cancelled"] * 2


def test_a_segment_that_the_disk_no_longer_gives(
    folder: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left as it is, for a later process; rows go to a new one."""
    spool = Spool(folder)
    spool.append(lines_of_calls(1))
    assert spool.own is not None
    segment = spool.own
    os.close(segment._open)
    assert Drain(spool).own(store, to_the_end=True) is None
    assert "is left as it is" in caplog.text
    spool.append(lines_of_calls(1))
    assert spool.own is not segment
    spool.release()


def test_what_a_long_outage_left_is_drained_at_the_start(folder: Path, database_url: str) -> None:
    """Thousands of rows are written in groups, by whoever starts next; `benchmarks` has more."""
    left_behind(folder, b"".join(lines_of_calls(1_200)))
    writer = LedgerWriter(ledger_engine(get_engine(), 20), Spool(folder), patience=20)
    writer.begin()
    assert writer.close(60) == 0
    assert statuses() == ["cancelled"] * 1_200
    assert writer.status().spooled == 0


def test_an_outage_while_others_rows_are_drained(folder: Path, database_url: str) -> None:
    """What was adopted is given back, and is there for the next who looks."""
    left_behind(folder, b"".join(lines_of_calls(1)))
    store, drain = Store(ledger_engine(get_engine(), 0.2)), Drain(Spool(folder))
    lock = Lock(get_engine())
    more, refusal = drain.adopted(store)
    assert (more, refusal is not None) == (False, True)
    lock.release()
    drain.look_again()
    assert drain.adopted(store) == (True, None)
    assert statuses() == ["cancelled"]
    store.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_segment_that_cannot_be_emptied(folder: Path, store: Store) -> None:
    """It is left behind, rows go to a new one, and draining it again changes nothing."""
    spool = Spool(folder)
    spool.append(lines_of_calls(1))
    assert spool.own is not None
    drain = Drain(spool)
    assert drain.own(store, to_the_end=True) is None
    read_only = os.open(spool.own.path, os.O_RDONLY)
    os.dup2(read_only, spool.own._open)
    os.close(read_only)
    assert drain.clear()
    spool.append(lines_of_calls(1))
    assert len(list(folder.iterdir())) == 2
    spool.release()


def test_a_closed_segment_takes_nothing(folder: Path) -> None:
    """A forked child's segments are closed; what is asked of them is refused, not misdirected."""
    spool = Spool(folder)
    spool.append(lines_of_calls(1))
    segment = spool.own
    assert segment is not None
    _abandon_all()
    assert segment.is_drained
    with pytest.raises(OSError, match="is closed"):
        segment.append([b"x"])
    assert segment.path.exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_outdated_table_is_no_outage(store: Store) -> None:
    """A table that lacks columns is refused with what to do."""
    with get_engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE llm_requests DROP COLUMN tenant")
    refusal = store.write(rows_of_a_call()).refusal
    assert refusal is not None
    assert not refusal.retryable
    assert "alembic upgrade head" in str(refusal)


def test_a_row_that_is_wrong_hides_no_outage(store: Store) -> None:
    """A database that goes away while a spoilt group is written row by row has taken none of it."""
    event.listen(store._engine, "before_cursor_execute", _refuse_updates)
    bad, end = rows_of_a_call(provider=None)
    assert store.write([bad]).spoilt[0][0] is bad
    refusal = store.write([bad, end]).refusal
    assert refusal is not None
    assert refusal.retryable


def _refuse_updates(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
    if statement.startswith("UPDATE"):
        raise ConnectionResetError


def test_a_server_that_says_nothing_about_its_tables(tmp_path: Path) -> None:
    """When the tables cannot even be asked for, it is an outage."""
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    event.listen(engine, "connect", _never_executes)
    store = Store(engine)
    assert not store._schema_is_behind()
    store.close()


def _never_executes(connection: sqlite3.Connection, _record: object) -> None:
    connection.set_authorizer(lambda *_question: sqlite3.SQLITE_DENY)

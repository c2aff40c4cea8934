"""Entries in an SQLite file: they survive restarts, and processes of one machine share them.

An own table instead of a library: diskcache, the usual one, has had no release since 2023 and
unpickles what it finds. A file that is damaged is replaced; nothing in it is worth a repair.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from .entry import ENTRY_VERSION, Labels, Selection, labels_from
from .store import Trouble

P = ParamSpec("P")
T = TypeVar("T")

_BUSY = 0.5  # seconds to wait for another process's write
_AFTER = 0.9  # of the bound is left after a clearing out
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# No write-ahead log: whoever closes a file that another process has replaced would take the log
# of the new one along. Durability is not needed, and a crash of a process loses nothing.
_PREPARE = (
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=TRUNCATE",
    "PRAGMA synchronous=OFF",
    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, until REAL, stored_at REAL,"
    " provider TEXT, model TEXT, feature TEXT, user TEXT, tenant TEXT, packed BLOB)",
    "CREATE INDEX IF NOT EXISTS entries_by_age ON entries (stored_at)",
)


class DiskStore:
    """A file in ``folder`` of about ``max_bytes`` at most; the oldest entries go first."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._path = folder / f"answers-{ENTRY_VERSION}.db"
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        self._lock = threading.Lock()
        self._trouble = Trouble(f"file {self._path.name} of LLM_CACHE_DIR")

    async def get(self, key: str) -> bytes | None:
        """What is kept under a key."""
        return await asyncio.to_thread(self._attempted, _get, key)

    def at_hand(self, _key: str) -> bytes | None:
        """Nothing: what is kept here has to be waited for."""
        return None

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[bytes | None]:
        """The same: processes that share the file do not wait for each other."""
        yield await self.get(key)

    async def put(self, key: str, packed: bytes, labels: Labels, seconds: float) -> None:
        """Keep bytes, and forget what is then too much."""
        if len(packed) > self._max_bytes // 10:
            return
        await asyncio.to_thread(self._attempted, _put, key, packed, labels, seconds)
        await asyncio.to_thread(self._attempted, _bound, self._max_bytes)

    async def clear(self, selection: Selection) -> int:
        """Forget entries of all processes. Raises `OSError` when it cannot."""
        return await asyncio.to_thread(self._clear, selection)

    async def aclose(self) -> None:
        """Nothing belongs to a loop."""

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._let_go()

    def _clear(self, selection: Selection) -> int:
        with self._lock:
            try:
                return self._done(_clear, selection)
            except sqlite3.Error as error:
                raise OSError(f"{self._path.name}: {error}") from error

    def _attempted(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        with self._lock:
            try:
                result = self._done(work, *args, **kwargs)
            except (sqlite3.Error, OSError) as error:
                self._let_go()
                self._trouble.tell(error)
                return None
            self._trouble.over()
            return result

    def _done(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The work done; on a new file when the old one is damaged."""
        try:
            return work(self._opened(), *args, **kwargs)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                raise
            self._trouble.tell(error)
            self._replace()
            return work(self._opened(), *args, **kwargs)

    def _opened(self) -> sqlite3.Connection:
        """The connection to the file that is there now: somebody may have replaced it."""
        if self._connection is None or _identity(self._path) != self._file:
            self._let_go()
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))  # answers are nobody else's
        self._file = _identity(self._path)
        connection = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            for statement in _PREPARE:
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _replace(self) -> None:
        self._let_go()
        if _identity(self._path) == self._file:  # else another process was quicker
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _identity(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)  # errors of the Python module itself have none
    return code & 0xFF in _DAMAGED


def _get(connection: sqlite3.Connection, key: str) -> bytes | None:
    statement = "SELECT packed FROM entries WHERE key = ? AND until > ?"
    found = connection.execute(statement, (key, time.time())).fetchone()
    return None if found is None else bytes(found[0])


def _put(
    connection: sqlite3.Connection, key: str, packed: bytes, labels: Labels, seconds: float
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(key, time.time() + seconds, labels.stored_at, labels.provider, labels.model),
            *(labels.feature, labels.user, labels.tenant, packed),
        ),
    )


def _bound(connection: sqlite3.Connection, max_bytes: int) -> None:
    if _used(connection) <= max_bytes:
        return
    connection.execute("DELETE FROM entries WHERE until <= ?", (time.time(),))
    while _used(connection) > max_bytes * _AFTER:
        connection.execute(
            "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY stored_at"
            " LIMIT 1 + (SELECT count(*) FROM entries) / 20)"
        )
    connection.execute("PRAGMA incremental_vacuum").fetchall()


def _used(connection: sqlite3.Connection) -> int:
    facts = (f"PRAGMA {name}" for name in ("page_count", "freelist_count", "page_size"))
    pages, free, size = (int(connection.execute(fact).fetchone()[0]) for fact in facts)
    return (pages - free) * size


def _clear(connection: sqlite3.Connection, selection: Selection) -> int:
    rows = connection.execute(
        "SELECT key, provider, model, feature, user, tenant, stored_at FROM entries"
    ).fetchall()
    meant = [(key,) for key, *said in rows if selection.matches(labels_from(said))]
    connection.executemany("DELETE FROM entries WHERE key = ?", meant)
    connection.execute("PRAGMA incremental_vacuum").fetchall()
    return len(meant)

"""The one thread that writes a database's ledger, in groups when many callers wait.

A caller hands over a row and awaits the commit that holds it. While one commit is under way the
next rows gather, so that a thousand callers cost a few commits, and a lone caller one, without a
timer. SQLite has one writer at a time anyway; free writers would only fight for its lock.
"""

import asyncio
import atexit
import logging
import os
import queue
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.models import LLMRequest

logger = logging.getLogger(__name__)

_GROUP = 500  # rows a transaction: bounds memory and how long the lock is held
_PATIENCE = 1.0  # seconds until an outcome that the database refused is tried again
_IDLE = 10.0  # seconds without work after which the thread and its connection end
_AWAY = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)
"""The database is down, locked, full or read-only: nothing is wrong with the row."""


@dataclass(slots=True, eq=False)
class Write:
    """A row on its way to the database. ``done`` ends with the commit, or with the refusal."""

    opens: bool
    row: Mapping[str, Any]
    done: "asyncio.Future[LLMRecordingError | None]"
    bare: bool = False


class LedgerWriter:
    """Writes one database's ledger through an engine of its own. `close` drains and stops it.

    Its thread begins with the first row and ends after ``idle`` seconds without one; the next row
    begins another. So an idle process holds no connection, and a forgotten writer nothing at all.
    """

    def __init__(self, engine: Engine, *, idle: float = _IDLE) -> None:
        self._engine = engine
        self._idle = idle
        self._inbox: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._refused: list[Write] = []
        self._unsettled: set[Write] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        _writers.add(self)

    def open(self, row: Mapping[str, Any]) -> Write:
        """Hand over an opening row. It is dropped if its ``done`` is cancelled in time."""
        return self._put(row, opens=True)

    def settle(self, row: Mapping[str, Any]) -> Write:
        """Hand over an outcome. It is written whether or not anybody still waits for it, and
        kept and tried again while the database refuses.
        """
        return self._put(row, opens=False)

    def close(self, patience: float = 10.0) -> int:
        """Write what waits, for ``patience`` seconds at most. Returns how many rows were left."""
        thread = self.stop()
        if thread is not None:
            thread.join(patience)
        left = len(self._unsettled)
        if left:
            logger.error("the ledger was closed with %d outcomes unwritten", left)
        return left

    def stop(self) -> threading.Thread | None:
        """Tell the thread to write what waits and end; returns it, if there is one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(None)
        return thread

    def _put(self, row: Mapping[str, Any], *, opens: bool) -> Write:
        write = Write(opens, row, asyncio.get_running_loop().create_future())
        if not opens:
            self._unsettled.add(write)
        with self._lock:
            self._inbox.put(write)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="llm-ledger-writer", daemon=True
                )
                self._thread.start()
        return write

    def _run(self) -> None:
        group: list[Write | None] = []
        while self._goes_on(group):
            group = self._gather()
            refused, self._refused = self._refused, []
            self._write([*refused, *(write for write in group if write is not None)])

    def _goes_on(self, group: Sequence[Write | None]) -> bool:
        """Until `stop`, or until there is nothing to do for a while."""
        if None in group:
            self._drain()
        elif group or self._refused:
            return True
        with self._lock:
            if None not in group and not self._inbox.empty():
                return True
            self._engine.dispose()
            if self._thread is threading.current_thread():
                self._thread = None
        return False

    def _drain(self) -> None:
        while self._refused:
            time.sleep(_PATIENCE / 10)
            refused, self._refused = self._refused, []
            self._write(refused)

    def _gather(self) -> list[Write | None]:
        """Wait for something to do, then take all that waits; nothing after an idle time."""
        group: list[Write | None] = []
        with suppress(queue.Empty):
            group.append(self._inbox.get(timeout=_PATIENCE if self._refused else self._idle))
            while len(group) < _GROUP and group[-1] is not None:
                group.append(self._inbox.get_nowait())
        return group

    def _write(self, group: Sequence[Write]) -> None:
        """Commit a group; if one row spoils it, commit each for itself."""
        writes = [write for write in group if not (write.opens and write.done.cancelled())]
        error = self._commit(writes) if writes else None
        if error is None:
            self._end(writes, None)
        elif isinstance(error, _AWAY):
            self._wait_or_refuse(writes, error)
        elif len(writes) > 1:
            for write in writes:
                self._write([write])
        else:
            self._give_up(writes[0], error)

    def _commit(self, writes: Sequence[Write]) -> Exception | None:
        """One transaction; a second one when the connection turns out to have died meanwhile."""
        error = self._transact(writes)
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return self._transact(writes)
        return error

    def _transact(self, writes: Sequence[Write]) -> Exception | None:
        """Whatever a driver raises is an answer to the callers: this thread must go on."""
        try:
            with self._engine.begin() as connection:
                _apply(connection, writes)
        except Exception as error:  # noqa: BLE001 - it is handed on, not swallowed
            return error
        return None

    def _wait_or_refuse(self, writes: Sequence[Write], error: Exception) -> None:
        """An opening row stops its call; an outcome waits until the database is back, unless its
        table is gone, and with it the row that it belongs to.
        """
        refusal = self._explain(error)
        waits = [write for write in writes if refusal.retryable and not write.opens]
        if waits:
            self._refused.extend(waits)
            logger.warning("%d outcomes wait for the ledger's database: %s", len(waits), refusal)
        self._end([write for write in writes if write not in waits], refusal)

    def _give_up(self, write: Write, error: Exception) -> None:
        """A row that the database cannot hold. An outcome is tried once more without its content:
        that a call ended is worth more than how.
        """
        refusal = self._explain(error)
        if write.opens or write.bare:
            self._end([write], refusal)
            return
        logger.error("request %s: the outcome is stored bare: %s", write.row["row_id"], refusal)
        write.row, write.bare = repo.bare_outcome(write.row, str(refusal)), True
        self._write([write])

    def _end(self, writes: Sequence[Write], refusal: LLMRecordingError | None) -> None:
        self._unsettled.difference_update(writes)
        _tell(writes, refusal)

    def _explain(self, error: Exception) -> LLMRecordingError:
        cause = type(getattr(error, "orig", None) or error).__name__
        if not self._table_is_missing():
            return LLMRecordingError(f"the ledger's database did not take the row ({cause})")
        return LLMRecordingError(
            "the table llm_requests does not exist: run `alembic upgrade head`", retryable=False
        )

    def _table_is_missing(self) -> bool:
        try:
            return not inspect(self._engine).has_table(LLMRequest.__tablename__)
        except SQLAlchemyError:
            return False


def _apply(connection: Connection, writes: Sequence[Write]) -> None:
    opening = [write.row for write in writes if write.opens]
    if opening:
        repo.insert_pending(connection, opening)
    outcomes = [write.row for write in writes if not write.opens]
    if outcomes:
        repo.settle(connection, outcomes)


def _tell(writes: Sequence[Write], refusal: LLMRecordingError | None) -> None:
    """Wake the callers, with one call into each of their loops."""
    waiting: dict[asyncio.AbstractEventLoop, list[Write]] = defaultdict(list)
    for write in writes:
        waiting[write.done.get_loop()].append(write)
    for loop, told in waiting.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_wake, told, refusal)


def _wake(writes: Sequence[Write], refusal: LLMRecordingError | None) -> None:
    for write in writes:
        if not write.done.done():
            write.done.set_result(refusal)


_writers: weakref.WeakSet[LedgerWriter] = weakref.WeakSet()
# A forked child has none of its parent's threads, and the rows are the parent's to write.
getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_writers.clear)


@atexit.register
def _close_all() -> None:
    """A process that just ends has its rows written: daemon threads live until after this."""
    for writer in list(_writers):
        writer.close()

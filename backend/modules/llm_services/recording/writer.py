"""The one thread that writes a database's ledger, in groups when many callers wait.

A caller hands over a row and awaits the commit that holds it. While one commit is under way the
next rows gather, so that a thousand callers cost a few commits, and a lone caller one, at once.
SQLite has one writer at a time anyway; free writers would only fight for its lock.

When the database refuses, or says nothing for too long, every row that waits goes to the spool,
and so does every new one: the database is *away*. The thread then tries it from time to time,
writes there what was spooled, and rows take the short way again. A row may well be written twice:
to the spool, and by a commit that came through after all. The second time changes nothing.
"""

import asyncio
import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from modules.llm_services.exceptions import LLMRecordingError

from .caretaker import Caretaker
from .drain import Drain
from .engine import WRITER_THREAD
from .inbox import Inbox
from .lookout import Lookout
from .spool import Spool
from .spooler import Spooler
from .status import LedgerStatus
from .store import Store
from .writes import Write, tell

logger = logging.getLogger(__name__)

_IDLE = 10.0  # seconds without work after which the thread and its connection end
_SHORTEST, _LONGEST = 0.2, 2.0  # seconds between two attempts at a database that is away
_BOUND, _BOUND_AFTER_TROUBLE = 0.5, 0.1  # of the patience: a row is spooled after so long
_TROUBLED = 10.0  # seconds for which a database that was away is trusted less


class LedgerWriter:
    """Writes one database's ledger through an engine of its own. `close` drains and stops it.

    Its thread begins with the first row and ends after ``idle`` seconds without one; the next row
    begins another. So an idle process holds no connection, and a forgotten writer nothing at all.
    ``patience`` is how many seconds a caller waits for a row and its outcome together.
    """

    def __init__(
        self,
        engine: Engine,
        spool: Spool | None = None,
        *,
        patience: float = 2.0,
        idle: float = _IDLE,
        caretaker: Caretaker | None = None,
    ) -> None:
        self._engine = engine
        self._spool = spool or Spool()
        self._patience = patience
        self._idle = idle
        self._caretaker = caretaker
        self._drain = Drain(self._spool)
        self._spooler = Spooler(self._spool, self._end)
        self._inbox = Inbox()
        self._waiting: dict[Write, None] = {}
        self._away: LLMRecordingError | None = None
        self._came_back = -_TROUBLED
        self._pause = _SHORTEST
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._lookout: Lookout | None = None  # of the loop that handed over the last row
        _writers.add(self)

    def begin(self, *, wake: bool = False) -> None:
        """Look for rows that ended processes left in the spool, and write them; with ``wake`` at
        once, also when the thread is waiting for something to do.
        """
        self._drain.look_again()
        with self._lock:
            self._stopping = False
            self._ensure_thread()
        if wake:
            self._inbox.wake()

    def open(self, row: Mapping[str, Any]) -> Write:
        """Hand over an opening row. It is dropped if its ``done`` is cancelled in time."""
        owned = self._caretaker.owned(row) if self._caretaker else row
        return self._put(owned, opens=True)

    def settle(self, row: Mapping[str, Any]) -> Write:
        """Hand over an outcome. It is written whether or not anybody still waits for it, and
        kept and tried again while neither the database nor the spool takes it.
        """
        return self._put(row, opens=False)

    def status(self) -> LedgerStatus:
        """How the ledger is doing. Reads the spool's files: not for an event loop."""
        spooled = self._spool.spooled()
        return LedgerStatus(
            mode="normal" if self._away is None else "away",
            unwritten=len(self._waiting),
            spooled=spooled.rows,
            oldest=spooled.oldest,
            torn=self._spool.torn,
            rejected=self._spool.rejected,
        )

    def close(self, patience: float = 10.0) -> int:
        """Write what waits, for ``patience`` seconds at most; what the database does not take by
        then stays in the spool. Returns how many outcomes are in neither.
        """
        deadline = time.monotonic() + patience
        self._stop(patience * 0.8)
        while self._waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._caretaker:
            self._caretaker.close()
        left, spooled = len(self._waiting), self._spool.release()
        if spooled:
            logger.warning("the ledger was closed: %d rows wait in its spool", spooled)
        if left:
            logger.error("the ledger was closed with %d outcomes unwritten", left)
        return left

    def _stop(self, patience: float) -> None:
        """Let the thread write what waits and end. One that is stuck ends when nothing waits."""
        with self._lock:
            self._stopping = True
            if self._waiting:
                self._ensure_thread()
            thread = self._thread
        if thread is not None:
            self._inbox.wake()
            thread.join(patience)
            if thread.is_alive() and self._waiting:
                self._go_away(LLMRecordingError("the ledger's database did not answer in time"))

    def _put(self, row: Mapping[str, Any], *, opens: bool) -> Write:
        loop = asyncio.get_running_loop()
        write = Write(opens, row, loop.create_future(), loop.time())
        with self._lock:
            if opens and self._away is not None and not self._away.retryable:
                write.done.set_result(LLMRecordingError(str(self._away), retryable=False))
                return write
            self._waiting[write], self._stopping = None, False
            if self._away is None:
                self._inbox.put(write)
            else:
                self._spooler.put([write])
            self._ensure_thread()
        if (lookout := self._lookout) is None or lookout.loop is not loop:
            lookout = self._lookout = Lookout(loop, self._patience, self._bound, self._overdue)
        lookout.over(write)
        return write

    def _bound(self) -> float:
        return self._patience * (_BOUND_AFTER_TROUBLE if self._is_troubled else _BOUND)

    @property
    def _is_troubled(self) -> bool:
        """Whether the database was away lately. When it is locked by one caller after another, as
        SQLite may be, it seems to be back between any two of them.
        """
        return time.monotonic() - self._came_back < _TROUBLED

    def _overdue(self) -> None:
        if self._away is None:
            self._go_away(LLMRecordingError("the ledger's database did not answer in time"))

    def _go_away(self, refusal: LLMRecordingError) -> None:
        """From now on rows go to the spool, and first of all those that wait."""
        with self._lock:
            if self._away is not None:
                self._away = refusal
                return
            self._away = refusal
            self._pause = min(self._pause * 2, _LONGEST)
            self._spooler.database = str(refusal)
            self._spooler.put(list(self._waiting))
        logger.warning("rows wait in the ledger's spool: %s", refusal)

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=WRITER_THREAD, daemon=True)
            self._thread.start()

    def _end(self, writes: Sequence[Write], refusal: LLMRecordingError | None) -> None:
        with self._lock:
            for write in writes:
                self._waiting.pop(write, None)
        tell(writes, refusal)

    def _run(self) -> None:
        store = Store(self._engine)
        while self._thread is threading.current_thread():
            if self._away is None:
                self._serve(store)
            else:
                self._try_again(store)
        store.close()

    def _serve(self, store: Store) -> None:
        """Write what waits: first what was spooled, so that rows stay in order."""
        refusal = self._drain.own(store, to_the_end=True)
        if refusal is not None:
            self._go_away(refusal)
            return
        if not self._drain.clear():
            return  # the database went away, and rows were appended meanwhile
        more, refusal = self._drain.adopted(store)
        if refusal is not None and refusal.retryable:
            self._go_away(refusal)
            return
        group = self._gather(0 if more or self._stopping else self._idle)
        if group:
            self._write(store, group)
        elif not more:
            self._end_thread()

    def _gather(self, seconds: float) -> list[Write]:
        """What waits and is still wanted; nothing after the given time."""
        group = self._inbox.take(seconds)
        unwanted = [write for write in group if not write.is_wanted]
        if unwanted:
            self._end(unwanted, None)
        return [write for write in group if write in self._waiting]

    def _write(self, store: Store, group: Sequence[Write]) -> None:
        written = store.write(group)
        if written.refusal is None:
            if not self._is_troubled:
                self._pause = _SHORTEST
            for write, refusal in written.spoilt:
                self._end([write], refusal)
            self._end([write for write in group if write in self._waiting], None)
        elif written.refusal.retryable:
            self._go_away(written.refusal)
        else:
            self._end(group, written.refusal)

    def _try_again(self, store: Store) -> None:
        """Try a database that was away; when it is back, and has what was spooled, use it."""
        self._inbox.rest(self._pause)
        refusal = store.probe() or self._drain.own(store, to_the_end=False)
        if refusal is None:
            self._come_back()
            return
        self._go_away(refusal)
        self._pause = min(self._pause * 2, _LONGEST)
        if self._stopping and not self._waiting:  # all is durable: another process may go on
            self._end_thread()

    def _come_back(self) -> None:
        with self._lock:
            self._away, self._came_back = None, time.monotonic()
        returned = self._spooler.take_back()
        with self._lock:
            if self._away is None:
                self._inbox.put_back(returned)
            else:
                self._spooler.put(returned)
        self._drain.look_again()
        logger.info("the ledger's database is back")

    def _end_thread(self) -> None:
        with self._lock:
            if self._inbox.is_empty:
                self._drain.release()
                self._thread = None


_writers: weakref.WeakSet[LedgerWriter] = weakref.WeakSet()
# A forked child has none of its parent's threads, and the rows are the parent's to write.
getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_writers.clear)


@atexit.register
def _close_all() -> None:
    """A process that just ends has its rows written: daemon threads live until after this."""
    for writer in list(_writers):
        writer.close()

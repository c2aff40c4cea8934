"""The thread that keeps a process's lease on its open rows, and looks after those of the gone."""

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine

from .engine import CARETAKER_THREAD
from .lease import Lease

_ROUNDS = 4  # a lease: three beats may be lost before anybody misses them


class Caretaker:
    """Gives opening rows their owner, and beats for them from a thread of its own.

    The thread begins with the first row, or with `hold`, and ends with `close`, or by itself when
    nobody holds it and no row has been open for a lease. Each thread is an owner of its own with an
    engine of its own, so that one which is stuck in a database cannot end the rows of the next.
    """

    _thread: threading.Thread | None
    _lease: Lease

    def __init__(self, make_engine: Callable[[], Engine], seconds: float) -> None:
        self._make_engine = make_engine
        self._seconds = seconds
        self._begin_afresh()
        _caretakers.add(self)

    def owned(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """An opening row with its owner. A batch's has none: it outlives the process by design."""
        if row["batch_id"] is not None:
            return {**row, "owner_id": None}
        with self._lock:
            self._opened = True
            return {**row, "owner_id": self._running().owner_id}

    def hold(self) -> None:
        """Look after what others left behind from now on until `close`, also without rows."""
        with self._lock:
            self._held = True
            self._running()

    def close(self, patience: float = 2.0) -> None:
        """End the lease, and with it what is still open. Waits ``patience`` seconds at most."""
        with self._lock:
            thread, stop = self._thread, self._stop
            self._thread, self._held = None, False
        if thread is not None:
            stop.set()
            thread.join(patience)

    def _begin_afresh(self) -> None:
        """Also in a forked child, which has its parent's locks and none of its threads."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = None
        self._opened = self._held = False

    def _running(self) -> Lease:
        """The lease of the thread, which is started when there is none."""
        if self._thread is None:
            self._stop = threading.Event()
            engine = self._make_engine()
            self._lease = Lease(engine, self._seconds)
            self._thread = threading.Thread(
                target=self._run,
                args=(self._lease, engine, self._stop),
                name=CARETAKER_THREAD,
                daemon=True,
            )
            self._thread.start()
        return self._lease

    def _run(self, lease: Lease, engine: Engine, stop: threading.Event) -> None:
        quiet = 0
        while quiet < _ROUNDS or self._goes_on():
            busy = lease.round(opened=self._take_opened())
            quiet = 0 if busy else quiet + 1
            if not busy:
                engine.dispose()  # an idle process holds no connection
            if stop.wait(self._seconds / _ROUNDS):
                break
        lease.leave()
        engine.dispose()

    def _take_opened(self) -> bool:
        with self._lock:
            opened, self._opened = self._opened, False
        return opened

    def _goes_on(self) -> bool:
        with self._lock:
            if self._held or self._opened:
                return True
            if self._thread is threading.current_thread():
                self._thread = None
        return False


_caretakers: weakref.WeakSet[Caretaker] = weakref.WeakSet()


def _after_fork() -> None:
    for caretaker in list(_caretakers):
        caretaker._begin_afresh()  # noqa: SLF001 - nobody else may


getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_after_fork)

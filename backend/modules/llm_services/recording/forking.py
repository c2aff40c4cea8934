"""No fork falls into a transaction of ours.

SQLite notes in the process's memory who holds its locks. A child that is forked while a thread of
its parent holds one would find it held for ever, by nobody, and could not write.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

_PATIENCE = 2.0  # seconds that a fork waits for transactions, which take milliseconds


class Undivided:
    """Any number of threads may be inside; who forks waits until none is."""

    def __init__(self) -> None:
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0

    def __enter__(self) -> None:
        with self._changed:
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until nobody is inside, and let nobody in until the fork is over."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._inside, _PATIENCE)

    def after_in_parent(self) -> None:
        """Let them in again."""
        self._changed.release()

    def after_in_child(self) -> None:
        """The child has none of the threads that were inside."""
        self._begin_afresh()


undivided = Undivided()
getattr(os, "register_at_fork", lambda **_hooks: None)(
    before=undivided.before_fork,
    after_in_parent=undivided.after_in_parent,
    after_in_child=undivided.after_in_child,
)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction on a connection of its own."""
    with undivided, engine.begin() as connection:
        yield connection

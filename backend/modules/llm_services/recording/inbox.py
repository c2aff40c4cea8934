"""Rows on their way to the writer's thread, and how many of them make a group."""

import queue
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from .writes import Write

_GROUP = 500  # rows a transaction: bounds memory and how long the lock is held
_TOGETHER = 0.001  # seconds in which callers who came together may do so again


class Inbox:
    """Taken from by one thread, put into by any."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._returned: list[Write] = []
        self._in_company = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty() and not self._returned

    def put(self, write: Write) -> None:
        """One more row."""
        self._queue.put(write)

    def put_back(self, writes: Iterable[Write]) -> None:
        """Rows that come before all others."""
        self._returned.extend(writes)

    def wake(self) -> None:
        """Let whoever waits look around."""
        self._queue.put(None)

    def rest(self, seconds: float) -> None:
        """Wait for so long, or until something comes; that is dropped, for the spool has it."""
        with suppress(queue.Empty):
            self._queue.get(timeout=seconds)

    def take(self, seconds: float) -> list[Write]:
        """Wait for something to do, then take all that waits; nothing after the given time.

        A row that comes alone is taken at once. Where several came, the others of them are soon to
        follow: a millisecond of waiting halves the commits.
        """
        group, self._returned = self._returned, []
        if not group:
            group.extend(self._next(seconds))
            if group and self._in_company:
                time.sleep(_TOGETHER)
        group.extend(islice(self._waiting(), max(_GROUP - len(group), 0)))
        self._in_company = len(group) > 1
        return group

    def _next(self, seconds: float) -> Iterator[Write]:
        with suppress(queue.Empty):
            if (write := self._queue.get(timeout=seconds)) is not None:
                yield write

    def _waiting(self) -> Iterator[Write]:
        with suppress(queue.Empty):
            while True:
                if (write := self._queue.get_nowait()) is not None:
                    yield write

"""Entries in this process, the least recently used forgotten first."""

import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from .entry import Labels, Selection

_OVERHEAD = 500  # bytes that an entry takes beside its own


class _Kept(NamedTuple):
    packed: bytes
    labels: Labels
    until: float


class MemoryStore:
    """At most ``max_bytes`` in all, and a tenth of that for one entry. Safe for several loops."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    async def get(self, key: str) -> bytes | None:
        """What is kept under a key."""
        return self.at_hand(key)

    def at_hand(self, key: str) -> bytes | None:
        """The same."""
        with self._lock:
            kept = self._entries.get(key)
            if kept is None:
                return None
            if kept.until <= time.time():
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return kept.packed

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[bytes | None]:
        """The same: nobody else shares this store."""
        yield self.at_hand(key)

    async def put(self, key: str, packed: bytes, labels: Labels, seconds: float) -> None:
        """Keep bytes, and forget what is then too much."""
        if _size(packed) > self._max_bytes // 10:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = _Kept(packed, labels, time.time() + seconds)
            self._bytes += _size(packed)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))

    async def clear(self, selection: Selection) -> int:
        """Forget entries of this process."""
        with self._lock:
            meant = [k for k, kept in self._entries.items() if selection.matches(kept.labels)]
            for key in meant:
                self._drop(key)
        return len(meant)

    async def aclose(self) -> None:
        """Nothing belongs to a loop."""

    def close(self) -> None:
        """Nothing is open."""

    def _drop(self, key: str) -> None:
        kept = self._entries.pop(key, None)
        if kept is not None:
            self._bytes -= _size(kept.packed)


def _size(packed: bytes) -> int:
    return len(packed) + _OVERHEAD

"""One file of the spool: lines appended and fsynced, held by a lock while its process lives.

The kernel frees the lock however the process ends, so a segment that can be locked has no owner.
"""

import fcntl
import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

from .lines import SpooledRow, entry_of

_GROUP = 500  # rows that are read at once,
_GROUP_BYTES = 8_000_000  # or fewer, when they are long


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines that follow one another: entries, torn lines as they are, where the next one begins."""

    entries: Sequence[SpooledRow]
    torn: Sequence[bytes]
    end: int


class Segment:
    """An open file and its lock. ``start`` is what has been drained, ``end`` what is good."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.start = 0
        self.end = os.fstat(descriptor).st_size
        self.torn = 0
        self._descriptor: int | None = descriptor
        self._reading = threading.Lock()
        _segments.add(self)

    @classmethod
    def create(cls, folder: Path) -> Self:
        """A new segment of this process. Raises OSError."""
        while True:
            path = folder / f"{uuid4()}.jsonl"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            segment = cls(path, descriptor)
            try:
                if _locked(descriptor):
                    _sync_folder(folder)
                    return segment
            except OSError:
                segment.release()
                raise
            segment.abandon()  # somebody took the empty file for a dead process's

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """A segment whose process is gone; ``None`` when it has an owner, or is no more."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            return None
        with suppress(OSError):
            if _locked(descriptor):
                return cls(path, descriptor)
        os.close(descriptor)
        return None

    def append(self, lines: Sequence[bytes]) -> None:
        """All lines are durable when it returns. Raises OSError, and then none of them is there:
        what a full disk left of them is cut off, or else overwritten by the next.
        """
        data = b"".join(lines)
        try:
            self._write(data)
            os.fsync(self._open)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._open, self.end)
            raise
        self.end += len(data)

    def _write(self, data: bytes) -> None:
        rest, position = memoryview(data), self.end
        while rest:
            written = os.pwrite(self._open, rest, position)
            rest, position = rest[written:], position + written

    def read(self) -> Chunk:
        """The next lines that are not drained yet. Raises OSError."""
        entries: list[SpooledRow] = []
        torn: list[bytes] = []
        position = self.start
        with self._reading, open(self._open, "rb", closefd=False) as file:
            file.seek(position)
            while position < self.end and len(entries) < _GROUP:
                if position - self.start > _GROUP_BYTES:
                    break
                line = file.readline()
                position += len(line)
                entry = entry_of(line)
                torn.append(line) if entry is None else entries.append(entry)
        return Chunk(entries, torn, position)

    @property
    def is_open(self) -> bool:
        """Whether it is still ours."""
        return self._descriptor is not None

    @property
    def is_drained(self) -> bool:
        """Whether nothing in it waits."""
        return self.start >= self.end

    def clear(self) -> None:
        """Forget what was drained; only when all of it was. Raises OSError."""
        os.ftruncate(self._open, 0)
        self.start = self.end = self.torn = 0

    def release(self) -> None:
        """Give it up: a drained file is removed, another waits for whoever takes its lock."""
        with self._reading:
            if self.is_open and self.is_drained:
                with suppress(OSError):
                    self.path.unlink()
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is. In a forked child, this leaves the parent its lock."""
        descriptor, self._descriptor = self._descriptor, None
        self.start = self.end
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    @property
    def _open(self) -> int:
        if self._descriptor is None:
            raise OSError("the spool's segment is closed")
        return self._descriptor


def _locked(descriptor: int) -> bool:
    """Take the lock of a file that still has a name. Raises OSError where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _sync_folder(folder: Path) -> None:
    """A new name is durable when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _abandon_all() -> None:
    for segment in list(_segments):
        segment.abandon()


_segments: weakref.WeakSet[Segment] = weakref.WeakSet()
os.register_at_fork(after_in_child=_abandon_all)

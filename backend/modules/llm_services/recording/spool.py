"""The folder where rows wait while their database is away: one segment for each process.

Processes need no agreement: each appends to a segment that it holds the lock of, and whoever can
lock a segment finds that its process is gone, and may drain it.
"""

import errno
import hashlib
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL

from .lines import entry_of
from .segment import Segment

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """What waits in a spool: rows, and the time of the oldest of them."""

    rows: int
    oldest: datetime | None


class Spool:
    """Takes rows durably. Without a folder it takes none, and says so."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.own: Segment | None = None
        self.torn = 0
        self.rejected = 0
        self._lock = threading.Lock()

    def append(self, lines: Sequence[bytes]) -> None:
        """All lines are on the disk when it returns. Raises OSError, and then none is."""
        with self._lock:
            if self.own is None or not self.own.is_open:
                self.own = Segment.create(self._made_folder())
            self.own.append(lines)

    def _made_folder(self) -> Path:
        if self.folder is None:
            raise FileNotFoundError(errno.ENOENT, "there is no folder for the spool")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder

    def clear(self) -> bool:
        """Empty our own segment if it is drained to its end; whether it was. Raises OSError."""
        with self._lock:
            if self.own is None or not self.own.end:
                return True
            drained = self.own.is_drained
            if drained:
                self.own.clear()
            return drained

    def orphans(self) -> list[Segment]:
        """The segments of processes that are gone, oldest first; they are ours from now on."""
        found = (Segment.adopt(path) for path in self._others())
        return [segment for segment in found if segment is not None]

    def _paths(self) -> list[Path]:
        if self.folder is None:
            return []
        times = ((_changed(path), path) for path in self.folder.glob("*.jsonl"))
        return [path for _time, path in sorted(times)]

    def _others(self) -> Iterable[Path]:
        own = self.own
        return (path for path in self._paths() if own is None or path != own.path)

    def set_aside(self, segment: Segment, suffix: str, lines: Sequence[bytes]) -> None:
        """Keep lines that no table takes beside their segment, for whoever looks into it."""
        path = segment.path.with_suffix(suffix)
        try:
            with open(path, "ab", opener=_private) as file:
                file.writelines(lines)
        except OSError as error:
            logger.error(  # noqa: TRY400 - the reason is enough
                "%d lines could not be kept in %s: %s", len(lines), path, error.strerror
            )

    def release(self) -> int:
        """Give up our segment. Returns how many rows stay in it."""
        with self._lock:
            own, self.own = self.own, None
            if own is None:
                return 0
            left = _lines(own.path, own.start)[0] if not own.is_drained else 0
            own.release()
            return left

    def spooled(self) -> Spooled:
        """What waits, of all processes. Reads the files: not for an event loop."""
        own = self.own
        found = [
            _lines(path, own.start if own is not None and path == own.path else 0)
            for path in self._paths()
        ]
        times = [time for _count, time in found if time is not None]
        return Spooled(rows=sum(count for count, _time in found), oldest=min(times, default=None))


def spool_of(base: Path | None, url: URL) -> Spool:
    """The spool of a database in a folder that several share. Databases are told apart by their
    URL without the password, a SQLite file by its absolute path.
    """
    if base is None:
        return Spool()
    plain = url.set(password=None, query={k: v for k, v in url.query.items() if k != "password"})
    if url.get_backend_name() == "sqlite" and url.database:
        plain = plain.set(database=str(Path(url.database).absolute()))
    return Spool(base / hashlib.sha256(plain.render_as_string().encode()).hexdigest()[:16])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _lines(path: Path, start: int) -> tuple[int, datetime | None]:
    """How many lines wait in a file, and the time of the first."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            first = entry_of(file.readline())
            file.seek(start)
            count = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    except OSError:
        return 0, None
    time = (first.row.get("created_at") or first.row.get("completed_at")) if first else None
    return count, time

"""The thread that makes rows durable while their database is away; it lives while it is needed."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMRecordingError

from .lines import line_of
from .spool import Spool
from .writes import Write

End: TypeAlias = Callable[[Sequence[Write], LLMRecordingError | None], None]

_GROUP = 500  # rows for one fsync
_IDLE = 1.0  # seconds without work after which the thread ends
_REST = 0.2  # seconds until what the disk refused is tried again


class Spooler:
    """Appends what it is given to the spool, and says of each row what became of it."""

    def __init__(self, spool: Spool, end: End) -> None:
        self._spool = spool
        self._end = end
        self._queue: list[Write] = []
        self._changed = threading.Condition()
        self._appending = threading.Lock()
        self._thread: threading.Thread | None = None
        self.database = ""  # why rows come here

    def put(self, writes: Sequence[Write]) -> None:
        """Take over rows, in their order."""
        with self._changed:
            self._queue.extend(writes)
            self._changed.notify()
            if self._thread is None and self._queue:
                self._thread = threading.Thread(
                    target=self._run, name="llm-ledger-spooler", daemon=True
                )
                self._thread.start()

    def take_back(self) -> list[Write]:
        """What has not been spooled. What is being spooled has been when this returns."""
        with self._appending, self._changed:
            taken, self._queue = self._queue, []
        return taken

    def _run(self) -> None:
        while self._waits():
            with self._appending:
                refused = self._append(self._next_group())
                with self._changed:
                    self._queue[:0] = refused
            if refused:
                time.sleep(_REST)

    def _waits(self) -> bool:
        with self._changed:
            if not self._queue:
                self._changed.wait(_IDLE)
            if not self._queue:
                self._thread = None
                return False
        return True

    def _next_group(self) -> list[Write]:
        with self._changed:
            group, self._queue = self._queue[:_GROUP], self._queue[_GROUP:]
        return group

    def _append(self, group: Sequence[Write]) -> list[Write]:
        """Append a group; an opening row that the disk refuses stops its call, an outcome waits."""
        self._end([write for write in group if not write.is_wanted], None)
        lines = {write: line for write in group if write.is_wanted and (line := self._line(write))}
        try:
            if lines:
                self._spool.append(list(lines.values()))
        except OSError as error:
            refusal = LLMRecordingError(
                f"{self.database}, nor did its spool ({error.strerror or type(error).__name__})"
            )
            self._end([write for write in lines if write.opens], refusal)
            return [write for write in lines if not write.opens]
        self._end(list(lines), None)
        return []

    def _line(self, write: Write) -> bytes | None:
        """The row as a line. A row that JSON cannot say is refused, an outcome is made bare."""
        try:
            return line_of(write)
        except (ValueError, TypeError, RecursionError) as error:
            refusal = LLMRecordingError(f"the row cannot be stored ({type(error).__name__})")
        if write.opens:
            self._end([write], refusal)
            return None
        write.row = repo.bare_outcome(write.row, str(refusal))
        return line_of(write)

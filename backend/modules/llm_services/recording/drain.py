"""Brings the spool's rows into the database: in order, a group at a time, as often as it takes."""

import logging
import time
from collections.abc import Sequence
from uuid import UUID

from modules.llm_services.exceptions import LLMRecordingError

from .lines import Entry, SpooledRow, line_of
from .segment import Segment
from .spool import Spool
from .store import Store, Written

logger = logging.getLogger(__name__)

_LOOK_EVERY = 30.0  # seconds between two looks for segments of processes that are gone


class Drain:
    """Drains our own segment and adopted ones. One thread at a time may use it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._adopted: list[Segment] = []
        self._look_at = 0.0
        self._rejected: set[UUID] = set()

    def own(self, store: Store, *, to_the_end: bool) -> LLMRecordingError | None:
        """Drain our own segment; what stood in the way. Unless ``to_the_end``, the last group may
        be left: while others append, there is always one more.
        """
        own = self._spool.own
        while own is not None and not own.is_drained:
            chunk_began = own.start
            refusal = self._step(store, own)
            if refusal is not None:
                return refusal
            if not to_the_end and own.end - own.start < own.start - chunk_began:
                return None
        return None

    def clear(self) -> bool:
        """Empty our own segment, when it is drained; whether it is empty now."""
        own = self._spool.own
        if own is None:
            return True
        torn = own.torn
        try:
            cleared = self._spool.clear()
        except OSError as error:
            _leave(own, error)
            return True
        if cleared:
            _report(own, torn)
        return cleared

    def adopted(self, store: Store) -> tuple[bool, LLMRecordingError | None]:
        """Drain a group of what processes left that are gone: whether there may be more, and what
        stood in the way.
        """
        if not self._adopted and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_EVERY
            self._adopted = self._spool.orphans()
        if not self._adopted:
            return False, None
        segment = self._adopted[0]
        refusal = None if segment.is_drained else self._step(store, segment)
        if refusal is not None:
            self.release()
            return False, refusal
        if segment.is_drained:
            _report(segment, segment.torn)
            self._adopted.pop(0).release()
        return True, None

    def look_again(self) -> None:
        """Look for what others left at the next opportunity."""
        self._look_at = 0.0

    def release(self) -> None:
        """Give adopted segments back, to whoever looks next."""
        adopted, self._adopted = self._adopted, []
        for segment in adopted:
            segment.release()

    def _step(self, store: Store, segment: Segment) -> LLMRecordingError | None:
        try:
            chunk = segment.read()
        except OSError as error:
            _leave(segment, error)
            return None
        entries = [entry for entry in chunk.entries if not self._belongs_to_rejected(entry)]
        written = store.write(entries) if entries else Written[SpooledRow]()
        if written.refusal is not None:
            return written.refusal
        for entry, refusal in written.spoilt:
            self._reject(entry, refusal)
        spoilt = {entry for entry, _refusal in written.spoilt}
        lost = [e for e in chunk.entries if e in spoilt or self._belongs_to_rejected(e)]
        self._set_aside(segment, chunk.torn, lost)
        segment.start = chunk.end
        return None

    def _belongs_to_rejected(self, entry: SpooledRow) -> bool:
        return entry.row.get("row_id") in self._rejected

    def _reject(self, entry: Entry, refusal: LLMRecordingError) -> None:
        row_id = entry.row["id" if entry.opens else "row_id"]
        self._rejected.add(row_id)
        logger.error("request %s: the database cannot hold the row: %s", row_id, refusal)

    def _set_aside(self, segment: Segment, torn: Sequence[bytes], lost: Sequence[Entry]) -> None:
        if torn:
            segment.torn += len(torn)
            self._spool.torn += len(torn)
            self._spool.set_aside(segment, ".corrupt", torn)
        if lost:
            self._spool.rejected += len(lost)
            self._spool.set_aside(segment, ".rejected", [line_of(entry) for entry in lost])


def _leave(segment: Segment, error: OSError) -> None:
    """A file that the disk no longer gives is left to a later process: to drain what was drained
    changes nothing.
    """
    logger.error("the ledger's spool %s is left as it is: %s", segment.path, error.strerror)
    segment.abandon()


def _report(segment: Segment, torn: int) -> None:
    if torn:
        logger.warning(
            "%d lines of %s were torn and are kept in its .corrupt file", torn, segment.path
        )

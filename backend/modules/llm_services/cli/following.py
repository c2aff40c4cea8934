"""Rows that have ended since the last look."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from modules.llm_services.public import LLMRequestDTO, RequestPage

_PENDING = "pending"
_LATE = timedelta(seconds=10)
"""Rows of other machines, and rows that waited in a spool, come with times of a while ago."""
_LONGEST = timedelta(minutes=15)


class Follower:
    """Asks ``find(since, after)`` for pages of rows, newest first, and tells each row once."""

    def __init__(self, find: Callable[[datetime, str | None], RequestPage]) -> None:
        self._find = find
        self._began = self._since = datetime.now(UTC)
        self._told: dict[UUID, datetime] = {}

    def ended(self) -> list[LLMRequestDTO]:
        """The rows that were settled since the last call, in the order of their beginning."""
        looked_at, rows = datetime.now(UTC), list(self._rows())
        ended = [row for row in rows if row.status != _PENDING and row.id not in self._told]
        self._told |= {row.id: row.created_at for row in ended}
        still_open = (row.created_at for row in rows if row.status == _PENDING)
        oldest = min(still_open, default=looked_at)
        self._since = max(min(oldest, looked_at - _LATE), looked_at - _LONGEST, self._began)
        self._told = {one: at for one, at in self._told.items() if at >= self._since}
        return ended[::-1]

    def _rows(self) -> Iterator[LLMRequestDTO]:
        after = None
        while True:
            page = self._find(self._since, after)
            yield from page.items
            after = page.next_cursor
            if after is None:
                return

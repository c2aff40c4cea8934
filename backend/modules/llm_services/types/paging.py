"""Pages of the ledger: what to look for, what was found, and where to go on."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias
from uuid import UUID

from .frozen import Frozen
from .results import LLMRequestDTO

Moment: TypeAlias = datetime | date
"""An aware time, or a day, which stands for its midnight in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """Which requests are meant: those that fit everything that is given.

    Texts are compared exactly, case and all; ``since`` is included, ``until`` is not. ``text`` is
    looked for in the previews (the first 200 characters of the last message and of the answer),
    A to Z in either case: give ``since`` with it, for no index helps there.
    """

    status: str | None = None
    error_type: str | None = None
    user_id: UUID | None = None
    tenant: str | None = None
    feature: str | None = None
    conversation_id: str | None = None
    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    trace_id: str | None = None
    cached: bool | None = None
    maybe_paid: bool | None = None
    since: Moment | None = None
    until: Moment | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list ordered by time and id: ``at`` is the time as the database writes it."""

    at: str
    id: UUID

    def as_cursor(self) -> str:
        """The place as callers carry it around."""
        return urlsafe_b64encode(f"{self.at}|{self.id}".encode()).decode()


class RequestPage(Frozen):
    """Some requests, without the wide columns. ``next_cursor`` goes into ``after`` to get those
    that follow; it is ``None`` at the end. Rows that are written meanwhile shift nothing.
    ``looked_until`` is the time at which looking ended before the page was full, if it did:
    ``next_cursor`` goes on there.
    """

    items: tuple[LLMRequestDTO, ...]
    next_cursor: str | None = None
    looked_until: datetime | None = None

    @property
    def has_more(self) -> bool:
        """Whether there is a page after this one."""
        return self.next_cursor is not None

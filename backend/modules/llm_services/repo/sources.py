"""Where the sums of a window come from: closed days from the daily sums, all else from the rows.

So what is read is right whether or not the daily job has run; the job makes it fast.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeAlias

from sqlalchemy import ColumnElement, bindparam, func, or_, select
from sqlalchemy.orm import Session

from .rollup import first_row_at
from .stored_time import DAY, between, midnight
from .sums import DAILY, IS_OPEN, LACKS_CACHE_SUMS
from .writing import TABLE

Runs: TypeAlias = Sequence[tuple[date, date]]
_IN_WINDOW = DAILY.c.day.between(bindparam("first"), bindparam("last"))
# The next day from each day on: a look into the index for each day, not for each of its sums.
_FIRST = select(func.min(DAILY.c.day).label("day")).where(_IN_WINDOW).cte("days", recursive=True)
_AFTER = (DAILY.c.day > _FIRST.c.day, DAILY.c.day <= bindparam("last"))
_NEXT = select(func.min(DAILY.c.day)).where(*_AFTER)
_EACH = _FIRST.union_all(select(_NEXT.scalar_subquery()).where(_FIRST.c.day.is_not(None)))
_DAYS = select(_EACH.c.day).where(_EACH.c.day.is_not(None))
_OPEN_DAYS = select(DAILY.c.day).where(_IN_WINDOW, IS_OPEN).distinct()
_DAYS_WITHOUT_USERS = select(DAILY.c.day).where(_IN_WINDOW, LACKS_CACHE_SUMS).distinct()


@dataclass(frozen=True, slots=True)
class Window:
    """A time from ``start`` until just before ``end``."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a window's sums come from: days (first and last of each run), and rows."""

    days: Runs
    rows: Sequence[Window]


def sources(session: Session, window: Window, *, with_users: bool = False) -> Sources:
    """Closed days of the window that have daily sums, and the ranges between them.

    ``with_users``: that have those of users and of the cache, too, which came with a later release.
    """
    first, last = _whole_days(window)
    span = {"first": first, "last": last}
    without = {*session.scalars(_DAYS_WITHOUT_USERS, span)} if with_users else set()
    days = _final_days(session, span)
    closed = _runs([day for day in days if day not in without])
    return Sources(closed, tuple(_gaps(window, closed)))


def in_runs(runs: Runs, day: ColumnElement[date] = DAILY.c.day) -> ColumnElement[bool]:
    """Sums of these days, given as first and last of each run."""
    return or_(*(day.between(first, last) for first, last in runs))


def _final_days(session: Session, span: dict[str, date]) -> Iterator[date]:
    """Whole days before today whose sums can be believed."""
    open_days = {*session.scalars(_OPEN_DAYS, span)}
    oldest = first_row_at(session) if open_days else None
    yesterday = datetime.now(UTC).date() - DAY
    for day in session.scalars(_DAYS, span).all():
        # Of a day whose rows have gone, its sums are all there is.
        is_final = day not in open_days or oldest is None or day <= oldest.date()
        if is_final and (day < yesterday or (day == yesterday and _is_complete(session, day))):
            yield day


def _is_complete(session: Session, day: date) -> bool:
    """A row that waited for its database over midnight may have come after the sums."""
    start = midnight(day)
    known = session.scalars(select(func.sum(DAILY.c.requests)).where(DAILY.c.day == day)).one()
    rows = select(func.count()).select_from(TABLE).where(between(start, start + DAY))
    return bool(session.scalars(rows).one() <= known)


def _whole_days(window: Window) -> tuple[date, date]:
    """The first and the last day that lie in the window as a whole."""
    first = window.start.date()
    if midnight(first) < window.start:
        first += DAY
    return first, window.end.date() - DAY


def _runs(days: Sequence[date]) -> list[tuple[date, date]]:
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and runs[-1][1] + DAY == day:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _gaps(window: Window, runs: Runs) -> Iterator[Window]:
    start = window.start
    for first, last in runs:
        if start < midnight(first):
            yield Window(start, midnight(first))
        start = midnight(last) + DAY
    if start < window.end:
        yield Window(start, window.end)

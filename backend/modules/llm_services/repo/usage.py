"""Sums of a window of time: closed days from the daily sums, everything else from the rows.

So what is read is right whether or not the daily job has run; the job makes it fast.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, bindparam, case, func, literal, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.types import RequestStatus

from .rollup import days_with_rows, first_row_at
from .stored_time import DAY, between, midnight
from .sums import (
    DAILY,
    ROW_KEYS,
    SUM_NAMES,
    USAGE_OF_DAYS,
    USAGE_OF_ROWS,
    Sums,
    add,
    or_empty,
    read_sums,
    total,
)
from .writing import TABLE

Key: TypeAlias = tuple[Any, ...]
_ROW = TABLE.c
_OF_ROWS_ONLY: Mapping[str, ColumnElement[Any]] = {
    "user": _ROW.user_id,
    "tenant": or_empty(_ROW.tenant),
}
_KEYS_OF_ROWS = {**ROW_KEYS, **_OF_ROWS_ONLY}
_ORDERS = {
    "cost": ("cost_nano_usd",),
    "requests": ("requests",),
    "tokens": ("prompt_tokens", "completion_tokens"),
}


_KNOWN_DAYS = (
    select(
        DAILY.c.day,
        total(DAILY.c.requests).label("requests"),
        total(case((DAILY.c.status == RequestStatus.PENDING, 1), else_=0)).label("pending"),
    )
    .where(DAILY.c.day.between(bindparam("first"), bindparam("last")))
    .group_by(DAILY.c.day)
    .order_by(DAILY.c.day)
)


@dataclass(frozen=True, slots=True)
class Window:
    """A time from ``start`` until just before ``end``."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a window's sums come from: days (first and last of each run), and rows."""

    days: Sequence[tuple[date, date]]
    rows: Sequence[Window]


class UsageRepo:
    """Adds up what happened in a window, through the caller's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def totals(self, window: Window) -> Sums:
        """Sums of everything."""
        groups = self.usage((), window, "cost", 1)
        return groups[0][1] if groups else dict.fromkeys(SUM_NAMES, 0)

    def usage(
        self, by: Sequence[str], window: Window, order: str, limit: int
    ) -> list[tuple[Key, Sums]]:
        """Sums for each combination of what ``by`` names: by day, then the largest first."""
        only_rows = not _OF_ROWS_ONLY.keys().isdisjoint(by)
        sources = Sources((), (window,)) if only_rows else self.sources(window)
        groups = self._of_days(by, sources.days)
        for part in self._parts(by, sources.rows):
            at_most = (order, limit) if only_rows else None
            for key, sums in self._of_rows(by, part, at_most):
                groups[key] = add(groups.get(key, {}), sums)
        return sorted(groups.items(), key=lambda group: _rank(by, order, *group))[:limit]

    def sources(self, window: Window) -> Sources:
        """Closed days of the window that have daily sums, and the ranges between them."""
        closed = self._closed_days(window)
        return Sources(closed, tuple(_gaps(window, closed)))

    def _closed_days(self, window: Window) -> list[tuple[date, date]]:
        """Runs of whole days before today whose sums can be believed."""
        first, last = _whole_days(window)
        days = self._session.execute(_KNOWN_DAYS, {"first": first, "last": last}).all()
        oldest = first_row_at(self._session) if any(day.pending for day in days) else None
        yesterday = datetime.now(UTC).date() - DAY
        return _runs(
            [
                day.day
                for day in days
                if self._is_final(day, oldest)
                and (day.day < yesterday or (day.day == yesterday and self._is_complete(day)))
            ]
        )

    @staticmethod
    def _is_final(known: Any, oldest: datetime | None) -> bool:
        """Nothing is open any more. Of a day whose rows have gone, its sums are all there is."""
        return not known.pending or oldest is None or known.day <= oldest.date()

    def _is_complete(self, known: Any) -> bool:
        """A row that waited for its database over midnight may have come after the sums."""
        start = midnight(known.day)
        rows = select(func.count()).select_from(TABLE).where(between(start, start + DAY))
        return bool(self._session.scalars(rows).one() <= known.requests)

    def _parts(self, by: Sequence[str], windows: Sequence[Window]) -> Iterator[Window]:
        """The windows; cut at midnights where days are told apart."""
        for window in windows:
            if "day" not in by:
                yield window
                continue
            for day in days_with_rows(self._session, window.start, window.end):
                start = midnight(day)
                yield Window(max(window.start, start), min(window.end, start + DAY))

    def _of_days(self, by: Sequence[str], runs: Sequence[tuple[date, date]]) -> dict[Key, Sums]:
        if not runs:
            return {}
        keys = [DAILY.c[name] for name in by]
        statement = select(*keys, *USAGE_OF_DAYS).where(in_runs(runs)).group_by(*keys)
        rows = self._session.execute(statement)
        return {tuple(row[: len(keys)]): read_sums(row[len(keys) :]) for row in rows}

    def _of_rows(
        self, by: Sequence[str], window: Window, at_most: tuple[str, int] | None
    ) -> Iterator[tuple[Key, Sums]]:
        names = [name for name in by if name != "day"]
        keys = [_KEYS_OF_ROWS[name] for name in names]
        statement = select(*keys, *USAGE_OF_ROWS).where(between(window.start, window.end))
        statement = statement.group_by(*keys)
        if at_most is not None:
            statement = _largest(statement, *at_most)
        for row in self._session.execute(statement):
            values = {"day": window.start.date(), **dict(zip(names, row, strict=False))}
            yield tuple(values[name] for name in by), read_sums(row[len(keys) :])


def in_runs(runs: Sequence[tuple[date, date]]) -> ColumnElement[bool]:
    """Daily sums of these days, given as first and last of each run."""
    return or_(*(DAILY.c.day.between(first, last) for first, last in runs))


def _largest(statement: Select[Any], order: str, limit: int) -> Select[Any]:
    columns = {column.name: column for column in USAGE_OF_ROWS}
    size: ColumnElement[int] = sum((columns[name].element for name in _ORDERS[order]), literal(0))
    return statement.order_by(size.desc()).limit(limit)


def _rank(by: Sequence[str], order: str, key: Key, sums: Sums) -> tuple[date, int]:
    day = key[by.index("day")] if "day" in by else date.min
    return day, -sum(sums[name] for name in _ORDERS[order])


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


def _gaps(window: Window, runs: Sequence[tuple[date, date]]) -> Iterator[Window]:
    start = window.start
    for first, last in runs:
        if start < midnight(first):
            yield Window(start, midnight(first))
        start = midnight(last) + DAY
    if start < window.end:
        yield Window(start, window.end)

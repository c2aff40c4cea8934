"""The daily sums: a day is made anew as a whole, from its rows, in its caller's transaction.

The rule that keeps sums right when rows expire: a day whose rows have become fewer than its sums
count is left as it is. Rows only ever go by retention; so the sums of such a day are older and
better than what its rows still say.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    literal_column,
    not_,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from .stored_time import CREATED, DAY, between, bound, midnight, read_time
from .sums import CACHE_SUMS, DAILY, IS_OPEN, LACKS_CACHE_SUMS, ROW_KEYS, ROW_SUMS, number, total
from .user_sums import make_user_sums
from .writing import TABLE

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
UNSETTLED_DAYS = 2
"""Days before today that are made anew each time: calls end, and rows arrive, after midnight."""
_LATE = timedelta(hours=1)  # no day is made while some process's clock may still be in it
LATENCY_BOUNDS_MS = tuple(round(8 * 2 ** (step / 2)) for step in range(35))
"""Upper bounds of ``latency_counts``, 8 ms to 17 minutes; one more count is for what took longer.
Requests that were answered from a cache are not counted."""

_ROW = TABLE.c
IS_TIMED = and_(not_(_ROW.cached), _ROW.execution_time_ms.is_not(None))
BUCKET: ColumnElement[int | None] = case(
    (not_(IS_TIMED), null()),
    *(
        (_ROW.execution_time_ms <= literal_column(str(limit)), literal_column(str(place)))
        for place, limit in enumerate(LATENCY_BOUNDS_MS)
    ),
    else_=literal_column(str(len(LATENCY_BOUNDS_MS))),
)
"""The place of a row in ``latency_counts``."""
TIMES = {
    "execution_ms_sum": total(case((IS_TIMED, _ROW.execution_time_ms), else_=0)),
    "first_token_ms_sum": total(_ROW.time_to_first_token_ms),
    "first_token_count": func.count(_ROW.time_to_first_token_ms),
}
_ALL_SUMS = {**ROW_SUMS, **TIMES, **CACHE_SUMS}
Reader: TypeAlias = Connection | Session


def refresh_daily_usage(connection: Connection, from_day: date, to_day: date) -> int:
    """Make the sums of each day anew, both ends included, today left out; returns how many were.

    Call it in the transaction that is about to delete rows of these days: nobody else refreshes
    any day until that transaction ends.
    """
    days = days_to_refresh(connection, from_day, to_day)
    return sum(refresh_day(connection, day) for day in days)


def days_to_refresh(connection: Connection, from_day: date, to_day: date) -> list[date]:
    """The days that have rows, from the first to the last, both included."""
    return list(days_with_rows(connection, midnight(from_day), midnight(to_day) + DAY))


def refresh_day(connection: Connection, day: date) -> bool:
    """Make one day's sums anew; whether they were. A day that is not over has none."""
    if datetime.now(UTC) < midnight(day) + DAY + _LATE:
        return False
    wait_for_others(connection)
    groups = day_sums(connection, midnight(day), midnight(day) + DAY)
    of_day = DAILY.c.day == day
    known = connection.scalar(select(func.sum(DAILY.c.requests)).where(of_day)) or 0
    if sum(group["requests"] for group in groups) < known:
        return False
    connection.execute(delete(DAILY).where(of_day))
    if groups:
        connection.execute(insert(DAILY), [{"day": day, **group} for group in groups])
    make_user_sums(connection, day)
    return True


def stale_days(connection: Connection, today: date) -> list[date]:
    """Days whose sums are missing, lack rows, count open ones, are too young to be final, or were
    made by an earlier release, which counted less.
    """
    known = _known_days(connection)
    days = days_with_rows(connection, BEGINNING, midnight(today) + DAY)
    return [day for day in days if _is_stale(connection, day, known.get(day), today)]


def _known_days(connection: Connection) -> Mapping[date, Row[Any]]:
    counts = (
        func.sum(DAILY.c.requests).label("requests"),
        number(IS_OPEN).label("pending"),
        number(LACKS_CACHE_SUMS).label("lacking"),
    )
    rows = connection.execute(select(DAILY.c.day, *counts).group_by(DAILY.c.day))
    return {row.day: row for row in rows}


def _is_stale(connection: Connection, day: date, known: Row[Any] | None, today: date) -> bool:
    if known is None or known.pending or day >= today - timedelta(days=UNSETTLED_DAYS):
        return True
    start = midnight(day)
    rows = select(func.count()).select_from(TABLE).where(between(start, start + DAY))
    return bool(connection.scalars(rows).one() >= known.requests + (not known.lacking))


def first_row_at(reader: Reader) -> datetime | None:
    """When the oldest row began, or ``None`` without rows."""
    oldest = reader.scalar(select(func.min(CREATED)))
    return None if oldest is None else read_time(oldest)


def days_with_rows(reader: Reader, start: datetime, end: datetime) -> Iterator[date]:
    """The days between two times on which requests began: one look into an index for each."""
    while start < end:
        oldest = reader.scalar(select(func.min(CREATED)).where(bound(start) <= CREATED))
        if oldest is None or read_time(oldest) >= end:
            return
        day = read_time(oldest).date()
        yield day
        start = midnight(day) + DAY


def day_sums(reader: Reader, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The rows between two times, added up by everything that the daily table keeps apart."""
    keys = [column.label(name) for name, column in ROW_KEYS.items()]
    sums = [value.label(name) for name, value in _ALL_SUMS.items()]
    statement = (
        select(*keys, BUCKET.label("bucket"), *sums)
        .where(between(start, end))
        .group_by(*ROW_KEYS.values(), BUCKET)
    )
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in reader.execute(statement):
        _add(groups.setdefault(tuple(row[: len(keys)]), _nothing(row)), row)
    return list(groups.values())


def _nothing(row: Any) -> dict[str, Any]:
    keys = {name: getattr(row, name) for name in ROW_KEYS}
    counts = [0] * (len(LATENCY_BOUNDS_MS) + 1)
    return {**keys, **dict.fromkeys(_ALL_SUMS, 0), "latency_counts": counts}


def _add(group: dict[str, Any], row: Any) -> None:
    for name in _ALL_SUMS:
        group[name] += int(getattr(row, name))
    if row.bucket is not None:
        group["latency_counts"][row.bucket] += row.requests


def wait_for_others(connection: Connection) -> None:
    """One process at a time: SQLite's only write lock, or a lock on the table that readers pass."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {DAILY.name} IN SHARE ROW EXCLUSIVE MODE"))
    else:
        connection.execute(update(DAILY).where(false()).values(requests=0))

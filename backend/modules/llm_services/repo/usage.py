"""Sums of a window of time, split by what requests were for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, literal, select
from sqlalchemy.orm import Session

from .rollup import days_with_rows
from .sources import Runs, Window, in_runs, sources
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
)
from .user_sums import DIMENSIONS, users_usage
from .writing import TABLE

Split: TypeAlias = tuple[str, ...]
Key: TypeAlias = tuple[Any, ...]
Groups: TypeAlias = dict[Key, Sums]
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


class UsageRepo:
    """Adds up what happened in a window, through the caller's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def totals(self, window: Window) -> Sums:
        """Sums of everything."""
        return totals_of(self.splits([()], window)[0])

    def usage(
        self, by: Split, window: Window, order: str, limit: int
    ) -> Sequence[tuple[Key, Sums]]:
        """Sums for each combination of what ``by`` names: by day, then the largest first."""
        if DIMENSIONS.isdisjoint(by):
            groups = self.splits([by], window)[0]
        elif {*by} <= DIMENSIONS:
            groups = self._of_users(by, window, order, limit)
        else:
            groups = self._of_rows(by, [window], (order, limit))
        return ranked(by, groups, order)[:limit]

    def splits(self, splits: Sequence[Split], window: Window) -> list[Groups]:
        """The sums split in several ways, none of them by `DIMENSIONS`, from one look at the rows
        and as few at the daily sums as there are ways that no earlier one contains.
        """
        found = sources(self._session, window)
        every = tuple(dict.fromkeys(name for split in splits for name in split))
        live = self._of_rows(every, found.rows)
        closed: dict[Split, Groups] = {}
        for split in splits:
            finer = [known for known in closed if {*known} >= {*split}]
            if finer:
                nearest = min(finer, key=lambda known: len(closed[known]))
                closed[split] = folded(nearest, closed[nearest].items(), split)
            else:
                closed[split] = self._of_days(split, found.days)
        return [_together(closed[split], folded(every, live.items(), split)) for split in splits]

    def _of_users(self, by: Split, window: Window, order: str, limit: int) -> Groups:
        found = sources(self._session, window, with_users=True)
        times = [(part.start, part.end) for part in found.rows]
        groups: Groups = {}
        for row in users_usage(self._session, by, found.days, times, _ORDERS[order], limit):
            key = tuple(_read_key(*given) for given in zip(by, row, strict=False))
            groups[key] = add(groups.get(key, {}), read_sums(row[len(by) :]))
        return groups

    def _of_days(self, by: Split, days: Runs) -> Groups:
        if not days:
            return {}
        keys = [DAILY.c[name] for name in by]
        statement = select(*keys, *USAGE_OF_DAYS).where(in_runs(days)).group_by(*keys)
        rows = self._session.execute(statement)
        return {tuple(row[: len(keys)]): read_sums(row[len(keys) :]) for row in rows}

    def _of_rows(
        self, by: Split, windows: Sequence[Window], at_most: tuple[str, int] | None = None
    ) -> Groups:
        groups: Groups = {}
        for part in self._parts(by, windows):
            for key, sums in self._of_part(by, part, at_most):
                groups[key] = add(groups.get(key, {}), sums)
        return groups

    def _parts(self, by: Split, windows: Sequence[Window]) -> Iterator[Window]:
        """The windows; cut at midnights where days are told apart."""
        for window in windows:
            if "day" not in by:
                yield window
                continue
            for day in days_with_rows(self._session, window.start, window.end):
                start = midnight(day)
                yield Window(max(window.start, start), min(window.end, start + DAY))

    def _of_part(
        self, by: Split, window: Window, at_most: tuple[str, int] | None
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


def ranked(by: Split, groups: Groups, order: str = "cost") -> list[tuple[Key, Sums]]:
    """By day, where days are told apart, then the largest first."""
    return sorted(groups.items(), key=lambda group: _rank(by, order, *group))


def totals_of(groups: Groups) -> Sums:
    """The sums of groups that are not split at all: of none, they are 0."""
    return groups.get((), dict.fromkeys(SUM_NAMES, 0))


def folded(by: Split, groups: Iterable[tuple[Key, Sums]], into: Split) -> Groups:
    """Sums split in one way, added up to those of a way that tells less apart."""
    if by == into:
        return dict(groups)
    places = [by.index(name) for name in into]
    found: Groups = {}
    for key, sums in groups:
        less = tuple(key[place] for place in places)
        found[less] = add(found.get(less, {}), sums)
    return found


def _together(one: Groups, other: Groups) -> Groups:
    return {**one, **{key: add(one.get(key, {}), sums) for key, sums in other.items()}}


def _largest(statement: Select[Any], order: str, limit: int) -> Select[Any]:
    columns = {column.name: column for column in USAGE_OF_ROWS}
    size: ColumnElement[int] = sum((columns[name].element for name in _ORDERS[order]), literal(0))
    return statement.order_by(size.desc()).limit(limit)


def _rank(by: Split, order: str, key: Key, sums: Sums) -> tuple[date, int]:
    day = key[by.index("day")] if "day" in by else date.min
    return day, -sum(sums[name] for name in _ORDERS[order])


def _read_key(name: str, text: str) -> UUID | str:
    return UUID(text) if name == "user" and text else text

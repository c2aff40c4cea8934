"""How long models take, and how far their costs can be believed."""

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import Text, cast, func, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.types import RequestStatus

from .rollup import BUCKET, IS_TIMED, LATENCY_BOUNDS_MS, TIMES
from .sources import Window, in_runs, sources
from .stored_time import DAY, between, midnight
from .sums import DAILY, UNPRICED, number
from .writing import TABLE

_ROW = TABLE.c
# All lists of a model as one text: reading 20,000 of them one by one takes four times as long.
_ADDED = (
    func.aggregate_strings(cast(DAILY.c.latency_counts, Text), ","),
    *(func.sum(DAILY.c[name]) for name in TIMES),
)


class HealthRepo:
    """Reads latencies and doubts about costs, through the caller's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def latencies(self, window: Window, at_most: int) -> Sequence[Any] | None:
        """Model, duration and time to first token of each completed request, not cached.

        ``None`` when they are more than that, or when rows that were there once are gone.
        """
        if not self._has_its_rows(window, at_most):
            return None
        statement = select(
            *(_ROW.provider, _ROW.model, _ROW.execution_time_ms, _ROW.time_to_first_token_ms)
        ).where(between(window.start, window.end), IS_TIMED, _ROW.status == RequestStatus.COMPLETED)
        rows = self._session.execute(statement.limit(at_most + 1)).all()
        return None if len(rows) > at_most else rows

    def latency_counts(self, window: Window) -> Iterator[tuple[str, str, list[Any]]]:
        """The same as counts within bounds: model, then counts, sums of ms, first tokens."""
        found = sources(self._session, window)
        completed = DAILY.c.status == RequestStatus.COMPLETED
        if found.days:
            model = (DAILY.c.provider, DAILY.c.model)
            of_days = select(*model, *_ADDED).where(in_runs(found.days), completed)
            for provider, name, counts, *sums in self._session.execute(of_days.group_by(*model)):
                yield provider, name, [_by_place(counts), *map(int, sums)]
        for part in found.rows:
            yield from self._counts_of_rows(part)

    def _counts_of_rows(self, window: Window) -> Iterator[tuple[str, str, list[Any]]]:
        kind = (_ROW.provider, _ROW.model, BUCKET)
        completed = _ROW.status == RequestStatus.COMPLETED
        counted = select(*kind, func.count(), *TIMES.values()).group_by(*kind)
        rows = counted.where(between(window.start, window.end), completed)
        for provider, model, place, requests, *sums in self._session.execute(rows):
            counts = [0] * (len(LATENCY_BOUNDS_MS) + 1)
            if place is not None:
                counts[place] = requests
            yield provider, model, [counts, *map(int, sums)]

    def doubts(self, window: Window) -> Sequence[Any]:
        """By model: requests, unpriced, priced by override, estimated, and maybe paid ones."""
        model = (_ROW.provider, _ROW.model)
        statement = select(
            *model,
            func.count().label("requests"),
            number(UNPRICED).label("unpriced"),
            number(_ROW.cost_source == "override").label("overridden"),
            number(_ROW.usage_source == "estimated").label("estimated"),
            number(_ROW.maybe_paid).label("maybe_paid"),
        ).where(between(window.start, window.end))
        return self._session.execute(statement.group_by(*model)).all()

    def _has_its_rows(self, window: Window, at_most: int) -> bool:
        days = sources(self._session, window).days
        if not days:
            return True
        # Each of the daily sums counts a request at least: so many of them tell.
        some = select(DAILY.c.requests).where(in_runs(days)).limit(at_most + 1).subquery()
        counted = self._session.scalars(select(func.sum(some.c.requests))).one()
        if counted > at_most:  # known without a look at the rows
            return False
        ranges = (between(midnight(first), midnight(last) + DAY) for first, last in days)
        rows = select(func.count()).select_from(TABLE).where(or_(*ranges))
        return bool(self._session.scalars(rows).one() >= counted)


def _by_place(lists: str) -> list[int]:
    """Lists of counts, one behind the other in JSON, added up."""
    return [sum(counts) for counts in zip_longest(*json.loads(f"[{lists}]"), fillvalue=0)]

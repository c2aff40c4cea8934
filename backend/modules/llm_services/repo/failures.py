"""What failed: counted by the daily sums, with the last example of each kind from the rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Row, func, literal_column, select
from sqlalchemy.orm import Session

from modules.llm_services.types import RequestStatus

from .sources import Runs, Window, in_runs, sources
from .stored_time import DAY, between, midnight
from .sums import DAILY
from .writing import TABLE

_ROW = TABLE.c
_KIND = ("error_type", "provider", "model")
# Partial indexes serve a query only where SQLite finds their very condition in it.
NOT_COMPLETED = _ROW.status != literal_column("'completed'")
Kind: TypeAlias = tuple[str | None, str, str]


@dataclass(slots=True)
class Failures:
    """How often something failed, and the last example: ``None`` when its row is gone."""

    error_type: str | None
    provider: str
    model: str
    requests: int
    last_day: date
    last_at: datetime | None = None
    last_request_id: UUID | None = None
    last_message: str | None = None

    def add(self, row: Row[Any]) -> None:
        """Count the failures of rows, the last of which is this."""
        self.requests += row.requests
        if row.last_at.date() >= self.last_day:
            self.show(row)

    def show(self, row: Row[Any]) -> None:
        """Take the row as the last example."""
        self.last_day, self.last_at = row.last_at.date(), row.last_at
        self.last_request_id, self.last_message = row.last_request_id, row.last_message


def failures(session: Session, window: Window, limit: int) -> list[Failures]:
    """Failures by type and model, most frequent first."""
    found = sources(session, window)
    kinds = {kind: Failures(*kind, *rest) for kind, rest in _of_days(session, found.days)}
    for part in found.rows:
        for kind, row in _of_rows(session, part):
            kinds.setdefault(kind, Failures(*kind, 0, date.min)).add(row)
    most = sorted(kinds.values(), key=lambda kind: (-kind.requests, -kind.last_day.toordinal()))
    _find_examples(session, [kind for kind in most[:limit] if kind.last_at is None])
    return most[:limit]


def _of_days(session: Session, days: Runs) -> Iterator[tuple[Kind, tuple[int, date]]]:
    if not days:
        return
    kind = [DAILY.c[name] for name in _KIND]
    counted = select(*kind, func.sum(DAILY.c.requests), func.max(DAILY.c.day))
    failed = counted.where(in_runs(days), DAILY.c.status == RequestStatus.FAILED).group_by(*kind)
    for row in session.execute(failed):
        error_type, *model, requests, last_day = tuple(row)
        yield (error_type or None, model[0], model[1]), (int(requests), last_day)


def _of_rows(session: Session, window: Window) -> Iterator[tuple[Kind, Row[Any]]]:
    kind = [_ROW[name] for name in _KIND]
    newest_first = (_ROW.created_at.desc(), _ROW.id.desc())
    failed = (
        select(
            *kind,
            func.count().over(partition_by=kind).label("requests"),
            func.row_number().over(partition_by=kind, order_by=newest_first).label("place"),
            _ROW.created_at.label("last_at"),
            _ROW.id.label("last_request_id"),
        )
        .where(
            between(window.start, window.end), NOT_COMPLETED, _ROW.status == RequestStatus.FAILED
        )
        .subquery()
    )
    last = select(failed, _ROW.error_message.label("last_message")).join(
        TABLE, _ROW.id == failed.c.last_request_id
    )
    for row in session.execute(last.where(failed.c.place == 1)):
        yield (row.error_type, row.provider, row.model), row


def _find_examples(session: Session, kinds: Iterable[Failures]) -> None:
    """The daily sums know the day of the last one: that day's failures are all that is read."""
    by_day: dict[date, dict[Kind, Failures]] = {}
    for kind in kinds:
        of_day = by_day.setdefault(kind.last_day, {})
        of_day[kind.error_type, kind.provider, kind.model] = kind
    for day, wanted in by_day.items():
        for key, row in _of_rows(session, Window(midnight(day), midnight(day) + DAY)):
            if key in wanted:
                wanted[key].show(row)

"""What operators look for among the rows of everybody."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, literal, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.types import RequestStatus
from modules.llm_services.types.paging import Position, RequestFilter

from .failures import NOT_COMPLETED
from .listing import LedgerPages, ListedRow
from .stored_time import CREATED, StoredTime, between, bound, read_time
from .writing import TABLE

_EQUAL = (
    *("status", "error_type", "user_id", "tenant", "feature", "conversation_id", "provider"),
    *("model", "operation", "trace_id", "cached", "maybe_paid"),
)
_LIKE = str.maketrans({"*": "%", "?": "_", "%": "/%", "_": "/_", "/": "//"})
_COLUMNS = TABLE.c
_FIRST_ID = UUID(int=0)  # no row of the same time comes before it


class LedgerOverviewRepo:
    """Looks at the whole ledger through the caller's session. Wide columns stay where they are."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pages = LedgerPages(session)

    def find(
        self,
        wanted: RequestFilter,
        limit: int,
        after: Position | None,
        look_through: int | None = None,
    ) -> tuple[list[ListedRow], Position | None, str | None]:
        """Rows that fit, newest first, the position behind them, and the time at which looking
        ended because ``look_through`` rows had been looked at: of those that an index leaves.
        """
        if after is not None:
            wanted = _before(wanted, after)
        floor = self._floor(wanted, after, look_through)
        here = [] if floor is None else [_at(floor) <= CREATED]
        # Of two bounds on one side, SQLite walks its index to the one that is named first.
        fits = conditions(wanted if floor is None else replace(wanted, since=None))
        rows, end = self._pages.newest([*here, *fits], limit, after)
        if end is None and floor is not None:
            return rows, Position(floor, _FIRST_ID), floor
        return rows, end, None

    def _floor(
        self, wanted: RequestFilter, after: Position | None, look_through: int | None
    ) -> str | None:
        """When the last of the rows began that may be looked at; ``None``: all of them may."""
        if look_through is None or wanted.user_id or wanted.conversation_id:
            return None
        span = [*_span(wanted), *_index_hint(wanted)]
        place = [] if after is None else [_at(after.at) >= CREATED]
        if after is not None and after.id == _FIRST_ID:  # all rows of its time have been looked at
            place = [_at(after.at) > CREATED]
        some = select(CREATED).where(*span, *place).order_by(CREATED.desc())
        return self._session.scalar(some.limit(1).offset(look_through))

    def count(self, wanted: RequestFilter, up_to: int) -> int:
        """How many rows fit; counting ends at ``up_to``."""
        some = select(_COLUMNS.id).where(*conditions(wanted)).limit(up_to).subquery()
        return self._session.scalars(select(func.count()).select_from(some)).one()

    def conversation(
        self, conversation_id: str, limit: int, after: Position | None
    ) -> tuple[list[ListedRow], Position | None]:
        """The rows of a conversation in the order of their making, and the position behind them."""
        said = RequestFilter(conversation_id=conversation_id)
        return self._pages.oldest(conditions(said), limit, after)

    def callers(
        self, models: Sequence[str], start: datetime, end: datetime, limit: int
    ) -> Sequence[Row[Any]]:
        """Who called models that fit a pattern, by either name, most requests first."""
        who = (_COLUMNS.feature, _COLUMNS.user_id, _COLUMNS.provider, _COLUMNS.model)
        statement = (
            select(
                *who,
                func.count().label("requests"),
                func.max(_COLUMNS.created_at).label("last_at"),
            )
            .where(between(start, end), or_(*_like_any(models)))
            .group_by(*who)
            .order_by(func.count().desc(), func.max(_COLUMNS.created_at).desc())
        )
        return self._session.execute(statement.limit(limit)).all()


def conditions(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    """What a filter asks of a row."""
    given = ((name, getattr(wanted, name)) for name in _EQUAL)
    found = [_COLUMNS[name] == value for name, value in given if value is not None]
    found += _span(wanted)
    if wanted.text is not None:
        found.append(or_(*_shows(wanted.text)))
    return [*found, *_index_hint(wanted)]


def _span(wanted: RequestFilter) -> Iterator[ColumnElement[bool]]:
    if isinstance(wanted.since, datetime):
        yield bound(wanted.since) <= CREATED
    if isinstance(wanted.until, datetime):
        yield bound(wanted.until) > CREATED


def _before(wanted: RequestFilter, after: Position) -> RequestFilter:
    """The filter without an end that the position has passed."""
    until = wanted.until
    passed = isinstance(until, datetime) and read_time(after.at) < until
    return replace(wanted, until=None) if passed else wanted


def _at(text: str) -> ColumnElement[str]:
    return literal(text, StoredTime)


def _shows(words: str) -> Iterator[ColumnElement[bool]]:
    for preview in (_COLUMNS.input_preview, _COLUMNS.output_preview):
        yield preview.icontains(words, autoescape=True)


def _index_hint(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    """Completed rows have no error, and nearly all rows are completed."""
    uncompleted = wanted.status not in {None, RequestStatus.COMPLETED}
    return [NOT_COMPLETED] if uncompleted or wanted.error_type is not None else []


def _like_any(patterns: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    for pattern in patterns:
        like = pattern.translate(_LIKE)
        for column in (_COLUMNS.model, _COLUMNS.response_model):
            yield column.ilike(like, escape="/")

"""What operators look for among the rows of everybody."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal_column, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.types import RequestStatus
from modules.llm_services.types.paging import Position, RequestFilter

from .listing import LedgerPages, ListedRow
from .stored_time import CREATED, between, bound
from .writing import TABLE

_EQUAL = (
    *("status", "error_type", "user_id", "tenant", "feature", "conversation_id", "provider"),
    *("model", "operation", "trace_id", "cached", "maybe_paid"),
)
# Partial indexes serve a query only where SQLite finds their very condition in it.
_NOT_COMPLETED = TABLE.c.status != literal_column("'completed'")
_LIKE = str.maketrans({"*": "%", "?": "_", "%": "/%", "_": "/_", "/": "//"})
_COLUMNS = TABLE.c


class LedgerOverviewRepo:
    """Looks at the whole ledger through the caller's session. Wide columns stay where they are."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pages = LedgerPages(session)

    def find(
        self, wanted: RequestFilter, limit: int, after: Position | None
    ) -> tuple[list[ListedRow], Position | None]:
        """Rows that fit, newest first, and the position behind them."""
        return self._pages.newest(conditions(wanted), limit, after)

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

    def errors(self, start: datetime, end: datetime, limit: int) -> Sequence[Row[Any]]:
        """Failures by type and model with the last example, most frequent first."""
        kind = (_COLUMNS.error_type, _COLUMNS.provider, _COLUMNS.model)
        newest_first = (_COLUMNS.created_at.desc(), _COLUMNS.id.desc())
        failed = (
            select(
                *kind,
                func.count().over(partition_by=kind).label("requests"),
                func.row_number().over(partition_by=kind, order_by=newest_first).label("place"),
                _COLUMNS.created_at.label("last_at"),
                _COLUMNS.id.label("last_request_id"),
            )
            .where(between(start, end), _NOT_COMPLETED, _COLUMNS.status == RequestStatus.FAILED)
            .subquery()
        )
        statement = (
            select(failed, _COLUMNS.error_message.label("last_message"))
            .join(TABLE, _COLUMNS.id == failed.c.last_request_id)
            .where(failed.c.place == 1)
            .order_by(failed.c.requests.desc(), failed.c.last_at.desc())
        )
        return self._session.execute(statement.limit(limit)).all()

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
    if isinstance(wanted.since, datetime):
        found.append(bound(wanted.since) <= CREATED)
    if isinstance(wanted.until, datetime):
        found.append(bound(wanted.until) > CREATED)
    if wanted.text is not None:
        found.append(or_(*_shows(wanted.text)))
    return [*found, *_index_hint(wanted)]


def _shows(words: str) -> Iterator[ColumnElement[bool]]:
    for preview in (_COLUMNS.input_preview, _COLUMNS.output_preview):
        yield preview.icontains(words, autoescape=True)


def _index_hint(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    """Completed rows have no error, and nearly all rows are completed."""
    uncompleted = wanted.status not in {None, RequestStatus.COMPLETED}
    return [_NOT_COMPLETED] if uncompleted or wanted.error_type is not None else []


def _like_any(patterns: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    for pattern in patterns:
        like = pattern.translate(_LIKE)
        for column in (_COLUMNS.model, _COLUMNS.response_model):
            yield column.ilike(like, escape="/")

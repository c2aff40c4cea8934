"""The SQL of forgetting: content goes, then rows go, a bounded batch at a time.

Ids and times are taken and given back as the database holds them: older engines wrote some of them
in forms of their own, and what went through Python would no longer be equal.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    null,
    select,
    text,
    tuple_,
    update,
)

from modules.llm_services.types import RequestStatus

from .writing import TABLE

Cursor: TypeAlias = tuple[Any, Any]

_ID: ColumnElement[Any] = literal_column("id")
_CREATED: ColumnElement[Any] = literal_column("created_at")
_SETTLED = TABLE.c.status != RequestStatus.PENDING
_KEPT = TABLE.c.payload_state.not_in(("purged", "none"))
_GONE = {
    "payload_state": "purged",
    "messages": [],
    **dict.fromkeys(
        (
            *("input_preview", "output_preview", "error_message", "context_data"),
            *("response_content", "response_raw", "kept_answer"),
        ),
        null(),
    ),
    "additional_params": bindparam("params", type_=TABLE.c.additional_params.type),
    "usage_details": bindparam("counted", type_=TABLE.c.usage_details.type),
}
_NOBODY = dict.fromkeys(
    (
        *("user_id", "conversation_id", "trace_id", "span_id"),
        *("idempotency_key", "request_hash"),
    ),
    null(),
)


def be_brief(connection: Connection) -> None:
    """A transaction that waits for nobody long, so that nobody waits long for it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        connection.execute(text("SET LOCAL statement_timeout = '30s'"))


def with_content(
    connection: Connection, before: datetime, after: Cursor | None, limit: int
) -> Sequence[Row[Any]]:
    """The oldest settled rows whose content is to go, from a cursor on."""
    due = _due(before)
    if after is not None:
        due = due.where(tuple_(_CREATED, _ID) > tuple_(*after))
    return connection.execute(due.order_by(_CREATED, _ID).limit(limit)).all()


def of_user(connection: Connection, user_id: UUID, limit: int) -> Sequence[Row[Any]]:
    """Some of a user's rows, open ones, too."""
    statement = _rows().where(TABLE.c.user_id == user_id).limit(limit)
    return connection.execute(statement).all()


def scrub(connection: Connection, rows: Sequence[dict[str, Any]], *, nobodys: bool) -> None:
    """Take the content from rows (``row_id``, ``params`` and ``counted`` of each), and with
    ``nobodys`` the user, too.
    """
    values = {**_GONE, **(_NOBODY if nobodys else {})}
    connection.execute(update(TABLE).where(bindparam("row_id") == _ID).values(values), rows)


def oldest_settled(connection: Connection, before: datetime) -> datetime | None:
    """When the oldest row that may be deleted began."""
    statement = select(TABLE.c.created_at).where(_SETTLED, TABLE.c.created_at < before)
    return connection.scalar(statement.order_by(TABLE.c.created_at).limit(1))


def delete_some(connection: Connection, before: datetime, limit: int) -> int:
    """Delete the oldest settled rows; returns how many."""
    due = select(_ID).select_from(TABLE).where(_SETTLED, TABLE.c.created_at < before)
    chosen = due.order_by(TABLE.c.created_at).limit(limit)
    return connection.execute(delete(TABLE).where(_ID.in_(chosen))).rowcount


def how_many(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    """Rows that fulfil the conditions."""
    return connection.scalars(select(func.count()).select_from(TABLE).where(*conditions)).one()


def due_for_scrubbing(before: datetime) -> Iterator[ColumnElement[bool]]:
    """What a row fulfils whose content is to go."""
    yield from (_SETTLED, _KEPT, TABLE.c.created_at < before)


def due_for_deletion(before: datetime) -> Iterator[ColumnElement[bool]]:
    """What a row fulfils that is to go itself."""
    yield from (_SETTLED, TABLE.c.created_at < before)


def since(moment: datetime) -> Iterator[ColumnElement[bool]]:
    """What a row fulfils that began then or later."""
    yield TABLE.c.created_at >= moment


def users(user_id: UUID) -> Iterator[ColumnElement[bool]]:
    """What a user's row fulfils."""
    yield TABLE.c.user_id == user_id


def _rows() -> Select[Any]:
    facts = (TABLE.c.additional_params, TABLE.c.usage_details)
    return select(_ID.label("id"), _CREATED.label("created_at"), *facts).select_from(TABLE)


def _due(before: datetime) -> Select[Any]:
    return _rows().where(*due_for_scrubbing(before))

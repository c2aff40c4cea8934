"""The recorder's SQL: it writes many rows at once and needs no ORM objects."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    update,
)

from modules.llm_services.models import LLMRequest
from modules.llm_services.types import RequestStatus
from modules.llm_services.types.budgets import Reservation

from .budgets import book
from .inserting import insert_unless_there
from .prepared import prepared

TABLE: Table = LLMRequest.metadata.tables[LLMRequest.__tablename__]

SETTLED_COLUMNS = (
    "status",
    "completed_at",
    "provider",
    "model",
    "fallback_from",
    "response_model",
    "prompt_tokens",
    "completion_tokens",
    "tokens_used",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost_estimate",
    "cost_source",
    "price_ref",
    "cached",
    "cache_key",
    "cached_from_id",
    "saved_cost",
    "execution_time_ms",
    "time_to_first_token_ms",
    "finish_reason",
    "error_type",
    "error_message",
    "http_status",
    "retry_attempt",
    "maybe_paid",
    "provider_request_id",
    "service_tier",
    "output_preview",
    "dropped_params",
    "usage_details",
    "cost_details",
    "attempts",
    "response_content",
    "response_raw",
    "kept_answer",
    "payload_state",
    "reservation",
)
"""What is written when a call ends; everything else is written when it begins."""


CONTENT_OF_OUTCOMES = frozenset(
    {"response_content", "response_raw", "kept_answer", "output_preview", "error_message"}
)


_KEPT_UNLESS_SAID = frozenset({"provider", "model"})
"""The opening row has said them, and nearly always rightly."""

_KEY_OF_THE_PUNCTUAL = case(
    (TABLE.c.status == RequestStatus.PENDING, TABLE.c.idempotency_key), else_=null()
)
"""A late answer leaves the key to whoever took it over meanwhile."""


def _settle_statement(*states: ColumnElement[bool]) -> Update:
    values: dict[str, Any] = {name: _unless_purged(name) for name in SETTLED_COLUMNS}
    values["idempotency_key"] = _KEY_OF_THE_PUNCTUAL
    this_row = TABLE.c.id == bindparam("row_id")
    return update(TABLE).where(this_row, or_(*states)).values(values)


def _unless_purged(name: str) -> ColumnElement[Any]:
    """What was purged or erased while its call was open stays so: no late answer fills it again.

    A state of "full" says nothing new about what the opening row had left out.
    """
    said = bindparam(name, type_=TABLE.c[name].type)
    if name in _KEPT_UNLESS_SAID:
        return func.coalesce(said, TABLE.c[name])
    purged = TABLE.c.payload_state == "purged"
    if name == "payload_state":
        told = func.coalesce(func.nullif(said, "full"), TABLE.c.payload_state)
        return case((purged, TABLE.c.payload_state), else_=told)
    return case((purged, null()), else_=said) if name in CONTENT_OF_OUTCOMES else said


def open_row() -> tuple[ColumnElement[bool], ...]:
    """Only an open row is settled; a late answer may still replace what a crash left behind."""
    return (
        TABLE.c.status == RequestStatus.PENDING,
        and_(TABLE.c.status == RequestStatus.FAILED, TABLE.c.error_type == "Interrupted"),
    )


_SETTLE = _settle_statement(*open_row())
_SETTLE_IN_TIME, _SETTLE_LATE = map(_settle_statement, open_row())


def insert_pending(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write opening rows. A row that is there already is left as it is."""
    insert = insert_unless_there(TABLE, connection.dialect.name)
    for names, alike in groupby(rows, key=tuple):  # spooled rows may be another version's
        prepared(connection, insert, names).execute(connection, list(alike))


def settle(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the outcome of rows, each with ``row_id`` and all of `SETTLED_COLUMNS`.

    What a row had reserved of budgets is booked by whoever settles it, and once.
    """
    free = [row for row in rows if row["reservation"] is None]
    if free:
        prepared(connection, _SETTLE).execute(connection, free)
    bound = [row for row in rows if row["reservation"] is not None]
    if bound:
        booked = [one for row in bound for one in _settled_under_budget(connection, row)]
        book(connection, booked)


def _settled_under_budget(
    connection: Connection, row: Mapping[str, Any]
) -> Iterator[tuple[Reservation, bool]]:
    """What to book for a row: a late answer has nothing reserved any more, but has its cost."""
    reservation = Reservation.of_json(row["reservation"])
    held = _held(connection, row["row_id"])
    if held is not None:
        connection.execute(_SETTLE_IN_TIME, row)
        yield held.spent(reservation.spent_nano_usd, reservation.spent_tokens), True
    elif connection.execute(_SETTLE_LATE, row).rowcount:
        yield reservation, False


_HELD = (
    update(TABLE)
    .where(TABLE.c.id == bindparam("row_id"), TABLE.c.status == RequestStatus.PENDING)
    .values(status=TABLE.c.status)
    .returning(TABLE.c.reservation)
)


def _held(connection: Connection, row_id: UUID) -> Reservation | None:
    """What an open row has reserved. Nobody else can settle it, or reserve for it, meanwhile."""
    stored = connection.execute(_HELD, {"row_id": row_id}).scalar_one_or_none()
    return None if stored is None else Reservation.of_json(stored)


def hold_more(connection: Connection, row_id: UUID, more: Reservation) -> bool:
    """Note on an open row what it reserves besides; whether it is open."""
    held = _held(connection, row_id)
    if held is None:
        return False
    this_row = TABLE.c.id == row_id
    noted = {"reservation": held.plus(more).as_json()}
    connection.execute(update(TABLE).where(this_row).values(noted))
    return True


_NOWHERE = UUID(int=0)


def touch(connection: Connection) -> None:
    """A write that changes no row: it fails where any other would, but for want of room."""
    connection.execute(update(TABLE).where(TABLE.c.id == _NOWHERE).values(id=_NOWHERE))


_BARE = frozenset(
    {
        *("row_id", "status", "completed_at", "execution_time_ms", "retry_attempt", "maybe_paid"),
        *("payload_state", "cached", "reservation", "provider", "model", "fallback_from"),
    }
)


def bare_outcome(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The outcome reduced to what any database can hold, with the reason as its message."""
    kept = {name: value if name in _BARE else None for name, value in row.items()}
    return {**kept, "error_message": reason}

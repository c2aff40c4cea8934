"""Idempotency keys: only one living row may have one, and what it holds answers for all."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from modules.llm_services.types import RequestStatus

from .inserting import insert_unless_there
from .writing import TABLE

_LIVING = (RequestStatus.PENDING, RequestStatus.COMPLETED)
_COLUMNS = (
    *("id", "status", "request_hash", "kept_answer", "payload_state"),
    *("provider", "model", "fallback_from"),
    *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cost_estimate", "execution_time_ms", "retry_attempt", "cached"),
)


def open_with_key(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Write an opening row unless a living one has its key; whether the row is there.

    Doing it twice changes nothing. Two connections cannot both succeed: the partial
    unique index lets the second one wait for the first, and then do nothing.
    """
    insert = insert_unless_there(TABLE, connection.dialect.name)
    counting = insert.execution_options(preserve_rowcount=True)
    if connection.execute(counting, row).rowcount == 1:
        return True
    there = select(TABLE.c.id).where(TABLE.c.id == row["id"])
    return connection.scalar(there) is not None


def living_row(connection: Connection, key: str) -> Row[Any] | None:
    """The row that has a key: pending, or completed."""
    table: Table = TABLE
    statement = select(*(table.c[name] for name in _COLUMNS)).where(
        table.c.idempotency_key == key, table.c.status.in_(_LIVING)
    )
    return connection.execute(statement).one_or_none()

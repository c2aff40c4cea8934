"""The rows of a batch: written all at once, each settled much later."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, or_, select

from .writing import TABLE, open_row


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """What of a batch's row is needed to settle it. ``answers`` is the name of the class that the
    request asked for.
    """

    id: UUID
    operation: str
    provider: str
    model: str
    created_at: datetime
    key: str
    answers: str | None
    dropped: tuple[str, ...]
    is_open: bool
    payload_state: str


def batch_rows(connection: Connection, batch_id: UUID) -> list[BatchRow]:
    """The rows of a batch, in the order of their making."""
    columns = TABLE.c
    statement = (
        select(
            *(columns.id, columns.operation, columns.provider, columns.model, columns.created_at),
            *(columns.additional_params, columns.dropped_params, columns.payload_state),
            or_(*open_row()).label("is_open"),
        )
        .where(columns.batch_id == batch_id)
        .order_by(columns.created_at, columns.id)
    )
    return [_batch_row(row) for row in connection.execute(statement)]


def _batch_row(row: Any) -> BatchRow:
    said = row.additional_params
    return BatchRow(
        id=row.id,
        operation=row.operation,
        provider=row.provider,
        model=row.model,
        created_at=row.created_at,
        key=said["batch_key"],
        answers=said.get("response_model"),
        dropped=tuple(row.dropped_params or ()),
        is_open=row.is_open,
        payload_state=row.payload_state,
    )

"""The ledger's SQL, all of it: rows in, rows out. Nothing here commits.

Two doors: `LLMRequestRepo` for whoever holds a session, and `insert_pending` and `settle` for the
recorder, which writes many rows at once on a connection of its own and needs no ORM objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, undefer

from .models import LLMRequest
from .types import RequestStatus

_TABLE: Table = LLMRequest.metadata.tables[LLMRequest.__tablename__]

SETTLED_COLUMNS = (
    "status",
    "completed_at",
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
    "execution_time_ms",
    "time_to_first_token_ms",
    "finish_reason",
    "error_type",
    "error_message",
    "http_status",
    "retry_attempt",
    "maybe_paid",
    "provider_request_id",
    "output_preview",
    "dropped_params",
    "usage_details",
    "cost_details",
    "attempts",
    "response_content",
    "response_raw",
)
"""What is written when a call ends; everything else is written when it begins."""


def _settle_statement() -> Update:
    values: dict[str, Any] = {name: bindparam(name) for name in SETTLED_COLUMNS}
    this_row = _TABLE.c.id == bindparam("row_id")
    return update(_TABLE).where(this_row, or_(*_open_row())).values(values)


def _open_row() -> tuple[ColumnElement[bool], ...]:
    """Only an open row is settled; a late answer may still replace what a crash left behind."""
    return (
        _TABLE.c.status == RequestStatus.PENDING,
        and_(_TABLE.c.status == RequestStatus.FAILED, _TABLE.c.error_type == "Interrupted"),
    )


_SETTLE = _settle_statement()


@lru_cache
def _insert(dialect: str) -> Insert:
    """Each database spells "unless it is there already" through a module of its own."""
    module = import_module(f"sqlalchemy.dialects.{dialect}")
    statement: Insert = module.insert(_TABLE).on_conflict_do_nothing()
    return statement


def insert_pending(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write opening rows. A row that is there already is left as it is."""
    connection.execute(_insert(connection.dialect.name), rows)


def settle(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the outcome of rows, each with ``row_id`` and all of `SETTLED_COLUMNS`."""
    connection.execute(_SETTLE, rows)


_BARE = frozenset(
    {"row_id", "status", "completed_at", "execution_time_ms", "retry_attempt", "maybe_paid"}
)


def bare_outcome(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The outcome reduced to what any database can hold, with the reason as its message."""
    kept = {name: value if name in _BARE else None for name, value in row.items()}
    return {**kept, "error_message": reason}


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


def batch_rows(connection: Connection, batch_id: UUID) -> list[BatchRow]:
    """The rows of a batch, in the order of their making."""
    columns = _TABLE.c
    statement = (
        select(
            *(columns.id, columns.operation, columns.provider, columns.model, columns.created_at),
            *(columns.additional_params, columns.dropped_params),
            or_(*_open_row()).label("is_open"),
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
    )


class LLMRequestRepo:
    """Reads and writes ledger rows through the caller's session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def by_id(self, request_id: UUID) -> LLMRequest | None:
        """The row with its wide columns, or ``None``."""
        statement = select(LLMRequest).where(LLMRequest.id == request_id)
        return self.session.scalars(_with_wide_columns(statement)).one_or_none()

    def by_user(self, user_id: UUID, limit: int = 50, offset: int = 0) -> Sequence[LLMRequest]:
        """A user's rows, newest first, without the wide columns."""
        statement = (
            select(LLMRequest)
            .where(LLMRequest.user_id == user_id)
            .order_by(LLMRequest.created_at.desc(), LLMRequest.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return self.session.scalars(statement).all()

    def recent_answers(self, model: str, count: int, window: int) -> Sequence[LLMRequest]:
        """Up to ``count`` answered rows of a model with their messages, newest first.

        Only the newest ``window`` rows of the ledger are looked at, so that the cost is bounded
        for a model that is hardly ever used.
        """
        newest = select(LLMRequest.id).order_by(LLMRequest.created_at.desc()).limit(window)
        statement = (
            select(LLMRequest)
            .where(
                LLMRequest.id.in_(newest.subquery().select()),
                LLMRequest.model == model,
                LLMRequest.operation == "chat",
                LLMRequest.status == RequestStatus.COMPLETED,
                LLMRequest.retry_attempt == 1,
                LLMRequest.prompt_tokens.is_not(None),
            )
            .order_by(LLMRequest.created_at.desc())
            .limit(count)
        )
        return self.session.scalars(_with_wide_columns(statement)).all()

    def create(self, llm_request: LLMRequest) -> LLMRequest:
        """Add a row and give it its database defaults."""
        self.session.add(llm_request)
        self.session.flush()
        return llm_request

    def update_success(self, request_id: UUID, response_data: dict[str, Any]) -> None:
        """Settle a pending row as completed with the given columns (see `SETTLED_COLUMNS`)."""
        self._settle(request_id, RequestStatus.COMPLETED, response_data)

    def update_error(self, request_id: UUID, error_info: dict[str, Any]) -> None:
        """Settle a pending row as failed with the given columns (see `SETTLED_COLUMNS`)."""
        self._settle(request_id, RequestStatus.FAILED, error_info)

    def _settle(self, request_id: UUID, status: RequestStatus, values: dict[str, Any]) -> None:
        unknown = sorted(values.keys() - set(SETTLED_COLUMNS))
        if unknown:
            raise ValueError(f"not columns of an outcome: {', '.join(unknown)}")
        outcome = {"completed_at": datetime.now(UTC), **values, "status": status}
        pending = and_(LLMRequest.id == request_id, LLMRequest.status == RequestStatus.PENDING)
        self.session.execute(update(LLMRequest).where(pending).values(outcome))


def _with_wide_columns(statement: Select[LLMRequest]) -> Select[LLMRequest]:
    wide = (LLMRequest.messages, LLMRequest.response_content, LLMRequest.response_raw)
    return statement.options(*(undefer(column) for column in wide))

"""Conversations of the ledger, to be made again or priced for another model."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.types import RequestStatus
from modules.llm_services.types.paging import RequestFilter

from .overview import conditions
from .stored_id import is_id
from .writing import TABLE

CONVERSATIONS = ("chat", "structured", "tools", "batch")
_C = TABLE.c
_NARROW = (
    *("id", "user_id", "tenant", "feature", "operation", "provider", "model", "status"),
    *("payload_state", "batch_id", "prompt_tokens", "completion_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "cost_estimate", "execution_time_ms"),
)
_WIDE = ("temperature", "max_tokens", "additional_params", "messages", "response_content")


def logged_by_id(
    session: Session, ids: Sequence[UUID], user: ColumnElement[bool], *, whole: bool
) -> Sequence[RowMapping]:
    """The rows with these ids, of whatever kind, in no order."""
    these = or_(*(is_id(session, _C.id, one) for one in ids))
    return session.execute(_columns(whole=whole).where(these, user)).mappings().all()


def logged_by_filter(
    session: Session, wanted: RequestFilter, user: ColumnElement[bool], limit: int, *, whole: bool
) -> Sequence[RowMapping]:
    """The newest completed conversations that fit and were paid for themselves."""
    made = (
        _C.operation.in_(CONVERSATIONS),
        _C.status == RequestStatus.COMPLETED,
        _C.replay_of.is_(None),
        _C.cached.is_(False),
    )
    statement = _columns(whole=whole).where(*conditions(wanted), *made, user)
    newest = statement.order_by(_C.created_at.desc(), _C.id.desc()).limit(limit)
    return session.execute(newest).mappings().all()


def of_user(session: Session, user_id: UUID | None) -> ColumnElement[bool]:
    """Whether a row belongs to a user, or to nobody."""
    return _C.user_id.is_(None) if user_id is None else is_id(session, _C.user_id, user_id)


def _columns(*, whole: bool) -> Select[Any]:
    return select(*(_C[name] for name in (*_NARROW, *(_WIDE if whole else ()))))

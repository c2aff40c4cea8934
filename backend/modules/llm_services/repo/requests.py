"""Rows of the ledger for whoever holds a session. Nothing here commits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select, update
from sqlalchemy.orm import Session, undefer

from modules.llm_services.models import LLMRequest
from modules.llm_services.types import RequestStatus

from .stored_id import has_old_spelling, is_id
from .writing import SETTLED_COLUMNS


class LLMRequestRepo:
    """Reads and writes ledger rows through the caller's session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def by_id(self, request_id: UUID) -> LLMRequest | None:
        """The row with its wide columns, or ``None``."""
        statement = select(LLMRequest).where(self._is(request_id))
        return self.session.scalars(_with_wide_columns(statement)).one_or_none()

    def by_user(self, user_id: UUID, limit: int = 50, offset: int = 0) -> Sequence[LLMRequest]:
        """A user's rows, newest first, without the wide columns."""
        column = LLMRequest.__table__.c.user_id
        both = has_old_spelling(self.session, column, user_id)
        statement = (
            select(LLMRequest)
            .where(is_id(self.session, column, user_id) if both else column == user_id)
            .order_by(LLMRequest.created_at.desc(), LLMRequest.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return self.session.scalars(statement).all()

    def recent_answers(self, model: str, count: int, window: int) -> Sequence[LLMRequest]:
        """Up to ``count`` answered rows of a model with all their words, newest first.

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
                LLMRequest.payload_state == "full",
                LLMRequest.retry_attempt == 1,
                LLMRequest.cached.is_(False),
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
        pending = and_(self._is(request_id), LLMRequest.status == RequestStatus.PENDING)
        self.session.execute(update(LLMRequest).where(pending).values(outcome))

    def _is(self, request_id: UUID) -> ColumnElement[bool]:
        return is_id(self.session, LLMRequest.__table__.c.id, request_id)


def _with_wide_columns(statement: Select[LLMRequest]) -> Select[LLMRequest]:
    wide = (LLMRequest.messages, LLMRequest.response_content, LLMRequest.response_raw)
    return statement.options(*(undefer(column) for column in wide))

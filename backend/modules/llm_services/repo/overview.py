"""Reads across users. Lists never load the wide columns."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from modules.llm_services.models import LLMRequest


class LedgerOverviewRepo:
    """Looks at the whole ledger through the caller's session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def recent(self, limit: int) -> Sequence[LLMRequest]:
        """The newest rows of everybody."""
        statement = select(LLMRequest).order_by(LLMRequest.created_at.desc(), LLMRequest.id.desc())
        return self.session.scalars(statement.limit(limit)).all()

"""Reads logged requests, on connections that are given back before any model is asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine, RowMapping, true
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.types.paging import RequestFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which requests are meant, and whose: of everybody, or of ``user_id`` (or of nobody).

    ``whole`` says that their messages and answers are, too.
    """

    requests: Sequence[UUID] | RequestFilter
    limit: int
    everybody: bool
    user_id: UUID | None
    whole: bool


class LoggedRequests:
    """The ledger's conversations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, wanted: Wanted) -> Sequence[RowMapping]:
        """The rows, those of a filter newest first and at most one more than the limit.

        Raises `LLMRecordingError` when the database does not answer.
        """
        return await asyncio.to_thread(self._read, wanted)

    def _read(self, wanted: Wanted) -> Sequence[RowMapping]:
        try:
            with Session(self._engine) as session:
                return _found(session, wanted)
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise LLMRecordingError(f"the ledger's database did not answer ({cause})") from error


def _found(session: Session, wanted: Wanted) -> Sequence[RowMapping]:
    user = true() if wanted.everybody else repo.of_user(session, wanted.user_id)
    if isinstance(wanted.requests, RequestFilter):
        most = wanted.limit + 1
        return repo.logged_by_filter(session, wanted.requests, user, most, whole=wanted.whole)
    return repo.logged_by_id(session, wanted.requests, user, whole=wanted.whole)

"""Who has an idempotency key: asked of the database, when a row could not be opened with it."""

import asyncio
from typing import Any

from sqlalchemy import Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMIdempotencyError, LLMRecordingError


class KeyTakenError(LLMIdempotencyError):
    """A living row has the key: no row was opened."""


class KeyLedger:
    """Looks rows up by their key, on connections that are given back at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def living_row(self, key: str) -> Row[Any] | None:
        """The row that has the key. Raises `LLMRecordingError` when nobody can say."""
        return await asyncio.to_thread(self._read, key)

    def _read(self, key: str) -> Row[Any] | None:
        try:
            with self._engine.connect() as connection:
                return repo.living_row(connection, key)
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise LLMRecordingError(
                f"the ledger's database did not say who has the idempotency_key ({cause})"
            ) from error

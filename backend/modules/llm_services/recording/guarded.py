"""Opening rows that may be refused: the ledger decides, in the transaction that opens them.

They do not go through the writer, which opens rows in groups and, while the database is away, in
the spool: what only the database knows can't be decided there. One thread makes one transaction
after the other, so that a process has one connection at the database's locks for this.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMError, LLMRecordingError
from modules.llm_services.thresholds import tell
from modules.llm_services.types.budgets import Account, BudgetThreshold, Reservation

from .budgets import crossed, exceeded
from .caretaker import Caretaker
from .forking import transaction
from .keys import KeyTakenError


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "llm-ledger-guard")


_Write: TypeAlias = Callable[[Mapping[str, Any], Reservation | None], list[BudgetThreshold]]


class _RefusedError(Exception):
    """Ends a transaction with nothing in it."""

    def __init__(self, error: LLMError, account: Account | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.account = account


class GuardedOpening:
    """Opens rows one by one. Its thread begins with the first of them and ends with `close`;
    the next one begins another.
    """

    def __init__(self, engine: Engine, caretaker: Caretaker | None = None) -> None:
        self._engine = engine
        self._caretaker = caretaker
        self._thread = _one_thread()

    def open(
        self, row: Mapping[str, Any], reservation: Reservation | None = None
    ) -> asyncio.Future[LLMError | None]:
        """What the ledger says of a row: ``None`` when it is committed, else why it is not."""
        owned = self._caretaker.owned(row) if self._caretaker else row
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._open, owned, reservation, self._commit)

    def reserve(self, row_id: UUID, more: Reservation) -> asyncio.Future[LLMError | None]:
        """What the ledger says of a further reservation of an open row."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._open, {"id": row_id}, more, self._add)

    def close(self) -> None:
        """End the thread, when it has opened what it was given, and its connection."""
        ended, self._thread = self._thread, _one_thread()
        ended.shutdown()
        self._engine.dispose()

    def _open(
        self, row: Mapping[str, Any], reservation: Reservation | None, write: _Write
    ) -> LLMError | None:
        try:
            return self._decide(row, reservation, write)
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            return LLMRecordingError(
                "the ledger's database did not say whether this was paid for before, or whether a "
                f"budget has room for it ({cause}): nothing was sent"
            )

    def _decide(
        self, row: Mapping[str, Any], reservation: Reservation | None, write: _Write
    ) -> LLMError | None:
        try:
            tell(write(row, reservation))
        except _RefusedError as refused:
            tell(self._used_up(refused.account))
            return refused.error
        return None

    def _commit(
        self, row: Mapping[str, Any], reservation: Reservation | None
    ) -> list[BudgetThreshold]:
        """The row and what it reserves, or neither."""
        with transaction(self._engine) as connection:
            if not repo.open_with_key(connection, row):
                raise _RefusedError(KeyTakenError("another request has this idempotency_key"))
            return [] if reservation is None else _reserved(connection, reservation)

    def _add(self, row: Mapping[str, Any], more: Reservation | None) -> list[BudgetThreshold]:
        """What an open row reserves besides. One that is settled holds nothing any more."""
        with transaction(self._engine) as connection:
            if more is None or not repo.hold_more(connection, row["id"], more):
                return []
            return _reserved(connection, more)

    def _used_up(self, account: Account | None) -> list[BudgetThreshold]:
        """A budget that has no room for a call is used up, for all that matters."""
        if account is None:
            return []
        with transaction(self._engine) as connection:
            return crossed(connection, [account], least=100)


def _reserved(connection: Connection, reservation: Reservation) -> list[BudgetThreshold]:
    full = repo.reserve(connection, reservation)
    if full is not None:
        raise _RefusedError(exceeded(*full, reservation), full[0])
    return crossed(connection, reservation.accounts)

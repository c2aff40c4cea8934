"""Commits groups of rows to the ledger's table, and says what it means when that fails."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchTableError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.models import LLMRequest

from .forking import undivided
from .lines import Entry, SpooledRow

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Entry)

_ROWS_FAULTS = (DataError, IntegrityError, ArithmeticError, ValueError, TypeError)
_TOO_MUCH = "54"  # PostgreSQL's class of codes for a row beyond the server's limits
_PLAIN_ERROR = 1  # SQLite's code for a statement that does not fit the tables


@dataclass(frozen=True, slots=True)
class Written(Generic[E]):
    """What became of a group. ``refusal``: the database took none of it, for now; ``spoilt``:
    rows that it can never hold; without either, all is committed.
    """

    refusal: LLMRecordingError | None = None
    spoilt: Sequence[tuple[E, LLMRecordingError]] = ()


class Store:
    """One connection that is kept, for the one thread that writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def write(self, entries: Sequence[E]) -> Written[E]:
        """Commit a group; if one row spoils it, commit each for itself. Writing an entry twice
        changes nothing.
        """
        error = self._commit(entries)
        if error is None:
            return Written()
        if not _is_rows_fault(error):
            return Written(self._explain(error))
        if len(entries) == 1:
            return self._spoilt(entries[0], self._explain(error))
        return self._each(entries)

    def _each(self, entries: Sequence[E]) -> Written[E]:
        spoilt: list[tuple[E, LLMRecordingError]] = []
        for entry in entries:
            written = self.write([entry])
            if written.refusal is not None:
                return written
            spoilt.extend(written.spoilt)
        return Written(spoilt=spoilt)

    def _spoilt(self, entry: E, refusal: LLMRecordingError) -> Written[E]:
        """A row that the database cannot hold. An outcome is tried once more without its content:
        that a call ended is worth more than how.
        """
        if entry.opens:
            return Written(spoilt=[(entry, refusal)])
        logger.error("request %s: the outcome is stored bare: %s", entry.row["row_id"], refusal)
        error = self._commit([SpooledRow(opens=False, row=_bare(entry, refusal))])
        if error is None:
            return Written()
        again = self._explain(error)
        return Written(spoilt=[(entry, again)]) if _is_rows_fault(error) else Written(again)

    def probe(self) -> LLMRecordingError | None:
        """Try a write that changes nothing; what stands in its way."""
        error = self._commit(())
        return None if error is None else self._explain(error)

    def close(self) -> None:
        """Close the connection."""
        self._discard()
        self._engine.dispose()

    def _commit(self, entries: Sequence[Entry]) -> Exception | None:
        """One transaction; a second one when the connection turns out to have died meanwhile."""
        error = self._transact(entries)
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return self._transact(entries)
        return error

    def _transact(self, entries: Sequence[Entry]) -> Exception | None:
        """Whatever a driver raises is an answer to the callers: the thread must go on."""
        try:
            with undivided:
                if self._connection is None:
                    self._connection = self._engine.connect()
                with self._connection.begin():
                    _apply(self._connection, entries)
        except Exception as error:  # noqa: BLE001 - it is handed on, not swallowed
            self._discard()
            return error
        return None

    def _discard(self) -> None:
        """The next attempt is made on a new connection: this one may be dead, or lead to a server
        that has become a replica.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()

    def _explain(self, error: Exception) -> LLMRecordingError:
        cause = type(getattr(error, "orig", None) or error).__name__
        if _may_be_schema(error) and self._schema_is_behind():
            return LLMRecordingError(
                "the table llm_requests is missing or too old: run `llm-services migrate`, or "
                "`alembic upgrade head`",
                retryable=False,
            )
        return LLMRecordingError(f"the ledger's database did not take the row ({cause})")

    def _schema_is_behind(self) -> bool:
        table = LLMRequest.__tablename__
        try:
            there = {column["name"] for column in inspect(self._engine).get_columns(table)}
        except NoSuchTableError:
            return True
        except SQLAlchemyError:
            return False
        return not there.issuperset(LLMRequest.__table__.columns.keys())


def _apply(connection: Connection, entries: Sequence[Entry]) -> None:
    opening = [entry.row for entry in entries if entry.opens]
    if opening:
        repo.insert_pending(connection, opening)
    outcomes = [entry.row for entry in entries if not entry.opens]
    if outcomes:
        repo.settle(connection, outcomes)
    if not entries:
        repo.touch(connection)


def _bare(entry: Entry, refusal: LLMRecordingError) -> dict[str, Any]:
    return repo.bare_outcome(entry.row, str(refusal))


def _is_rows_fault(error: Exception) -> bool:
    """Whether the row is wrong; else the database is down, locked, full, read-only or changed, and
    the row may be right.
    """
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(error, ProgrammingError):  # without a code it is the driver's, about a value
        return code is None
    if isinstance(error, OperationalError):
        return str(code).startswith(_TOO_MUCH)
    plain = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    return plain or isinstance(error, _ROWS_FAULTS)


def _may_be_schema(error: Exception) -> bool:
    if isinstance(error, OperationalError):
        return getattr(error.orig, "sqlite_errorcode", None) == _PLAIN_ERROR
    return isinstance(error, ProgrammingError)

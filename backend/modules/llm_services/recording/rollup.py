"""Keeps the daily sums: each day in a short transaction of its own, on the ledger's connections."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMRecordingError

from .forking import undivided

_LONGEST_DAY = "5min"


class DailyUsageJob:
    """Brings the daily sums up to date. Any number of processes may do that at any time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def refresh(self, from_day: date | None, to_day: date | None) -> int:
        """Make the days anew that need it or, with either end given, all of them up to today.

        Returns how many were. Blocks. Raises `LLMRecordingError` when the database does not
        answer; the days before that are done.
        """
        try:
            with self._engine.connect() as connection:
                connection.detach()  # the ledger's pool keeps nothing of a job that is over
                days = _days(connection, from_day, to_day)
                return sum(_refreshed(connection, day) for day in days)
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise LLMRecordingError(f"the ledger's database did not answer ({cause})") from error


def _days(connection: Connection, from_day: date | None, to_day: date | None) -> Sequence[date]:
    today = datetime.now(UTC).date()
    with undivided, connection.begin():
        _take_your_time(connection)
        if from_day is None and to_day is None:
            return repo.stale_days(connection, today)
        last = min(to_day or today, today)  # no day of the future has rows
        return repo.days_to_refresh(connection, from_day or date.min, last)


def _refreshed(connection: Connection, day: date) -> bool:
    with undivided, connection.begin():
        _take_your_time(connection)
        return repo.refresh_day(connection, day)


def _take_your_time(connection: Connection) -> None:
    """What is too long for a call that waits is not for a job."""
    if connection.dialect.name == "postgresql":
        for limit in ("statement_timeout", "lock_timeout"):
            connection.execute(text(f"SET LOCAL {limit} = '{_LONGEST_DAY}'"))

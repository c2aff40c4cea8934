"""Times as the database writes them, so that ranges and cursors compare exactly what is stored.

SQLite holds text, and two spellings of a full second: ours with a fraction, and its own default's
without. A bound that is spelt without comes before both.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, String, and_, literal, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine

from .writing import TABLE

DAY = timedelta(days=1)


class StoredTime(TypeDecorator[str]):
    """A time as text in UTC, ``2026-11-22 10:00:00.5``; on SQLite the very text of the column."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text where times are text."""
        own = String() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """The text itself, or the time that it says."""
        if value is None or dialect.name == "sqlite":
            return value
        return read_time(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> str | None:
        """The text itself, or the time's."""
        return spelt(value) if isinstance(value, datetime) else value


def spelt(when: datetime) -> str:
    """A time as text in UTC, without a fraction when there is none."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def read_time(text: str) -> datetime:
    """The time that `spelt` or SQLite wrote."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


CREATED: ColumnElement[str] = type_coerce(TABLE.c.created_at, StoredTime)


def bound(when: datetime) -> ColumnElement[str]:
    """A time to compare `CREATED` with."""
    return literal(spelt(when), StoredTime)


def between(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Rows that began at ``start`` or later, and before ``end``."""
    return and_(bound(start) <= CREATED, bound(end) > CREATED)

"""What tests of the ledger share: reading rows as they are stored, and slow transactions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from modules.shared.db import get_engine


def rows(where: str = "1=1") -> list[dict[str, Any]]:
    """Rows of the ledger of ``DATABASE_URL``, oldest first, on a connection of their own."""
    statement = text(f"SELECT * FROM llm_requests WHERE {where} ORDER BY created_at, id")  # noqa: S608
    with get_engine().connect() as connection:
        return [dict(row._mapping) for row in connection.execute(statement)]


def daily_rows() -> list[dict[str, Any]]:
    """The daily sums, in order."""
    statement = text("SELECT * FROM llm_usage_daily ORDER BY 1, 2, 3, 4, 5, 6, 7")
    with get_engine().connect() as connection:
        return [dict(row._mapping) for row in connection.execute(statement)]


def statuses() -> Sequence[str]:
    """The status of every row, sorted."""
    return sorted(row["status"] for row in rows())


class Lock:
    """Keeps everybody else from writing to a SQLite file, or to the ledger on PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()
        if engine.dialect.name == "sqlite":
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            self._connection.exec_driver_sql("LOCK TABLE llm_requests IN EXCLUSIVE MODE")

    def release(self) -> None:
        """Let the others write."""
        self._connection.rollback()
        self._connection.close()

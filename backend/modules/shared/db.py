"""One declarative base, one engine per database URL, and the session of a request.

``DATABASE_URL`` is an SQLAlchemy URL; without it the backend uses the SQLite file ``backend.db``
in the working directory.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, DateTime, Dialect, MetaData, Uuid, create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator, TypeEngine

DEFAULT_DATABASE_URL = "sqlite:///backend.db"
SQLITE_BUSY_TIMEOUT_MS = 5_000


class Base(DeclarativeBase):
    """The declarative base of every module. Constraint names are predictable on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC on every database. SQLite drops the zone; this puts it back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody can know which zone they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: give it a zone, e.g. datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Aware in UTC, also where the database forgot the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Guid(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, its 36 characters elsewhere, as existing tables hold it."""

    impl = CHAR(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL's own type where there is one."""
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(Uuid() if native else CHAR(36))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """The driver's form of the id."""
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> UUID | None:
        """Always a `uuid.UUID`, also for ids that were stored without dashes."""
        return value if value is None or isinstance(value, UUID) else UUID(value)


def compact_json(value: object) -> str:
    """JSON as it is stored: no spaces, no escapes for letters that UTF-8 has (a fifth smaller)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def database_url() -> str:
    """The URL of the backend's database, read from the environment each time it is asked for."""
    return os.environ.get("DATABASE_URL") or DEFAULT_DATABASE_URL


@lru_cache(maxsize=8)
def engine_for(url: str) -> Engine:
    """The process-wide engine of a database. SQLite is put into WAL mode with a busy timeout."""
    engine = create_engine(url, json_serializer=compact_json, pool_pre_ping=True)
    if make_url(url).get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    from sqlite3 import OperationalError  # no other database needs it

    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_TIMEOUT_MS}")
    # Switching needs the file for itself, and SQLite does not wait for that: who finds it switched,
    # or somebody switching it now, goes on.
    if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        with suppress(OperationalError):
            cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def get_engine() -> Engine:
    """The engine of ``DATABASE_URL``."""
    return engine_for(database_url())


def session_factory() -> sessionmaker[Session]:
    """Makes sessions on ``DATABASE_URL``; objects stay readable after their commit."""
    return sessionmaker(get_engine(), expire_on_commit=False)


def get_session() -> Iterator[Session]:
    """One request's session: committed when the request succeeds, rolled back when it raises.

    A use case that waits for something slow commits before it waits: that gives the connection
    back to the pool, and the session takes a new one when it is next used.
    """
    with session_factory()() as session:
        yield session
        session.commit()

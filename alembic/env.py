"""Runs migrations. The one outsider that imports every module's ``models.py``.

The database is ``config.attributes["connection"]`` when a caller lends one, else
``sqlalchemy.url``, else the backend's own ``DATABASE_URL``.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import JSON, Connection, Engine, String, create_engine, event, make_url, text
from sqlalchemy.pool import NullPool

import modules.content_creation.models
import modules.llm_services.models  # noqa: F401
from modules.shared.db import Base, Guid, database_url

# Any number will do as long as it stays: deploys of all versions must ask for the same lock.
DEPLOY_LOCK = 5_483_019_264_017
LOCK_WAIT_SECONDS = 600.0
LOCK_POLL_SECONDS = 0.2
SQLITE_WAIT_SECONDS = 60.0


def run() -> None:
    """Migrate in the way that the caller chose."""
    lent: Connection | None = context.config.attributes.get("connection")
    if context.is_offline_mode():
        _print_sql()
    elif lent is not None:
        _migrate(lent)
    else:
        _migrate_by_url()


def _url() -> str:
    return context.config.get_main_option("sqlalchemy.url") or database_url()


def _print_sql() -> None:
    context.configure(
        url=_url(), target_metadata=Base.metadata, literal_binds=True, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


def _migrate_by_url() -> None:
    engine = _engine()
    try:
        with _one_deploy_at_a_time(engine), engine.connect() as connection:
            _migrate(connection)
    finally:
        engine.dispose()


def _migrate(connection: Connection) -> None:
    dialect = connection.dialect.name
    context.configure(
        connection=connection,
        version_table=context.config.get_main_option("version_table", "alembic_version"),
        target_metadata=Base.metadata,
        render_as_batch=dialect == "sqlite",
        compare_type=_type_differs,
        compare_server_default=_default_differs,
        transactional_ddl=True,
        # PostgreSQL: a migration that builds an index concurrently commits before it does so.
        # SQLite: one transaction for all, so that a racing deploy waits for the whole.
        transaction_per_migration=dialect == "postgresql",
    )
    with context.begin_transaction():
        context.run_migrations()


def _engine() -> Engine:
    url = make_url(_url())
    if url.get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": SQLITE_WAIT_SECONDS})
    # The driver would commit before each DDL statement; with BEGIN in our hands an interrupted
    # upgrade leaves nothing behind, and IMMEDIATE makes a second deploy wait for the first.
    event.listen(engine, "connect", _take_over_transactions)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _take_over_transactions(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _one_deploy_at_a_time(engine: Engine) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock, on a connection of its own that is idle meanwhile."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
        _take_lock(guard)
        yield  # closing the connection gives the lock back, also after a crash


def _take_lock(guard: Connection) -> None:
    # Polled: a statement that waits for a lock holds a snapshot, and CREATE INDEX CONCURRENTLY in
    # the other deploy waits for every older snapshot to go. The two would wait for each other.
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    question = text("SELECT pg_try_advisory_lock(:key)")
    while not guard.scalar(question, {"key": DEPLOY_LOCK}):
        if time.monotonic() > deadline:
            raise CommandError(f"another migration has run for {LOCK_WAIT_SECONDS:.0f} s: see it")
        time.sleep(LOCK_POLL_SECONDS)


def _type_differs(
    _context: object, _inspected: object, _column: object, there: object, ours: object
) -> bool | None:
    # An adopted table keeps its types, since to change them would rewrite it: JSON stays JSON
    # where we would choose JSONB, ids stay VARCHAR(36). None leaves the answer to Alembic.
    same = (isinstance(there, JSON) and isinstance(ours, JSON)) or (
        isinstance(there, String) and isinstance(ours, Guid)
    )
    return False if same else None


def _default_differs(
    _context: object, _inspected: object, column: Any, there: str | None, *_rest: object
) -> bool | None:
    # An adopted table may lack a server default where the ORM fills the column in itself.
    return False if there is None and column.default is not None else None


# Only the command line asks for log lines; a program that calls Alembic has a logging of its own.
if context.config.cmd_opts is not None and context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
run()

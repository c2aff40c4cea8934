"""The ledger's own engine: the caller's database, but never the caller's connections."""

import threading
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.redaction import storable_json

WRITER_THREAD = "llm-ledger-writer"
CARETAKER_THREAD = "llm-ledger-caretaker"
_SHARE = 0.4  # of a caller's patience, so that the database and then the spool fit into it
_NETWORK = {
    "connect_timeout": 2,  # seconds, libpq's least
    "tcp_user_timeout": 10_000,  # ms without a sign of the server until a connection is dead
}


def ledger_engine(engine: Engine, patience: float) -> Engine:
    """An engine on the same database with a pool of its own that waits ``patience`` seconds.

    The pool is a copy of the caller's, so that connect arguments, certificates and listeners
    come along. An in-memory SQLite database has one connection for everybody: there our commit
    would commit the caller's work, so it is refused.
    """
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        raise LLMConfigurationError(
            "the ledger needs a database that it can open a second time; an in-memory SQLite "
            "database has one connection for all: use a file"
        )
    prepare = _PREPARE.get(engine.dialect.name)
    if prepare is None:
        raise LLMConfigurationError(
            f"the ledger speaks SQLite and PostgreSQL, not {engine.dialect.name}"
        )
    own = create_engine(engine.url, pool=engine.pool.recreate(), json_serializer=storable_json)
    milliseconds = round(patience * 1000 * _SHARE)
    event.listen(own, "connect", lambda connection, _: prepare(connection, milliseconds))
    if own.dialect.driver == "psycopg":
        event.listen(own, "connect", lambda connection, _: _use_our_json(connection))
        if not event.contains(engine, "do_connect", _bound_network):
            event.listen(engine, "do_connect", _bound_network)
    return own


def _bound_network(_dialect: Any, _record: Any, _arguments: Any, parameters: Any) -> None:
    """A server that vanished keeps our threads for seconds. The copied pool connects through the
    caller's engine, whose own connections stay as they are.
    """
    if threading.current_thread().name in {WRITER_THREAD, CARETAKER_THREAD}:
        for name, value in _NETWORK.items():
            parameters.setdefault(name, value)


def _bound_sqlite(connection: Any, milliseconds: int) -> None:
    connection.execute(f"PRAGMA busy_timeout={milliseconds}")


def _bound_postgresql(connection: Any, milliseconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout={milliseconds}")
        cursor.execute(f"SET statement_timeout={milliseconds}")
    connection.commit()


def _use_our_json(connection: Any) -> None:
    """psycopg takes its serializer from the connection, and these were made for the caller's."""
    from psycopg.types.json import set_json_dumps

    set_json_dumps(storable_json, connection)


_PREPARE = {"sqlite": _bound_sqlite, "postgresql": _bound_postgresql}

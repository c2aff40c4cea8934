"""Whether the ledger's tables are as this version wants them: whichever migrations made them."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Engine, Inspector, Table, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from modules.llm_services.exceptions import LLMConfigurationError, LLMError
from modules.llm_services.models import LLMRequest
from modules.shared.db import database_url, get_engine

MIGRATE = "run llm-services migrate"
_OURS = "llm_"


def missing(engine: Engine) -> list[str]:
    """Tables, columns and indexes that migrations have yet to make. Raises `SQLAlchemyError`."""
    tables = LLMRequest.metadata.sorted_tables
    with engine.connect() as connection:
        found = inspect(connection)
        there = set(found.get_table_names())
        ours = [table for table in tables if table.name.startswith(_OURS)]
        lacking = (
            _lacks(table, found) if table.name in there else iter([f"table {table.name}"])
            for table in ours
        )
        return [what for some in lacking for what in some]


def _lacks(table: Table, found: Inspector) -> Iterator[str]:
    columns = {column["name"] for column in found.get_columns(table.name)}
    indexes = {index["name"] for index in found.get_indexes(table.name)}
    yield from (
        f"column {table.name}.{one.name}" for one in table.columns if one.name not in columns
    )
    yield from (f"index {one.name}" for one in table.indexes if one.name not in indexes)


def explained(error: SQLAlchemyError | ModuleNotFoundError) -> LLMError:
    """What became of a command that asked the database in vain, and what helps. Raises what is no
    fault of a database.
    """
    if fault := url_fault():
        return LLMConfigurationError(fault)
    if isinstance(error, ModuleNotFoundError):
        raise error
    if some := _missing_now():
        return LLMError(f"{some} missing: {MIGRATE}")
    cause = type(getattr(error, "orig", None) or error).__name__
    return LLMError(f"the database did not answer as it should ({cause}): see llm-services doctor")


def url_fault() -> str | None:
    """Why nothing can be found at ``DATABASE_URL``: it is no URL, or its driver is not there."""
    try:
        get_engine()
    except ArgumentError:
        return (
            "DATABASE_URL is no URL of SQLAlchemy, such as sqlite:///backend.db or "
            "postgresql+psycopg://user:password@host/name"
        )
    except ModuleNotFoundError as error:
        extra = {"psycopg": ": pip install 'llm-services[postgres]'"}.get(error.name or "", "")
        return f"DATABASE_URL: the driver {error.name} is not installed{extra}"
    return None


def listed(lacking: Sequence[str]) -> str:
    """The first few, in words."""
    return ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if lacking[5:] else "")


def _missing_now() -> str:
    try:
        return listed(missing(get_engine()))
    except SQLAlchemyError:
        return ""


def where() -> str:
    """The database's kind, host and name: no user and no password."""
    url = make_url(database_url())
    host = f" on {url.host}" if url.host else ""
    return f"{url.get_backend_name()} {url.database or ''}{host}"

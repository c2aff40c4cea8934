"""Whether the ledger's tables are as this version wants them: whichever migrations made them."""

from collections.abc import Iterator

from sqlalchemy import Engine, Inspector, Table, inspect, make_url

from modules.llm_services.models import LLMRequest
from modules.shared.db import database_url

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


def where() -> str:
    """The database's kind, host and name: no user and no password."""
    url = make_url(database_url())
    host = f" on {url.host}" if url.host else ""
    return f"{url.get_backend_name()} {url.database or ''}{host}"

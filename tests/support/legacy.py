"""The table `llm_requests` as the old engine made it, and rows as it wrote them.

Raw SQL throughout: what is promised about these rows must not depend on our models.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

SQLITE_DDL = """
CREATE TABLE llm_requests (
    id CHAR(36) NOT NULL,
    user_id CHAR(36),
    provider VARCHAR(50) NOT NULL,
    model VARCHAR(100) NOT NULL,
    temperature FLOAT NOT NULL,
    max_tokens INTEGER NOT NULL,
    messages JSON NOT NULL,
    additional_params JSON,
    response_content TEXT,
    response_raw JSON,
    tokens_used INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost_estimate FLOAT,
    finish_reason VARCHAR(50),
    status VARCHAR(50) NOT NULL,
    execution_time_ms INTEGER,
    error_message TEXT,
    error_type VARCHAR(100),
    retry_attempt INTEGER NOT NULL,
    cached BOOLEAN NOT NULL,
    context_data JSON,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    PRIMARY KEY (id)
)
"""
POSTGRESQL_DDL = """
CREATE TABLE llm_requests (
    id UUID NOT NULL,
    user_id UUID,
    provider VARCHAR(50) NOT NULL,
    model VARCHAR(100) NOT NULL,
    temperature FLOAT NOT NULL,
    max_tokens INTEGER NOT NULL,
    messages JSON NOT NULL,
    additional_params JSON,
    response_content TEXT,
    response_raw JSON,
    tokens_used INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost_estimate FLOAT,
    finish_reason VARCHAR(50),
    status VARCHAR(50) NOT NULL,
    execution_time_ms INTEGER,
    error_message TEXT,
    error_type VARCHAR(100),
    retry_attempt INTEGER NOT NULL,
    cached BOOLEAN NOT NULL,
    context_data JSON,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
)
"""
INDEXES = tuple(
    f"CREATE INDEX ix_llm_requests_{column} ON llm_requests ({column})"
    for column in ("user_id", "provider", "model", "status", "cached")
)
COLUMNS = tuple(line.split()[0] for line in SQLITE_DDL.strip().splitlines()[1:-2])
_JSON_COLUMNS = ("messages", "additional_params", "response_raw", "context_data")
_POSTGRESQL_VALUES = {
    "id": "CAST(:{} AS uuid)",
    "user_id": "CAST(:{} AS uuid)",
    "created_at": "CAST(CAST(:{} AS text) || '+00' AS timestamptz)",
    **dict.fromkeys(_JSON_COLUMNS, "CAST(:{} AS json)"),
}

USER = "0b6f2d0e-7a55-4d0c-9a43-1d5f0c7be001"
COMPLETED = "3f2b9a52-5c7e-4b8a-9d3e-6a1f0c2d4e5f"
FAILED = "9c1e7d44-0a2b-4f6d-8e35-b7c8d9e0f1a2"
PENDING = "d2719e1c-88f4-4e2b-a6c0-5b3a2f1e0d9c"

# JSON as text, with spacing, escapes and an order of keys that a rewrite would lose.
ROWS: tuple[dict[str, Any], ...] = (
    {
        "id": COMPLETED,
        "user_id": USER,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "temperature": 0.7,
        "max_tokens": 1000,
        "messages": '[{"role": "user",  "content": "Grüße \\u4f60\\u597d 你好 🦉"}]',
        "additional_params": '{"z": 1, "a": [1.50, null, true], "z2": {}}',
        "response_content": "Zürich — 東京\n\t🦉 'quoted' \"double\" \\ 100 %",
        "response_raw": '{ "id":"chatcmpl-1", "usage": {"total_tokens": 12345678901234} }',
        "tokens_used": 42,
        "prompt_tokens": 30,
        "completion_tokens": 12,
        "cost_estimate": 0.30000000000000004,
        "finish_reason": "stop",
        "status": "completed",
        "execution_time_ms": 1234,
        "error_message": None,
        "error_type": None,
        "retry_attempt": 1,
        "cached": False,
        "context_data": '{"feature": "lesson",  "n": 1.0}',
        "created_at": "2024-02-29 23:59:59.123456",
    },
    {
        "id": FAILED,
        "user_id": None,
        "provider": "azure_openai",
        "model": "m" * 100,
        "temperature": 0.0,
        "max_tokens": 0,
        "messages": "[]",
        "additional_params": "null",
        "response_content": "",
        "response_raw": None,
        "tokens_used": 0,
        "prompt_tokens": 2_147_483_647,
        "completion_tokens": None,
        "cost_estimate": 0.0,
        "finish_reason": None,
        "status": "failed",
        "execution_time_ms": None,
        "error_message": "Ошибка: " + "x" * 100_000,
        "error_type": "RateLimitError",
        "retry_attempt": 3,
        "cached": False,
        "context_data": "null",
        "created_at": "1999-12-31 00:00:00",
    },
    {
        "id": PENDING,
        "user_id": USER,
        "provider": "openai",
        "model": "o1",
        "temperature": 1.0,
        "max_tokens": 4096,
        "messages": '[{"role":"user","content":"' + "äöü " * 250_000 + '"}]',
        "additional_params": None,
        "response_content": None,
        "response_raw": None,
        "tokens_used": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "cost_estimate": None,
        "finish_reason": None,
        "status": "pending",
        "execution_time_ms": None,
        "error_message": None,
        "error_type": None,
        "retry_attempt": 1,
        "cached": True,
        "context_data": None,
        "created_at": "2025-06-15 12:00:00",
    },
)

Rows = Mapping[str, tuple[object, ...]]


class Shape(NamedTuple):
    """What the database says about the table: its columns in order, and its indexes."""

    columns: tuple[tuple[str, str, bool, object], ...]
    indexes: frozenset[tuple[str, tuple[str | None, ...], bool]]


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection of its own, committed at the end, leaving nothing open."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def run(url: str, *statements: str) -> None:
    """Run raw statements in one transaction."""
    with connected(url) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def make_legacy_table(url: str, *, ddl: str | None = None, indexes: bool = True) -> None:
    """The old engine's table with its five indexes and a row for each of its statuses."""
    own = SQLITE_DDL if url.startswith("sqlite") else POSTGRESQL_DDL
    run(url, ddl or own, *(INDEXES if indexes else ()))
    with connected(url) as connection:
        connection.execute(text(_insert(connection.dialect.name)), list(ROWS))


def legacy_values(url: str) -> Rows:
    """Every legacy value of every row, by id, in the database's own exact notation."""
    with connected(url) as connection:
        exact = "quote({})" if connection.dialect.name == "sqlite" else "CAST({} AS text)"
        columns = ", ".join(exact.format(column) for column in COLUMNS)
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM llm_requests").all()  # noqa: S608
    return {str(row[0]).strip("'"): tuple(row) for row in rows}


def shape(url: str) -> Shape:
    """The table's columns and indexes as the database reports them."""
    with connected(url) as connection:
        inspector = inspect(connection)
        columns = inspector.get_columns("llm_requests")
        indexes = inspector.get_indexes("llm_requests")
    return Shape(
        tuple((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in columns),
        frozenset((str(i["name"]), tuple(i["column_names"]), bool(i["unique"])) for i in indexes),
    )


def _insert(dialect: str) -> str:
    templates = {} if dialect == "sqlite" else _POSTGRESQL_VALUES
    values = (templates.get(column, ":{}").format(column) for column in COLUMNS)
    return f"INSERT INTO llm_requests ({', '.join(COLUMNS)}) VALUES ({', '.join(values)})"  # noqa: S608

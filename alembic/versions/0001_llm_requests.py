"""The ledger's table: created where it is absent, adopted where an older engine left one.

Revision ID: 0001
Revises:

An adopted table keeps every value and every column as it is; columns are added (nullable or with
a constant default, so no row is rewritten) and indexes exchanged. The way back never loses a row:
only a table that this migration made and that is empty is dropped. Both directions may be run
again after an interruption at any point.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.engine.interfaces import ReflectedIndex

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

logger = logging.getLogger("alembic.runtime.migration.llm_requests")

TABLE = "llm_requests"
PRIMARY_KEY = "pk_llm_requests"
# Longer than a busy moment, shorter than an outage: while ALTER TABLE waits for its lock, every
# later query on the table waits behind it.
LOCK_TIMEOUT = "10s"

LEGACY_INDEXED = ("user_id", "provider", "model", "status", "cached")
LEGACY_COLUMNS = frozenset(
    (
        *("id", "user_id", "provider", "model", "temperature", "max_tokens", "messages"),
        *("additional_params", "response_content", "response_raw", "tokens_used", "prompt_tokens"),
        *("completion_tokens", "cost_estimate", "finish_reason", "status", "execution_time_ms"),
        *("error_message", "error_type", "retry_attempt", "cached", "context_data", "created_at"),
    )
)
# Columns that can't be added to existing rows: a table without them is somebody else's.
INDISPENSABLE = frozenset(
    ("id", "provider", "model", "temperature", "max_tokens", "messages", "status", "created_at")
)

INDEXES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("ix_llm_requests_user_created", ("user_id", "created_at"), None),
    ("ix_llm_requests_created", ("created_at",), None),
    ("ix_llm_requests_open", ("created_at",), "status <> 'completed'"),
    (
        "ix_llm_requests_conversation",
        ("conversation_id", "created_at"),
        "conversation_id IS NOT NULL",
    ),
    ("ix_llm_requests_batch", ("batch_id",), "batch_id IS NOT NULL"),
    ("ix_llm_requests_owner", ("owner_id",), "status = 'pending'"),
)
LEGACY_INDEXES = tuple((f"ix_{TABLE}_{column}", (column,), None) for column in LEGACY_INDEXED)


def _columns() -> list[sa.Column[object]]:
    guid = sa.CHAR(36).with_variant(sa.Uuid(), "postgresql")
    time = sa.DateTime(timezone=True)
    return [
        sa.Column("id", guid, nullable=False),
        sa.Column("user_id", guid),
        sa.Column("created_at", time, server_default=sa.func.now(), nullable=False),
        sa.Column("completed_at", time),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("requested_model", sa.String(150)),
        sa.Column("fallback_from", sa.String(151)),
        sa.Column("response_model", sa.String(100)),
        sa.Column("operation", sa.String(32), server_default="chat", nullable=False),
        sa.Column("temperature", sa.Float, nullable=False),
        sa.Column("max_tokens", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("completion_tokens", sa.Integer),
        sa.Column("tokens_used", sa.Integer),
        sa.Column("cache_read_tokens", sa.Integer),
        sa.Column("cache_write_tokens", sa.Integer),
        sa.Column("reasoning_tokens", sa.Integer),
        sa.Column("usage_source", sa.String(16)),
        sa.Column("cost_estimate", sa.Float),
        sa.Column("cost_source", sa.String(16)),
        sa.Column("price_ref", sa.String(64)),
        sa.Column("execution_time_ms", sa.Integer),
        sa.Column("time_to_first_token_ms", sa.Integer),
        sa.Column("finish_reason", sa.String(50)),
        sa.Column("error_type", sa.String(100)),
        sa.Column("http_status", sa.SmallInteger),
        sa.Column("retry_attempt", sa.Integer, server_default="1", nullable=False),
        sa.Column("maybe_paid", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("cached", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("cache_key", sa.String(64)),
        sa.Column("cached_from_id", guid),
        sa.Column("saved_cost", sa.Float),
        sa.Column("stream", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("provider_request_id", sa.String(128)),
        sa.Column("batch_id", guid),
        sa.Column("replay_of", guid),
        sa.Column("owner_id", guid),
        sa.Column("service_tier", sa.String(32)),
        sa.Column("conversation_id", sa.String(64)),
        sa.Column("feature", sa.String(64)),
        sa.Column("tenant", sa.String(64)),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("span_id", sa.String(16)),
        sa.Column("idempotency_key", sa.String(64)),
        sa.Column("request_hash", sa.String(64)),
        sa.Column("reservation", sa.JSON),
        sa.Column("payload_state", sa.String(12), server_default="full", nullable=False),
        sa.Column("input_preview", sa.String(200)),
        sa.Column("output_preview", sa.String(200)),
        sa.Column("error_message", sa.Text),
        sa.Column("additional_params", sa.JSON),
        sa.Column("dropped_params", sa.JSON),
        sa.Column("usage_details", sa.JSON),
        sa.Column("cost_details", sa.JSON),
        sa.Column("attempts", sa.JSON),
        sa.Column("context_data", sa.JSON()),
        sa.Column("response_content", sa.Text),
        sa.Column("messages", sa.JSON, nullable=False),
        sa.Column("response_raw", sa.JSON),
        sa.Column("kept_answer", sa.JSON),
    ]


def upgrade() -> None:
    """Create the table, or adopt the one that is there."""
    if op.get_context().as_sql or not _inspector().has_table(TABLE):
        _create()
    else:
        _adopt()


def downgrade() -> None:
    """Drop the table if it is ours and empty, else give it back its legacy shape."""
    if op.get_context().as_sql:
        raise CommandError("downgrade looks at the rows before it drops anything: run it online")
    if not _inspector().has_table(TABLE):
        return
    _give_up_soon()
    if _is_ours() and _is_surely_empty():
        op.drop_table(TABLE)
    else:
        _give_back()


def _create() -> None:
    op.create_table(TABLE, *_columns(), sa.PrimaryKeyConstraint("id", name=PRIMARY_KEY))
    for name, columns, where in INDEXES:
        _create_index(name, columns, where)


def _adopt() -> None:
    present = _present_columns()
    if missing := sorted(INDISPENSABLE - present):
        raise CommandError(f"the table {TABLE} here lacks {', '.join(missing)}: is it another's?")
    _give_up_soon()
    missing_columns = [column for column in _columns() if column.name not in present]
    logger.info("%s: adding %d columns; no row is rewritten", TABLE, len(missing_columns))
    for column in missing_columns:
        op.add_column(TABLE, column)
    with _index_work() as concurrently:
        # Ours first: queries are never without an index.
        _ensure_indexes(INDEXES, concurrently=concurrently)
        for name in _legacy_index_names():
            op.drop_index(name, TABLE, if_exists=True, postgresql_concurrently=concurrently)


def _give_back() -> None:
    with _index_work() as concurrently:
        _ensure_indexes(LEGACY_INDEXES, concurrently=concurrently)
        for name, _, _ in INDEXES:
            op.drop_index(name, TABLE, if_exists=True, postgresql_concurrently=concurrently)
    _give_up_soon()
    # The legacy engine knows three statuses; a call that was cut short is nearest to a failed one.
    op.execute(
        f"UPDATE {TABLE} SET status = 'failed', error_type = 'Cancelled'"  # noqa: S608  a constant
        " WHERE status = 'cancelled'"
    )
    for name in sorted(_present_columns() & {c.name for c in _columns()} - LEGACY_COLUMNS):
        op.drop_column(TABLE, name)


@contextmanager
def _index_work() -> Iterator[bool]:
    """Where indexes are exchanged: without blocking writers if that takes time and is possible.

    It isn't on a connection that a caller lent, whose transaction is not ours to commit.
    """
    config = op.get_context().config
    lent = config is not None and "connection" in config.attributes
    if lent or not _on_postgresql() or not _has_rows():
        yield False
        return
    with op.get_context().autocommit_block():
        yield True


def _ensure_indexes(
    indexes: tuple[tuple[str, tuple[str, ...], str | None], ...], *, concurrently: bool
) -> None:
    for name in _broken_index_names([name for name, _, _ in indexes]):
        op.drop_index(name, TABLE, if_exists=True, postgresql_concurrently=concurrently)
    for number, (name, columns, where) in enumerate(indexes, 1):
        _tell_progress(name, number, len(indexes), concurrently=concurrently)
        _create_index(name, columns, where, concurrently=concurrently, if_not_exists=True)


def _tell_progress(name: str, number: int, total: int, *, concurrently: bool) -> None:
    """The part that takes long: minutes for many millions of rows."""
    beside = " beside readers and writers" if concurrently else ""
    logger.info("%s: building index %d of %d, %s%s", TABLE, number, total, name, beside)


def _create_index(
    name: str,
    columns: tuple[str, ...],
    where: str | None,
    *,
    concurrently: bool = False,
    if_not_exists: bool | None = None,
) -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        name,
        TABLE,
        list(columns),
        if_not_exists=if_not_exists,
        postgresql_concurrently=concurrently,
        postgresql_where=condition,
        sqlite_where=condition,
    )


def _broken_index_names(names: list[str]) -> list[str]:
    """Indexes that an interrupted concurrent build left invalid. IF NOT EXISTS would keep them."""
    if not _on_postgresql():
        return []
    query = sa.text(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = to_regclass(:table) AND NOT i.indisvalid AND c.relname = ANY(:names)"
    )
    return list(op.get_bind().scalars(query, {"table": TABLE, "names": names}))


def _legacy_index_names() -> list[str]:
    return [str(i["name"]) for i in _inspector().get_indexes(TABLE) if _is_legacy_index(i)]


def _is_legacy_index(index: ReflectedIndex) -> bool:
    partial = any(key.endswith("_where") for key in index.get("dialect_options", {}))
    single = len(index["column_names"]) == 1 and index["column_names"][0] in LEGACY_INDEXED
    return single and not partial and not index["unique"]


def _is_ours() -> bool:
    return _inspector().get_pk_constraint(TABLE)["name"] == PRIMARY_KEY


def _is_surely_empty() -> bool:
    if _has_rows():
        return False
    if _on_postgresql():  # a row that is on its way now must not be dropped with the table
        op.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
    return not _has_rows()


def _has_rows() -> bool:
    query = sa.select(sa.literal(1)).select_from(sa.table(TABLE)).limit(1)
    return op.get_bind().scalar(query) is not None


def _give_up_soon() -> None:
    if _on_postgresql():
        op.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def _present_columns() -> set[str]:
    return {column["name"] for column in _inspector().get_columns(TABLE)}


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _inspector() -> sa.Inspector:
    return sa.inspect(op.get_bind())

"""Who has rows open, what a day adds up to, and what the ledger learnt since it was first made.

A ledger that 0001 makes today has these columns already, in their place before the wide ones; one
that an earlier release made gets them here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LEDGER = "llm_requests"
OWNERS = "llm_owners"
DAILY = "llm_usage_daily"
OWNED = sa.text("status = 'pending'")
GUID = sa.CHAR(36).with_variant(sa.Uuid(), "postgresql")


def upgrade() -> None:
    """Create both tables, and add what an earlier ledger lacks."""
    _complete_ledger()
    op.create_table(
        OWNERS,
        sa.Column("id", GUID, nullable=False),
        sa.Column("beat", sa.Integer, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{OWNERS}"),
    )
    keys = _daily_keys()
    op.create_table(
        DAILY,
        *keys,
        *_daily_sums(),
        sa.Column("latency_counts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint(*(key.name for key in keys), name=f"pk_{DAILY}"),
    )


def downgrade() -> None:
    """Drop both tables; the ledger keeps its rows and its columns until 0001 goes."""
    op.drop_table(DAILY)
    op.drop_table(OWNERS)


def _complete_ledger() -> None:
    if op.get_context().as_sql:  # the script begins with an empty database
        return
    inspector = sa.inspect(op.get_bind())
    present = {column["name"] for column in inspector.get_columns(LEDGER)}
    for column in _new_columns():
        if column.name not in present:
            op.add_column(LEDGER, column)
    op.create_index(
        "ix_llm_requests_owner",
        LEDGER,
        ["owner_id"],
        if_not_exists=True,
        postgresql_where=OWNED,
        sqlite_where=OWNED,
    )


def _new_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("owner_id", GUID),
        sa.Column("service_tier", sa.String(32)),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("span_id", sa.String(16)),
        sa.Column("payload_state", sa.String(12), server_default="full", nullable=False),
    ]


def _daily_keys() -> list[sa.Column[object]]:
    lengths = {"provider": 50, "model": 100, "operation": 32, "feature": 64, "status": 50}
    texts = [sa.Column(name, sa.String(size), nullable=False) for name, size in lengths.items()]
    error_type: sa.Column[object] = sa.Column("error_type", sa.String(100), nullable=False)
    return [sa.Column("day", sa.Date, nullable=False), *texts, error_type]


def _daily_sums() -> list[sa.Column[object]]:
    counts = ("requests", "cached_requests", "unpriced_requests", "attempts")
    sums = (
        *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("reasoning_tokens", "cost_nano_usd", "execution_ms_sum", "first_token_ms_sum"),
    )
    return [
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in sums),
        sa.Column("first_token_count", sa.Integer, nullable=False),
    ]

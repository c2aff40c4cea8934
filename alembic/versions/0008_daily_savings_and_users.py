"""What a day's cache saved, and what its users used.

The daily sums that are there keep NULL in the new columns, and are made anew from their rows by the
next refresh; until then, savings and users of these days are added up from the rows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DAILY = "llm_usage_daily"
USERS = "llm_usage_daily_users"
INDEXES = {
    "ix_llm_usage_daily_open": sa.text("status = 'pending'"),
    "ix_llm_usage_daily_less": sa.text("cache_misses IS NULL"),
}


def upgrade() -> None:
    """Add the columns, their indexes and the table; no row is written."""
    for column in _columns():
        op.add_column(DAILY, column)
    for name, where in INDEXES.items():
        op.create_index(name, DAILY, ["day"], postgresql_where=where, sqlite_where=where)
    counts = ("requests", "cached_requests", "unpriced_requests", "attempts")
    sums = (
        *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
        *("reasoning_tokens", "cost_nano_usd"),
    )
    outcomes = ("pending", "completed", "failed", "cancelled")
    op.create_table(
        USERS,
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in sums),
        *(sa.Column(name, sa.Integer, nullable=False) for name in outcomes),
        sa.PrimaryKeyConstraint("day", "user_id", "tenant", name=f"pk_{USERS}"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them: everything that they hold is made from the rows."""
    op.drop_table(USERS)
    for name in INDEXES:
        op.drop_index(name, DAILY)
    for column in _columns():
        op.drop_column(DAILY, column.name)


def _columns() -> list[sa.Column[int]]:
    return [
        sa.Column("cache_misses", sa.Integer),
        sa.Column("unpriced_hits", sa.Integer),
        sa.Column("saved_nano_usd", sa.BigInteger),
    ]

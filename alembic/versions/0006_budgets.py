"""What is reserved and spent of each budget, and what each row has reserved.

A ledger that 0001 makes today has the column already, in its place; one that an earlier release
made gets it here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LEDGER = "llm_requests"
ACCOUNTS = "llm_budget_periods"


def upgrade() -> None:
    """Create the table, and add what an earlier ledger lacks."""
    if not op.get_context().as_sql:  # the script begins with an empty database
        _complete_ledger()
    op.create_table(
        ACCOUNTS,
        sa.Column("scope", sa.String(10), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("period", sa.String(5), nullable=False),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.Column("reserved_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("spent_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger, nullable=False),
        sa.Column("spent_tokens", sa.BigInteger, nullable=False),
        sa.Column("warned_percent", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", "period", "starts_on", name=f"pk_{ACCOUNTS}"),
    )


def downgrade() -> None:
    """Drop the table; the ledger keeps its column until 0001 goes."""
    op.drop_table(ACCOUNTS)


def _complete_ledger() -> None:
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(LEDGER)}
    if "reservation" not in present:
        op.add_column(LEDGER, sa.Column("reservation", sa.JSON))

"""Which request an answer was for, the row that it was taken from, and what that saved.

A ledger that 0001 makes today has these columns already, in their place before the wide ones; one
that an earlier release made gets them here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEDGER = "llm_requests"
GUID = sa.CHAR(36).with_variant(sa.Uuid(), "postgresql")


def upgrade() -> None:
    """Add what an earlier ledger lacks."""
    if op.get_context().as_sql:  # the script begins with an empty database
        return
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(LEDGER)}
    for column in _new_columns():
        if column.name not in present:
            op.add_column(LEDGER, column)


def downgrade() -> None:
    """The ledger keeps its columns until 0001 goes."""


def _new_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("cache_key", sa.String(64)),
        sa.Column("cached_from_id", GUID),
        sa.Column("saved_cost", sa.Float),
    ]

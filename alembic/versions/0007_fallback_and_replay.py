"""Which model a call would have gone to when another one answered, and which row one replays.

A ledger that 0001 makes today has these columns already, in their place; one that an earlier
release made gets them here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LEDGER = "llm_requests"


def upgrade() -> None:
    """Add what an earlier ledger lacks; no row is rewritten."""
    if op.get_context().as_sql:  # the script begins with an empty database
        return
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(LEDGER)}
    for column in _new_columns():
        if column.name not in present:
            op.add_column(LEDGER, column)


def downgrade() -> None:
    """The ledger keeps its columns until 0001 goes."""


def _new_columns() -> list[sa.Column[object]]:
    guid = sa.CHAR(36).with_variant(sa.Uuid(), "postgresql")
    return [sa.Column("fallback_from", sa.String(151)), sa.Column("replay_of", guid)]

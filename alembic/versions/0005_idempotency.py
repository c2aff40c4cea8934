"""What makes two requests one: a key that only one living row may have, and the answer kept for it.

A ledger that 0001 makes today has these columns already, in their place; one that an earlier
release made gets them here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LEDGER = "llm_requests"
KEY = "uq_llm_requests_idempotency_key"
LIVING = sa.text("idempotency_key IS NOT NULL AND status IN ('pending', 'completed')")


def upgrade() -> None:
    """Add what an earlier ledger lacks, and the index that two rows with one key can't pass."""
    if not op.get_context().as_sql:  # the script begins with an empty database
        _complete_ledger()
    op.create_index(
        KEY,
        LEDGER,
        ["idempotency_key"],
        unique=True,
        if_not_exists=True,
        postgresql_where=LIVING,
        sqlite_where=LIVING,
    )


def downgrade() -> None:
    """Drop the index; the ledger keeps its columns until 0001 goes."""
    op.drop_index(KEY, LEDGER, if_exists=True)


def _complete_ledger() -> None:
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(LEDGER)}
    for column in _new_columns():
        if column.name not in present:
            op.add_column(LEDGER, column)


def _new_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("idempotency_key", sa.String(64)),
        sa.Column("request_hash", sa.String(64)),
        sa.Column("kept_answer", sa.JSON),
    ]

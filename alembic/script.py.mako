"""${message}.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Created: ${create_date}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Restate plain types here: a migration must not change when the application does."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """The way back, without losing rows."""
    ${downgrades if downgrades else "pass"}

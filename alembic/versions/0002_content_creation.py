"""Topics of the module content_creation and the parts of their lessons."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GUID = sa.CHAR(36).with_variant(postgresql.UUID(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "content_topics",
        sa.Column("id", GUID, nullable=False),
        sa.Column("user_id", GUID),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("completed_at", TIME),
        sa.Column("claimed_at", TIME),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("title", sa.String(200)),
        sa.Column("extras", sa.JSON()),
        sa.Column("source_material", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_topics")),
    )
    op.create_index("ix_content_topics_user_created", "content_topics", ["user_id", "created_at"])
    op.create_index("ix_content_topics_created", "content_topics", ["created_at"])
    op.create_table(
        "content_topic_parts",
        sa.Column("id", GUID, nullable=False),
        sa.Column("topic_id", GUID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("title", sa.String(200)),
        sa.Column("request_id", GUID),
        sa.Column("error_type", sa.String(100)),
        sa.Column("error_message", sa.Text()),
        sa.Column("content", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_topic_parts")),
        sa.ForeignKeyConstraint(
            ["topic_id"],
            ["content_topics.id"],
            name=op.f("fk_content_topic_parts_topic_id_content_topics"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "topic_id", "position", name=op.f("uq_content_topic_parts_topic_id_position")
        ),
    )


def downgrade() -> None:
    """Drop both tables; the ledger keeps its rows."""
    op.drop_table("content_topic_parts")
    op.drop_table("content_topics")

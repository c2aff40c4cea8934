"""The tables of the module: a topic and the parts that its lesson is made of."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modules.shared.db import Base, Guid, UtcDateTime


class ContentTopic(Base):
    """A topic: its source, and how far its lesson has come.

    ``claimed_at`` is set while a request writes the lesson. It is a lease, so that a killed
    process leaves a topic that can be resumed: see ``CLAIM_LEASE`` in `drafts`.
    """

    __tablename__ = "content_topics"

    id: Mapped[UUID] = mapped_column(Guid, primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(Guid)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(20))
    level: Mapped[str] = mapped_column(String(20))
    title: Mapped[str | None] = mapped_column(String(200))
    extras: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    source_material: Mapped[str] = mapped_column(Text, deferred=True)

    parts: Mapped[list["ContentTopicPart"]] = relationship(
        back_populates="topic",
        order_by="ContentTopicPart.position",
        cascade="all, delete-orphan",
    )

    __table_args__ = (
        Index("ix_content_topics_user_created", "user_id", "created_at"),
        Index("ix_content_topics_created", "created_at"),
    )


class ContentTopicPart(Base):
    """One part of a lesson, which is one request to a model.

    ``request_id`` is the ledger's row for the last try, kept without a foreign key: no constraint
    leaves the module. ``position`` orders the parts of a lesson, the outline being 0.
    """

    __tablename__ = "content_topic_parts"

    id: Mapped[UUID] = mapped_column(Guid, primary_key=True)
    topic_id: Mapped[UUID] = mapped_column(ForeignKey("content_topics.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    title: Mapped[str | None] = mapped_column(String(200))
    request_id: Mapped[UUID | None] = mapped_column(Guid)
    error_type: Mapped[str | None] = mapped_column(String(100))
    error_message: Mapped[str | None] = mapped_column(Text)
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    topic: Mapped[ContentTopic] = relationship(back_populates="parts")

    __table_args__ = (UniqueConstraint("topic_id", "position"),)

"""Topics in, topics out. Takes a session, returns ORM objects, never commits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from .models import ContentTopic, ContentTopicPart


class TopicRepo:
    """The module's queries."""

    def __init__(self, session: Session) -> None:
        self.s = session

    def create(self, topic: ContentTopic) -> ContentTopic:
        """Add a topic with its parts."""
        self.s.add(topic)
        self.s.flush()
        return topic

    def by_id(self, topic_id: UUID) -> ContentTopic | None:
        """The topic, whoever owns it."""
        return self.s.get(ContentTopic, topic_id)

    def page(self, user_id: UUID | None, limit: int, offset: int) -> Sequence[ContentTopic]:
        """Topics, newest first; with ``user_id`` that user's only."""
        query = select(ContentTopic).order_by(ContentTopic.created_at.desc(), ContentTopic.id)
        if user_id is not None:
            query = query.where(ContentTopic.user_id == user_id)
        return self.s.scalars(query.limit(limit).offset(offset)).all()

    def part(self, part_id: UUID) -> ContentTopicPart | None:
        """One part of a lesson."""
        return self.s.get(ContentTopicPart, part_id)

    def claim(self, topic_id: UUID, *, now: datetime, free_since: datetime) -> bool:
        """Take the topic for writing. ``False``: somebody took it after ``free_since``.

        One statement, so that of two requests that come at the same time one loses.
        """
        free = ContentTopic.claimed_at.is_(None) | (ContentTopic.claimed_at < free_since)
        claim = update(ContentTopic).where(ContentTopic.id == topic_id, free)
        taken = self.s.scalar(claim.values(claimed_at=now).returning(ContentTopic.id))
        return taken is not None

    def renew_claim(self, topic_id: UUID, now: datetime) -> None:
        """Keep a claim alive; one that was given back meanwhile stays given back."""
        claimed = ContentTopic.claimed_at.is_not(None)
        renewal = update(ContentTopic).where(ContentTopic.id == topic_id, claimed)
        self.s.execute(renewal.values(claimed_at=now))

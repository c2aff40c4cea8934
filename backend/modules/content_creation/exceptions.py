"""What can go wrong with a topic. ``main`` turns each of them into a problem response.

::

    ContentCreationError
    ├── TopicNotFoundError     no such topic, or it is somebody else's
    ├── TopicBusyError         the topic is being written at this moment
    └── OutlineFailedError     the topic is kept without a lesson; ``__cause__`` is the LLMError
"""

from uuid import UUID


class ContentCreationError(Exception):
    """Base of the module's errors; each is about one topic."""

    def __init__(self, topic_id: UUID) -> None:
        super().__init__(f"{self.safe_message} (topic {topic_id})")
        self.topic_id = topic_id

    @property
    def safe_message(self) -> str:
        """A sentence for end users."""
        return "The lesson could not be made."


class TopicNotFoundError(ContentCreationError):
    """No such topic for this user. Another user's topic is not told apart from none."""

    @property
    def safe_message(self) -> str:
        """A sentence for end users."""
        return "There is no such topic."


class TopicBusyError(ContentCreationError):
    """Another request is writing this topic, so writing it here too would pay for it twice."""

    @property
    def safe_message(self) -> str:
        """A sentence for end users."""
        return "This lesson is being written right now. Please look again in a moment."


class OutlineFailedError(ContentCreationError):
    """There is no outline, hence no lesson. The topic is kept and can be resumed."""

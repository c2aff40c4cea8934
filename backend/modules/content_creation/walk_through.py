"""A walk through a topic, written while it is read: one streamed call, sent on piece by piece."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from modules.llm_services.public import LLMError, StreamsText

from . import prompts
from .drafts import Draft, draft_of
from .exceptions import TopicNotFoundError
from .repo import TopicRepo
from .units import UnitsOfWork


@dataclass(frozen=True, slots=True)
class WalkEvent:
    """``delta`` brings ``text``; ``done`` ends a walk with the request's id and cost in USD,
    ``error`` with what may be shown and whether trying again helps.
    """

    kind: Literal["delta", "done", "error"]
    data: dict[str, Any]

    def as_server_event(self) -> str:
        """The event as a browser's ``EventSource`` reads it."""
        return f"event: {self.kind}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n"


class WalkThrough:
    """Implements ``WalksThroughTopics``."""

    def __init__(self, llm: StreamsText, units: UnitsOfWork) -> None:
        self._llm = llm
        self._units = units

    async def walk(self, topic_id: UUID, user_id: UUID | None = None) -> AsyncIterator[WalkEvent]:
        """See ``WalksThroughTopics``. The topic is looked up before the first event."""
        draft = await self._units.run(lambda repo: _draft(repo, topic_id, user_id))
        return self._events(draft)

    async def _events(self, draft: Draft) -> AsyncIterator[WalkEvent]:
        """A reader who leaves ends the generator, and with it the request and its row."""
        messages = prompts.lesson_messages(draft.source, draft.level, prompts.walk_task())
        try:
            async with self._llm.stream_response(
                messages,
                user_id=draft.user_id,
                conversation_id=str(draft.topic_id),
                context={"part": "walk_through"},
            ) as stream:
                async for piece in stream.text():
                    yield WalkEvent("delta", {"text": piece})
            cost = stream.response.cost_estimate
            yield WalkEvent("done", {"request_id": str(stream.request_id), "cost": cost})
        except LLMError as error:
            yield WalkEvent("error", {"detail": error.safe_message, "retryable": error.retryable})


def _draft(repo: TopicRepo, topic_id: UUID, user_id: UUID | None) -> Draft:
    topic = repo.by_id(topic_id)
    if topic is None or user_id not in {None, topic.user_id}:
        raise TopicNotFoundError(topic_id)
    return draft_of(topic)

"""What every reader of a stream does: events in, typed pieces out, the whole reply at the end."""

from collections.abc import Sequence
from typing import Protocol

from modules.llm_services.providers.base import Reply
from modules.llm_services.types import JsonObject
from modules.llm_services.types.stream import StreamEvent

from .base import decode
from .sse import ServerEvent


class StreamReader(Protocol):
    """Reads one stream. ``done`` says that nothing more will come."""

    done: bool

    @property
    def text(self) -> str:
        """What was said so far, put together anew each time."""
        ...

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """The pieces in an event. Raises `LLMError` for an event that reports a failure."""
        ...

    def reply(self) -> Reply | None:
        """The whole reply once its end was seen, ``None`` for a stream that was cut."""
        ...


def event_json(event: ServerEvent) -> JsonObject:
    """An event's data. Raises `LLMBadResponseError` when it is not a JSON object."""
    return decode(event.data, "stream")

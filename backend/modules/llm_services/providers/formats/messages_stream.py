"""The Messages API piece by piece: the events are put together to the message that they make."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.claude_errors import error_in_stream
from modules.llm_services.types import JsonObject
from modules.llm_services.types.stream import (
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)

from . import messages
from .base import Count, Wire, read
from .sse import ServerEvent
from .streams import event_json

_GROWS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "input",
}
_PIECES = {"input": "partial_json"}


class _Start(Wire):
    message: JsonObject


class _BlockStart(Wire):
    index: Count
    content_block: JsonObject


class _BlockDelta(Wire):
    index: Count
    delta: JsonObject


class _End(Wire):
    delta: JsonObject
    usage: JsonObject | None = None


class MessagesReader:
    """Reads the events of one message; without ``message_stop`` it was cut."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.done = False
        self._message: JsonObject = {}
        self._blocks: dict[int, JsonObject] = {}
        self._readers: Mapping[str, Callable[[JsonObject], Sequence[StreamEvent]]] = {
            "message_start": self._start,
            "content_block_start": self._block,
            "content_block_delta": self._delta,
            "message_delta": self._end,
            "message_stop": self._stop,
        }

    @property
    def text(self) -> str:
        """See `StreamReader`."""
        return "".join(self._pieces)

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """See `StreamReader.feed`."""
        value = event_json(event)
        kind = str(value.get("type"))
        if kind == "error":
            raise error_in_stream(value)
        read_event = self._readers.get(kind)
        return read_event(value) if read_event else ()

    def reply(self) -> Reply | None:
        """See `StreamReader.reply`."""
        if not self.done:
            return None
        content = [block for _, block in sorted(self._blocks.items())]
        return messages.reply({**self._message, "content": content})

    def _start(self, value: JsonObject) -> Sequence[StreamEvent]:
        self._message = dict(read(_Start, value).message)
        return ()

    def _block(self, value: JsonObject) -> Sequence[StreamEvent]:
        begun = read(_BlockStart, value)
        block = self._blocks[begun.index] = dict(begun.content_block)
        if block.get("type") != "tool_use":
            return self._said(_text(block, "text"))
        block["input"] = ""  # announced as {}, and written piece by piece
        return (ToolCallDelta(begun.index, "", id=block.get("id"), name=block.get("name")),)

    def _delta(self, value: JsonObject) -> Sequence[StreamEvent]:
        """A piece of a block that was not announced has no place in the answer."""
        more = read(_BlockDelta, value)
        block, name = self._blocks.get(more.index), _GROWS.get(str(more.delta.get("type")))
        if block is None or name is None:
            return ()
        piece = _text(more.delta, _PIECES.get(name, name))
        block[name] = _text(block, name) + piece
        if name == "text":
            return self._said(piece)
        if name == "thinking":
            return (ReasoningDelta(piece),) if piece else ()
        return (ToolCallDelta(more.index, piece),) if name == "input" else ()

    def _said(self, piece: str) -> Sequence[StreamEvent]:
        self._pieces.append(piece)
        return (TextDelta(piece),) if piece else ()

    def _end(self, value: JsonObject) -> Sequence[StreamEvent]:
        """Counts are cumulative; what the end leaves out stands as it was at the start."""
        end = read(_End, value)
        counted = {name: count for name, count in (end.usage or {}).items() if count is not None}
        usage: Any = self._message.get("usage") or {}
        self._message.update(end.delta)
        self._message["usage"] = {**usage, **counted} or None
        return ()

    def _stop(self, _value: JsonObject) -> Sequence[StreamEvent]:
        self.done = True
        return ()


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""

"""The Responses API piece by piece: its last event holds the whole response."""

from collections.abc import Callable, Mapping, Sequence

from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.failures import error_for_status
from modules.llm_services.types import JsonObject
from modules.llm_services.types.stream import (
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)

from . import responses
from .sse import ServerEvent
from .streams import event_json

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_SERVER_ERROR = 500


class ResponsesReader:
    """Reads ``response.*`` events."""

    def __init__(self) -> None:
        self.done = False
        self._said: list[str] = []
        self._response: JsonObject | None = None
        self._pieces: Mapping[str, Callable[[JsonObject], Sequence[StreamEvent]]] = {
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._text,
            "response.reasoning_summary_text.delta": _reasoning,
            "response.output_item.added": _tool_call,
            "response.function_call_arguments.delta": _arguments,
        }

    @property
    def text(self) -> str:
        """See `StreamReader`."""
        return "".join(self._said)

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """See `StreamReader.feed`."""
        if event.data == b"[DONE]":
            self.done = True
            return ()
        value = event_json(event)
        kind = value.get("type")
        if kind == "error":
            raise _failure(value)
        if kind in _LAST:
            self._response, self.done = value.get("response"), True
        read = self._pieces.get(str(kind))
        return read(value) if read else ()

    def reply(self) -> Reply | None:
        """See `StreamReader.reply`."""
        return None if self._response is None else responses.reply(self._response)

    def _text(self, value: JsonObject) -> Sequence[StreamEvent]:
        piece = _piece(value)
        self._said.append(piece)
        return (TextDelta(piece),) if piece else ()


def _piece(value: JsonObject) -> str:
    piece = value.get("delta")
    return piece if isinstance(piece, str) else ""


def _reasoning(value: JsonObject) -> Sequence[StreamEvent]:
    return (ReasoningDelta(_piece(value)),)


def _tool_call(value: JsonObject) -> Sequence[StreamEvent]:
    item = value.get("item")
    if not isinstance(item, Mapping) or item.get("type") != "function_call":
        return ()
    index = int(value.get("output_index", 0))
    return (ToolCallDelta(index, "", id=item.get("call_id"), name=item.get("name")),)


def _arguments(value: JsonObject) -> Sequence[StreamEvent]:
    return (ToolCallDelta(int(value.get("output_index", 0)), _piece(value)),)


def _failure(value: JsonObject) -> LLMError:
    """An error event has no status of its own: its code decides, like that of a 5xx."""
    return error_for_status(_SERVER_ERROR, {}, {"error": value.get("error") or value}, "")

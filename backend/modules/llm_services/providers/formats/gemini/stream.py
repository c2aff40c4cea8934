"""``streamGenerateContent`` piece by piece: put together, the pieces are one answer."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic_core import to_json

from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats.base import read
from modules.llm_services.providers.formats.sse import ServerEvent
from modules.llm_services.providers.formats.streams import event_json
from modules.llm_services.providers.gemini_failures import gemini_error
from modules.llm_services.types import JsonObject
from modules.llm_services.types.stream import (
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)

from .body import parts_of
from .reply import new_call_id, reply
from .wire import GenerateContentResponse, Part

STREAM_PATH = "streamGenerateContent?alt=sse"
_SERVER_ERROR = 500


class GeminiReader:
    """Reads ``GenerateContentResponse`` pieces. No event marks the end: the finish reason does,
    and after it the body ends.
    """

    def __init__(self, service_tier: str | None = None) -> None:
        self._service_tier = service_tier
        self._said: list[str] = []
        self.done = False
        self._around: JsonObject = {}
        self._candidate: JsonObject = {}
        self._parts: list[JsonObject] = []
        self._calls = 0

    @property
    def text(self) -> str:
        """See `StreamReader`."""
        return "".join(self._said)

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """See `StreamReader.feed`."""
        value = event_json(event)
        if isinstance(value.get("error"), dict):
            status = value["error"].get("code")
            status = status if isinstance(status, int) else _SERVER_ERROR
            raise gemini_error(status, {}, value, "")
        piece = read(GenerateContentResponse, value)
        self._around.update((name, value[name]) for name in value if name != "candidates")
        if not piece.candidates:
            return ()
        self._candidate.update(value["candidates"][0])
        told = zip(piece.candidates[0].content.parts, parts_of(value), strict=True)
        return [event for part, wire in told for event in self._pieces(part, wire)]

    def reply(self) -> Reply | None:
        """See `StreamReader.reply`."""
        if not self._candidate.get("finishReason"):
            return reply(self._around) if self._is_blocked() else None
        content = {"role": "model", "parts": self._parts}
        whole = reply({**self._around, "candidates": [{**self._candidate, "content": content}]})
        return replace(whole, service_tier=self._service_tier)

    def _is_blocked(self) -> bool:
        feedback = self._around.get("promptFeedback") or {}
        return not self._candidate and bool(feedback.get("blockReason"))

    def _pieces(self, part: Part, wire: JsonObject) -> Iterator[StreamEvent]:
        if part.thought:
            yield ReasoningDelta(part.text)
            return
        if part.function_call is not None:
            yield self._tool_call(wire)
            return
        self._said.append(part.text)
        self._parts.append(wire)
        if part.text:
            yield TextDelta(part.text)

    def _tool_call(self, wire: JsonObject) -> ToolCallDelta:
        """Google hands out a call as a whole; it keeps the id under which it was told."""
        asked = {**wire["functionCall"]}
        asked["id"] = asked.get("id") or new_call_id()
        self._parts.append({**wire, "functionCall": asked})
        index, self._calls = self._calls, self._calls + 1
        arguments = to_json(asked.get("args") or {}).decode()
        return ToolCallDelta(index, arguments, id=asked["id"], name=asked["name"])

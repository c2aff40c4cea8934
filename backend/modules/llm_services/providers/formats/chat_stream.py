"""Chat Completions piece by piece: the chunks are put together to what one answer would be."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.failures import error_for_status
from modules.llm_services.types import JsonObject
from modules.llm_services.types.stream import (
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)

from . import chat
from .sse import ServerEvent
from .streams import event_json

_SERVER_ERROR = 500


class ChatReader:
    """Reads ``chat.completion.chunk`` events of one choice."""

    def __init__(self) -> None:
        self.text = ""
        self.done = False
        self._refusal = ""
        self._finish_reason: str | None = None
        self._calls: dict[int, dict[str, str]] = {}
        self._around: JsonObject = {}

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """See `StreamReader.feed`."""
        if event.data == b"[DONE]":
            self.done = True
            return ()
        value = event_json(event)
        if value.get("error"):
            raise error_for_status(_SERVER_ERROR, {}, value, "")
        known = {name: item for name, item in value.items() if item is not None}
        self._around.update((name, known[name]) for name in known if name != "choices")
        choices = value.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return ()
        self._finish_reason = choices[0].get("finish_reason") or self._finish_reason
        return list(self._pieces(choices[0].get("delta") or {}))

    def reply(self) -> Reply | None:
        """See `StreamReader.reply`. A finish reason is the end, with or without ``[DONE]``."""
        if self._finish_reason is None:
            return None
        message: JsonObject = {"role": "assistant", "content": self.text or None}
        if self._refusal:
            message["refusal"] = self._refusal
        if self._calls:
            message["tool_calls"] = [_call(piece) for _, piece in sorted(self._calls.items())]
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason}
        return chat.reply({**self._around, "object": "chat.completion", "choices": [choice]})

    def _pieces(self, delta: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if isinstance(delta.get("content"), str) and delta["content"]:
            self.text += delta["content"]
            yield TextDelta(delta["content"])
        if isinstance(delta.get("refusal"), str) and delta["refusal"]:
            self._refusal += delta["refusal"]
            yield TextDelta(delta["refusal"])
        if isinstance(delta.get("reasoning_content"), str):
            yield ReasoningDelta(delta["reasoning_content"])
        for piece in delta.get("tool_calls") or ():
            yield self._tool_call(piece)

    def _tool_call(self, piece: Mapping[str, Any]) -> ToolCallDelta:
        index = int(piece.get("index", 0))
        function = piece.get("function") or {}
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or piece.get("id") or ""
        call["name"] = call["name"] or function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""
        return ToolCallDelta(
            index, function.get("arguments") or "", id=piece.get("id"), name=function.get("name")
        )


def _call(piece: Mapping[str, str]) -> JsonObject:
    return {
        "id": piece["id"],
        "type": "function",
        "function": {"name": piece["name"], "arguments": piece["arguments"]},
    }

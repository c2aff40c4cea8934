"""Chat Completions piece by piece: the chunks are put together to what one answer would be."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.failures import error_for_status, status_of
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
        self.done = False
        self._said: list[str] = []
        self._refusal = ""
        self._finish_reason: str | None = None
        self._calls: dict[int, dict[str, str]] = {}
        self._around: JsonObject = {}

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
        if value.get("error"):
            raise error_for_status(status_of(value) or _SERVER_ERROR, {}, value, "")
        choices = value.pop("choices", None)
        self._around.update({name: item for name, item in value.items() if item is not None})
        if isinstance(groq := value.get("x_groq"), Mapping) and groq.get("usage"):
            self._around["usage"] = groq["usage"]
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return ()
        self._finish_reason = choices[0].get("finish_reason") or self._finish_reason
        return self._pieces(choices[0].get("delta") or {})

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

    def _pieces(self, delta: Mapping[str, Any]) -> list[StreamEvent]:
        pieces: list[StreamEvent] = []
        if said := _said(delta.get("content")):
            self._said.append(said)
            pieces.append(TextDelta(said))
        if said and len(delta) == 1:  # nearly every piece of an answer
            return pieces
        return [*pieces, *self._others(delta)]

    def _others(self, delta: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if isinstance(delta.get("refusal"), str) and delta["refusal"]:
            self._refusal += delta["refusal"]
            yield TextDelta(delta["refusal"])
        if thought := _thought(delta):
            yield ReasoningDelta(thought)
        for piece in delta.get("tool_calls") or ():
            yield self._tool_call(piece)

    def _tool_call(self, piece: Mapping[str, Any]) -> ToolCallDelta:
        function, index = piece.get("function") or {}, piece.get("index")
        if not isinstance(index, int):  # calls that come whole may have no place
            index = len(self._calls)
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or piece.get("id") or ""
        call["name"] = call["name"] or function.get("name") or ""
        arguments = function.get("arguments") or ""
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call["arguments"] += arguments
        return ToolCallDelta(index, arguments, id=piece.get("id"), name=function.get("name"))


def _said(content: object, kind: str = "text") -> str:
    """A piece of text, as it is or in parts of which only some are of that kind (Mistral's)."""
    if isinstance(content, str):
        return content if kind == "text" else ""
    parts = content if isinstance(content, list) else ()
    return "".join(_said(part.get(kind)) for part in parts if isinstance(part, Mapping))


def _thought(delta: Mapping[str, Any]) -> str:
    """What the model thinks, in any of the vendors' places for it."""
    told = delta.get("reasoning_content") or delta.get("reasoning")
    return told if isinstance(told, str) else _said(delta.get("content"), "thinking")


def _call(piece: Mapping[str, str]) -> JsonObject:
    return {
        "id": piece["id"],
        "type": "function",
        "function": {"name": piece["name"], "arguments": piece["arguments"]},
    }

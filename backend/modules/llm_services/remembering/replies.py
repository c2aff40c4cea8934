"""Replies as JSON and back. What is read is checked like what a vendor sends."""

from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import cast

from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.verdict import usable
from modules.llm_services.types import Call, JsonObject, ToolCall

_WHOLE = frozenset({"stop", "tool_calls"})


def worth_keeping(call: Call, replies: Sequence[Reply]) -> bool:
    """Whether an answer is all that was asked for: not cut off, not filtered, no broken calls."""
    return call.operation == "embedding" or all(map(_is_whole, replies))


def _is_whole(reply: Reply) -> bool:
    return reply.finish_reason in _WHOLE and not any(one.error for one in reply.tool_calls)


def size(replies: Sequence[Reply]) -> int:
    """Roughly the bytes that they will take."""
    return sum(len(reply.text) + 6 * sum(map(len, _vectors(reply))) for reply in replies)


def written(reply: Reply) -> JsonObject:
    """What is kept of a reply: what it says, not what it took."""
    return {
        "text": reply.text,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "dropped_params": list(reply.dropped_params),
        "tool_calls": [one.model_dump(mode="json") for one in reply.tool_calls],
        "reasoning": reply.reasoning,
        "vectors": [b64encode(vector.tobytes()).decode() for vector in _vectors(reply)],
    }


def _vectors(reply: Reply) -> "Sequence[array[float]]":
    return cast("list[array[float]]", reply.parsed) if isinstance(reply.parsed, list) else ()


def read(kept: Sequence[JsonObject], call: Call) -> list[Reply] | None:
    """The replies, new ones for each call, or ``None`` when they are no answer to it any more."""
    try:
        return [_read(one, call) for one in kept]
    except LLMError:
        return None


def _read(kept: JsonObject, call: Call) -> Reply:
    reply = Reply(
        text=kept["text"],
        model=kept["model"],
        finish_reason=kept["finish_reason"],
        dropped_params=tuple(kept["dropped_params"]),
        tool_calls=tuple(ToolCall(**one) for one in kept["tool_calls"]),
        reasoning=tuple((place, item) for place, item in kept["reasoning"]),
        parsed=[_vector(text) for text in kept["vectors"]] or None,
    )
    if call.operation == "embedding":
        return reply
    return usable(reply, call.output_type, call.tools)


def _vector(text: str) -> "array[float]":
    vector = array("f")
    vector.frombytes(b64decode(text))
    return vector

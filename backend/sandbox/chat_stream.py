"""A chat completion as the chunks in which the API streams it."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.faults import Fault
from sandbox.sse import DONE, ERROR, broken, event
from sandbox.tokens import pieces
from sandbox.wire import Json


def stream(whole: Json, fault: Fault, *, with_usage: bool) -> Iterator[str]:
    """The chunks and `[DONE]`; broken where the fault says so."""
    return broken(_all(whole, with_usage=with_usage), fault, {"error": ERROR})


def _all(whole: Json, *, with_usage: bool) -> Iterator[str]:
    head = {k: v for k, v in whole.items() if k not in {"choices", "usage"}}
    head["object"] = "chat.completion.chunk"
    usage_key = {"usage": None} if with_usage else {}
    for choice in whole["choices"]:
        for delta, finish in _deltas(choice):
            step = {"index": choice["index"], "delta": delta, "logprobs": None}
            yield event({**head, "choices": [{**step, "finish_reason": finish}], **usage_key})
    if with_usage and "usage" in whole:
        yield event({**head, "choices": [], "usage": whole["usage"]})
    yield DONE


def _deltas(choice: Json) -> Iterator[tuple[Json, str | None]]:
    message = choice["message"]
    calls = message.get("tool_calls", [])
    yield {"role": "assistant", "content": None if calls else "", "refusal": None}, None
    for piece in pieces(message["content"] or ""):
        yield {"content": piece}, None
    for piece in pieces(message["refusal"] or ""):
        yield {"refusal": piece}, None
    for index, call in enumerate(calls):
        yield from ((delta, None) for delta in _call_deltas(index, call))
    yield {}, choice["finish_reason"]


def _call_deltas(index: int, call: Json) -> Iterator[Json]:
    opening = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
    yield {"tool_calls": [opening]}
    for piece in pieces(call["function"]["arguments"]):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

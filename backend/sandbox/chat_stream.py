"""A chat completion as the chunks in which the API streams it."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.faults import Fault
from sandbox.likeness import Likeness
from sandbox.sse import DONE, ERROR, broken, event
from sandbox.tokens import pieces
from sandbox.wire import Json


def stream(whole: Json, fault: Fault, spoken: Likeness, *, with_usage: bool) -> Iterator[str]:
    """The chunks and `[DONE]`; broken where the fault says so."""
    asked = spoken.usage_place == "asked"
    events = _all(whole, with_usage=with_usage) if asked else _told(whole, spoken)
    return broken(events if spoken.done else _without_end(events), fault, {"error": ERROR})


def _without_end(events: Iterator[str]) -> Iterator[str]:
    return (said for said in events if said != DONE)


def _told(whole: Json, spoken: Likeness) -> Iterator[str]:
    """Chunks with the usage where other vendors put it, asked for or not."""
    usage = {"usage": whole["usage"]} if "usage" in whole else {}
    for chunk in _chunks(whole):
        last = chunk["choices"][0]["finish_reason"] is not None
        if spoken.usage_place == "x_groq":
            yield event({**chunk, **({"x_groq": {"id": "req", **usage}} if last else {})})
        else:
            yield event({**chunk, **(usage if last or spoken.usage_place == "every" else {})})
    yield DONE


def _chunks(whole: Json) -> Iterator[Json]:
    head = {k: v for k, v in whole.items() if k not in {"choices", "usage"}}
    head["object"] = "chat.completion.chunk"
    for choice in whole["choices"]:
        for delta, finish in _deltas(choice):
            step = {"index": choice["index"], "delta": delta, "logprobs": None}
            yield {**head, "choices": [{**step, "finish_reason": finish}]}


def _all(whole: Json, *, with_usage: bool) -> Iterator[str]:
    head = {k: v for k, v in whole.items() if k not in {"choices", "usage"}}
    head["object"] = "chat.completion.chunk"
    usage_key = {"usage": None} if with_usage else {}
    for chunk in _chunks(whole):
        yield event({**chunk, **usage_key})
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

"""A message as the sequence of events in which Anthropic streams it."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.faults import Fault
from sandbox.sse import ERROR, broken, event
from sandbox.tokens import pieces
from sandbox.wire import Json, dumps


def stream(whole: Json, fault: Fault) -> Iterator[str]:
    """All events of a message; broken where the fault says so."""
    named = (event(data, str(data["type"])) for data in _events(whole))
    error = {"type": "error", "error": {"type": "api_error", "message": ERROR["message"]}}
    return broken(named, fault, error)


def _events(whole: Json) -> Iterator[Json]:
    early = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    early["stop_details"] = None
    if "usage" in whole:
        early["usage"] = {**whole["usage"], "output_tokens": 1, "output_tokens_details": None}
    yield {"type": "message_start", "message": early}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        begun, deltas = _begun(block)
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    usage = {"usage": whole["usage"]} if "usage" in whole else {}
    yield {"type": "message_delta", "delta": ended, **usage}
    yield {"type": "message_stop"}


def _begun(block: Json) -> tuple[Json, list[Json]]:
    """A block as it is announced, and what is then added to it."""
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": piece} for piece in pieces(block["text"])
            ]
        case "thinking":
            thought = [
                {"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])
            ]
            sealed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thought, sealed]
        case "tool_use":
            asked = block["input"]
            text = asked if isinstance(asked, str) else dumps(asked)
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)
            ]
    return block, []

"""What the server answers: the same few words in every format, as ready-made bytes."""

import json
from typing import Any

WORDS = "Lava is molten rock that has come out of a volcano; it flows until it has cooled down."
INVOICE = {"number": "17", "customer": "Rossi", "total": 120.0, "lines": ["lamp", "lamp", "lamp"]}
EVENTS = 100
_CREATED = 1_790_000_000
_MODEL = "gpt-4o-mini"
_CHAT_USAGE = {"prompt_tokens": 24, "completion_tokens": 20, "total_tokens": 44}
_USAGE = {
    "input_tokens": 24,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 44,
}


def chat(content: str | None, tool_calls: list[dict[str, Any]] | None = None) -> bytes:
    """An answer of Chat Completions."""
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if tool_calls:
        message["tool_calls"] = tool_calls
    reason = "tool_calls" if tool_calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return _bytes({**_chat("chat.completion"), "choices": [choice], "usage": _CHAT_USAGE})


def chat_tool(name: str) -> bytes:
    """An answer of Chat Completions that calls a tool with the invoice."""
    function = {"name": name, "arguments": json.dumps(INVOICE)}
    return chat(None, [{"id": "call_1", "type": "function", "function": function}])


def chat_stream() -> bytes:
    """`EVENTS` pieces, usage and the end, in the stream format of Chat Completions."""
    base = _chat("chat.completion.chunk")
    events: list[dict[str, Any]] = [
        {**base, "choices": [_chunk({"role": "assistant", "content": ""})], "usage": None},
        *(
            {**base, "choices": [_chunk({"content": " lava"})], "usage": None}
            for _ in range(EVENTS)
        ),
        {**base, "choices": [{**_chunk({}), "finish_reason": "stop"}], "usage": None},
        {**base, "choices": [], "usage": _CHAT_USAGE},
    ]
    return b"".join(b"data: " + _bytes(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def responses(text: str, status: str = "completed") -> bytes:
    """An answer of the Responses API."""
    return _bytes(_response(text, status))


def responses_stream() -> bytes:
    """`EVENTS` pieces and the end, in the stream format of the Responses API."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    whole = " lava" * EVENTS
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**_response("", "in_progress"), "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": _item("", "in_progress")},
        {"type": "response.content_part.added", **place, "part": part},
        *(
            {"type": "response.output_text.delta", **place, "delta": " lava", "logprobs": []}
            for _ in range(EVENTS)
        ),
        {"type": "response.output_text.done", **place, "text": whole, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": {**part, "text": whole}},
        {"type": "response.output_item.done", "output_index": 0, "item": _item(whole, "completed")},
        {"type": "response.completed", "response": _response(whole, "completed")},
    ]
    return b"".join(
        b"event: %s\ndata: %s\n\n"
        % (event["type"].encode(), _bytes({**event, "sequence_number": number}))
        for number, event in enumerate(events)
    )


def _chat(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": _CREATED, "model": _MODEL}


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}


def _item(text: str, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    content = [part] if text else []
    return {
        "id": "msg_1",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _response(text: str, status: str) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "model": _MODEL,
        "output": [_item(text, status)],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _USAGE if status == "completed" else None,
    }


def _bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

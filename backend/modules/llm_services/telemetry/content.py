"""Prompts and answers as the conventions write them, made of what the ledger keeps of them."""

import json
from collections.abc import Iterator
from typing import Any

from .attributes import Attributes, Row
from .names import INPUT_MESSAGES, OUTPUT_MESSAGES


def prompt(row: Row) -> Attributes:
    """The messages of an opening row; nothing where nothing may be kept of them."""
    if row["payload_state"] == "none" or not row["messages"]:
        return {}
    messages = [{"role": said["role"], "parts": list(_parts(said))} for said in row["messages"]]
    return {INPUT_MESSAGES: json.dumps(messages, ensure_ascii=False)}


def answer(row: Row) -> Attributes:
    """The text of a settled row, as far as it came."""
    text = row["response_content"]
    if row["payload_state"] == "none" or not text:
        return {}
    said: dict[str, Any] = {"role": "assistant", "parts": [_text(text)]}
    if row["finish_reason"]:
        said["finish_reason"] = row["finish_reason"]
    return {OUTPUT_MESSAGES: json.dumps([said], ensure_ascii=False)}


def _parts(said: Row) -> Iterator[dict[str, Any]]:
    content = said["content"]
    if "tool_call_id" in said:
        yield {"type": "tool_call_response", "id": said["tool_call_id"], "result": content}
    elif isinstance(content, str):
        yield _text(content)
    else:
        yield from (_part(part) for part in content)
    for call in said.get("tool_calls", ()):
        yield {"type": "tool_call", **call}


def _part(part: Row) -> dict[str, Any]:
    """Words, or the type, size and hash of a file."""
    return _text(part["text"]) if part["type"] == "text" else dict(part)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}

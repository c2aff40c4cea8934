"""Messages as the ledger keeps them: words as they are, bytes by their hash."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from modules.llm_services.types import ContentPart, LLMMessageDTO, MediaPart, TextPart


def stored_message(message: LLMMessageDTO) -> dict[str, Any]:
    """A message as JSON."""
    stored: dict[str, Any] = {"role": str(message.role), "content": _content(message)}
    if message.name:
        stored["name"] = message.name
    if message.tool_calls:
        stored["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in message.tool_calls
        ]
    if message.reasoning:
        stored["reasoning"] = [one.digest for one in message.reasoning]
    if message.tool_call_id:
        stored["tool_call_id"] = message.tool_call_id
    return stored


def _content(message: LLMMessageDTO) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    return [_part(part) for part in message.parts]


def _part(part: ContentPart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    kind = type(part).__name__.removesuffix("Part").lower()
    return {"type": kind, **(_digest(part) if part.data is not None else _address(part))}


def _digest(part: MediaPart) -> dict[str, Any]:
    data = part.data or b""
    return {
        "omitted": True,
        "media_type": part.media_type,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _address(part: MediaPart) -> dict[str, Any]:
    """Where the vendor fetched it, without the query: that may be somebody's signature."""
    url = part.url or ""
    return {
        "url": urlsplit(url)._replace(query="", fragment="").geturl(),
        "sha256_of_url": hashlib.sha256(url.encode()).hexdigest(),
    }

"""A conversation as Anthropic's Messages API takes it: turns made of blocks."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from modules.llm_services.exceptions import LLMBadRequestError
from modules.llm_services.types import (
    AudioPart,
    ContentPart,
    DocumentPart,
    JsonObject,
    LLMMessageDTO,
    MessageRole,
    TextPart,
)

from .base import Request
from .media import encoded, filename
from .reasoning import carried
from .tools import is_plain

_SYSTEM = frozenset({MessageRole.SYSTEM, MessageRole.DEVELOPER})


def system_text(messages: Iterable[LLMMessageDTO]) -> str:
    """What the model is told before the conversation, wherever it stood in it."""
    return "\n\n".join(message.text for message in messages if message.role in _SYSTEM)


def turns(request: Request) -> list[JsonObject]:
    """The conversation. Results of tools that were called together go back in one turn."""
    said = [message for message in request.call.messages if message.role not in _SYSTEM]
    found: list[JsonObject] = []
    for are_results, group in groupby(said, key=lambda one: one.role == MessageRole.TOOL):
        if are_results:
            found.append({"role": "user", "content": [_result(message) for message in group]})
        else:
            found += [_turn(message, request) for message in group]
    return found


def _result(message: LLMMessageDTO) -> JsonObject:
    return {
        "type": "tool_result",
        "tool_use_id": message.tool_call_id,
        "content": message.text,
    }


def _turn(message: LLMMessageDTO, request: Request) -> JsonObject:
    if message.role == MessageRole.ASSISTANT:
        return {"role": "assistant", "content": list(_answer(message, request))}
    return {"role": "user", "content": _content(message)}


def _answer(message: LLMMessageDTO, request: Request) -> Iterator[JsonObject]:
    """Thoughts go back unchanged, before what they led to."""
    thoughts = carried(message, request)
    yield from thoughts.get(0, ())
    if message.text or not message.tool_calls:
        yield {"type": "text", "text": message.text}
    for number, call in enumerate(message.tool_calls, 1):
        yield from thoughts.get(number, ())
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}


def _content(message: LLMMessageDTO) -> str | list[JsonObject]:
    """The API knows no names of speakers; a speaker's name is said in the text."""
    if is_plain(message):
        return f"{message.name}: {message.text}" if message.name else message.text
    said = [_part(part) for part in message.parts]
    return [{"type": "text", "text": f"{message.name}:"}, *said] if message.name else said


def _part(part: ContentPart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, AudioPart):
        raise LLMBadRequestError("Anthropic's models take no sound")
    source = _source(part.url, part)
    if isinstance(part, DocumentPart):
        return {"type": "document", "source": source, "title": filename(part)}
    return {"type": "image", "source": source}


def _source(url: str | None, part: Any) -> JsonObject:
    if url is not None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": part.media_type, "data": encoded(part)}

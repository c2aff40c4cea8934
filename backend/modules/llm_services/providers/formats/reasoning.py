"""Reasoning items of the Responses API on their way out and back.

Nothing is stored at the provider, so the items come sealed (``reasoning.encrypted_content``) and go
back in the place where they stood: a reasoning item has to be followed by the message or the call
that it led to, and can be opened only by the model that wrote it. Sources: OpenAI's guide to
reasoning; openai/codex#17541 for the model.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from modules.llm_services.types import JsonObject, LLMMessageDTO
from modules.llm_services.types.reasoning import digest_of

from .base import Request

_TEXT, _CALL, _REASONING = "message", "function_call", "reasoning"


def sealed_items(output: Iterable[JsonObject]) -> tuple[tuple[int, JsonObject], ...]:
    """The sealed items of an answer, each with its place: 0 for the text, n for the n-th call."""
    found: list[tuple[int, JsonObject]] = []
    waiting: list[JsonObject] = []
    calls = 0
    for item in output:
        if _is_sealed(item):
            waiting.append(_as_input(item))
        elif item["type"] in {_TEXT, _CALL}:
            calls += item["type"] == _CALL
            place = calls if item["type"] == _CALL else 0
            found += [(place, one) for one in waiting]
            waiting = []
    return tuple(found)


def _is_sealed(item: JsonObject) -> bool:
    sealed = isinstance(item.get("encrypted_content"), str) and item["encrypted_content"]
    return item["type"] == _REASONING and bool(sealed) and isinstance(item.get("id"), str)


def _as_input(item: JsonObject) -> JsonObject:
    summary = item.get("summary")
    return {
        "type": _REASONING,
        "id": item["id"],
        "summary": summary if isinstance(summary, list) else [],
        "encrypted_content": item["encrypted_content"],
    }


def carried(message: LLMMessageDTO, request: Request) -> Mapping[int, Sequence[JsonObject]]:
    """What goes back to the model that thought it, by place."""
    call = request.call
    places: defaultdict[int, list[JsonObject]] = defaultdict(list)
    for one in message.reasoning if "reasoning" in request.parameters else ():
        if one.readable_by(call.provider, call.model):
            places[one.before].append(one.item)
    return places


def unsealed(item: JsonObject) -> JsonObject:
    """An item of an answer for the row: what only its vendor can read is worth no megabyte."""
    if not item.get("encrypted_content"):
        return item
    return {**item, "encrypted_content": digest_of(item)}

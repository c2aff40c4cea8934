"""Thought signatures on their way out and back.

Gemini signs the part that a thought led to: the first of several calls of tools, the text. From
Gemini 3 on a call without its signature is refused, so one that another model made is marked as
foreign, with the word that Google has for that (ai.google.dev/gemini-api/docs/thought-signatures).
"""

import re
from collections.abc import Iterable, Mapping

from modules.llm_services.types import Call, JsonObject, LLMMessageDTO

_FOREIGN = "skip_thought_signature_validator"
_KIND = "thought_signature"
_SEALED = "encrypted_content"
_BEFORE_SIGNATURES = re.compile(r"gemini-[12]\.|gemma")


def signatures(parts: Iterable[JsonObject]) -> tuple[tuple[int, JsonObject], ...]:
    """The signatures of an answer, each with its place: 0 for the text, n for the n-th call."""
    found: list[tuple[int, JsonObject]] = []
    calls = 0
    for part in parts:
        calls += "functionCall" in part
        signature = part.get("thoughtSignature")
        if isinstance(signature, str) and signature:
            place = calls if "functionCall" in part else 0
            found.append((place, {"type": _KIND, _SEALED: signature}))
    return tuple(found)


def signed(call: Call, message: LLMMessageDTO) -> Mapping[int, str]:
    """What goes back to the model that signed it, by place."""
    own = (one for one in message.reasoning if one.readable_by(call.provider, call.model))
    given = {one.before: str(one.item[_SEALED]) for one in own if _SEALED in one.item}
    if message.tool_calls and not _BEFORE_SIGNATURES.match(call.model):
        given.setdefault(1, _FOREIGN)
    return given

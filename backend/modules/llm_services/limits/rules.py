"""Which limits a model has by the settings, and how much of them a request will take."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from modules.llm_services.attachments import probable_tokens
from modules.llm_services.types import Call, LLMMessageDTO, MediaPart, TextPart

if TYPE_CHECKING:
    from modules.llm_services.setting_types import LimitSettings

_BYTES_PER_TOKEN = 4
_UNCAPPED_ANSWER = 500
_SAMPLE = 100_000


def rule_for(rules: Mapping[str, LimitSettings], provider: str, model: str) -> LimitSettings | None:
    """The rule whose pattern says most about a model: the one with the most letters.

    Patterns are ``provider:model`` with ``*`` and ``?``; ``provider`` alone means all its models.
    """
    fitting = [pattern for pattern in rules if _fits(pattern, provider, model)]
    return rules[max(fitting, key=_letters)] if fitting else None


def _fits(pattern: str, provider: str, model: str) -> bool:
    whole = pattern if ":" in pattern else f"{pattern}:*"
    return fnmatchcase(f"{provider}:{model}".lower(), whole.lower())


def _letters(pattern: str) -> int:
    return sum(letter not in "*?" for letter in pattern)


def demand(call: Call) -> int:
    """Tokens that a request will probably take: what vendors count before they answer, too.

    A prompt has a token for four bytes; an answer takes the call's cap, or 500 without one.
    """
    cap = call.parameters.get("max_tokens")
    answer = cap if isinstance(cap, int) else _UNCAPPED_ANSWER
    return sum(map(_message, call.messages)) + answer


def _message(message: LLMMessageDTO) -> int:
    if isinstance(message.content, str):
        return _text(message.content)
    parts = message.parts
    words = sum(_text(part.text) for part in parts if isinstance(part, TextPart))
    return words + sum(probable_tokens(part) for part in parts if isinstance(part, MediaPart))


def _text(text: str) -> int:
    if text.isascii():
        return len(text) // _BYTES_PER_TOKEN + 1
    sample = text[:_SAMPLE]  # of megabytes the beginning has to do: the others wait meanwhile
    size = len(sample.encode("utf-8", "replace")) * len(text) // len(sample)
    return size // _BYTES_PER_TOKEN + 1

"""What a provider says of its limits in the headers of an answer.

``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``, as OpenAI documents them and others
have taken over; a reset is a duration such as ``6m0s`` or ``20ms``.
https://platform.openai.com/docs/guides/rate-limits
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST = 12  # digits


@dataclass(frozen=True, slots=True)
class Meter:
    """Of ``limit`` there are ``remaining``; in ``reset`` seconds it will be all of it again."""

    limit: int
    remaining: int
    reset: float | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What one answer said, as far as it makes sense."""

    requests: Meter | None
    tokens: Meter | None


def heard_in(headers: Mapping[str, str]) -> Heard | None:
    """What the headers of an answer say, or nothing."""
    requests, tokens = _meter(headers, "requests"), _meter(headers, "tokens")
    return Heard(requests, tokens) if requests or tokens else None


def _meter(headers: Mapping[str, str], what: str) -> Meter | None:
    limit = _count(headers.get(f"x-ratelimit-limit-{what}"))
    remaining = _count(headers.get(f"x-ratelimit-remaining-{what}"))
    if not limit or remaining is None or remaining > limit:
        return None  # Azure has sent -1 and 0 for "I do not know"
    return Meter(limit, remaining, _duration(headers.get(f"x-ratelimit-reset-{what}")))


def _count(text: str | None) -> int | None:
    plain = text is not None and text.isascii() and text.isdigit() and len(text) <= _LONGEST
    return int(text) if plain and text is not None else None


def _duration(text: str | None) -> float | None:
    parts = _PART.findall(text or "")
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)

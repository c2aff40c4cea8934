"""The sandbox's token counter: simple, deterministic, and the same for text in and text out.

A word costs one token per six letters begun, every other visible sign costs one, white space is
free. It is no real tokenizer: English prose comes out within about a fifth of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

PER_MESSAGE = 3
"""Overhead of one message, and once more for the start of the answer."""

REASONING = {"none": 0, "minimal": 4, "low": 12, "medium": 24, "high": 64, "xhigh": 128, "max": 256}
"""Reasoning tokens that an effort costs here."""

_PIECE = re.compile(r"\w{1,6}|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer; `completion` includes `reasoning`. `cost` is USD, where it is told."""

    prompt: int
    completion: int
    reasoning: int = 0
    cached: int = 0
    cache_write: int = 0
    cost: float | None = None

    @property
    def told(self) -> dict[str, float]:
        """What goes into a usage beside the tokens."""
        return {} if self.cost is None else {"cost": self.cost}


def count(text: str) -> int:
    """Tokens of a text."""
    return sum(1 for _ in _PIECE.finditer(text))


def count_messages(texts: Iterable[str]) -> int:
    """Tokens of a conversation: its texts and the overhead of each message."""
    return sum(count(t) + PER_MESSAGE for t in texts) + PER_MESSAGE


def clip(text: str, limit: int) -> str:
    """The first `limit` tokens of a text."""
    if limit <= 0:
        return ""
    for n, piece in enumerate(_PIECE.finditer(text), start=1):
        if n == limit:
            return text[: piece.end()]
    return text


def pieces(text: str, size: int = 4) -> list[str]:
    """A text in steps of `size` tokens, for streaming; joined again they are the text."""
    ends = [m.end() for m in _PIECE.finditer(text)][size - 1 :: size]
    cuts = [0, *[e for e in ends if e < len(text)], len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


def reasoning_for(effort: str, limit: int | None) -> int:
    """Reasoning tokens of an effort; at most half of `limit`, so that some text is always seen."""
    wanted = REASONING.get(effort, REASONING["medium"])
    return wanted if limit is None else min(wanted, limit // 2)

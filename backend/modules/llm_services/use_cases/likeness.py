"""How much two answers agree, and where they differ."""

import json
import re
from collections.abc import Iterator
from difflib import SequenceMatcher, unified_diff
from typing import Any

_MOST_WORDS = 2_000  # of each answer: the comparison is quadratic
_LONGEST = 4_000  # characters of a difference
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def agreement(logged: str, answer: str) -> float:
    """From 0 to 1: of JSON the share of values that are equal, of text that of words."""
    one, other = _json(logged), _json(answer)
    if one is None or other is None:
        before, now = (text.split()[:_MOST_WORDS] for text in (logged, answer))
        return SequenceMatcher(None, before, now, autojunk=False).ratio()
    leaves: dict[str, Any] = dict(_leaves(one))
    others: dict[str, Any] = dict(_leaves(other))
    places = leaves.keys() | others.keys()
    equal: int = sum(p in leaves and p in others and leaves[p] == others[p] for p in places)
    return equal / len(places)


def difference(logged: str, answer: str) -> str:
    """The lines (of text its sentences) that differ, as `difflib.unified_diff` shows them."""
    found = unified_diff(_lines(logged), _lines(answer), "logged", "replayed", lineterm="", n=1)
    shown = "\n".join(found)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}… [{len(shown)} characters]"


def _json(text: str) -> Any:
    """The JSON object or list that a text is, or ``None``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if not value:
        yield place, value
    for name, item in items:
        if isinstance(item, dict | list):
            yield from _leaves(item, f"{place}/{name}")
        else:
            yield f"{place}/{name}", item


def _lines(text: str) -> list[str]:
    value = _json(text)
    if value is not None:
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
    return [sentence for line in text.splitlines() for sentence in _SENTENCE.split(line)]

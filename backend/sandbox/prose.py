"""Plain text answers: a title and the sentences of the source that say most."""

from __future__ import annotations

import re

from sandbox.reading import Reading
from sandbox.source import Source
from sandbox.words import shorten

_NUMBERS = {"one": 1, "a": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
            "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12}  # fmt: skip
_SENTENCES = re.compile(r"(?i)\b(\d{1,2}|one|a single|two|three|four|five|six)\s+sentences?\b")
_USUAL = 5
_MOST = 40


def number(word: str) -> int:
    """`three`, `3` or `a single` as a number."""
    last = word.lower().split()[-1]
    return int(last) if last.isdigit() else _NUMBERS.get(last, 1)


def asked_for(orders: str, noun: str) -> int | None:
    """How many of something the orders want: `Write 5 multiple-choice questions` gives 5."""
    count = rf"(\d{{1,2}}|{'|'.join(n for n in _NUMBERS if n != 'a')})"
    pattern = rf"(?i)\b{count}\s+(?:[\w-]+[ ,]+){{0,3}}?{re.escape(noun)}s?\b"
    found = re.search(pattern, orders)
    return min(number(found[1]), _MOST) if found else None


def prose(source: Source, reading: Reading, result: str, choice: int = 0) -> str:
    """The answer in plain text. A tool's result is quoted, so that one sees it was read."""
    if result:
        return f"The tool answered: {shorten(result.strip(), 1200)}"
    wanted = _SENTENCES.search(reading.orders)
    chosen = source.best(number(wanted[1]) if wanted else _USUAL, skip=choice)
    body = " ".join(s.text for s in chosen)
    return body if wanted else f"{source.title()}\n\n{body}"

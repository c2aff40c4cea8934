"""A text for a regular expression: the shortest walk through it, longer where more is needed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

# The standard library's own parser. It is private, and the public name `sre_parse` warns; the day
# it moves, the pattern tests say so.
_parser = importlib.import_module("re._parser")

_PREFERRED = (
    "aA0bcdefghijklmnopqrstuvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ123456789_- .,:;/@#+!?()[]{}'\"%&*=~"
)
_CLASSES: Mapping[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_NOT_DIGIT": lambda c: not c.isdigit(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda c: not c.isspace(),
    "CATEGORY_WORD": lambda c: c.isalnum() or c == "_",
    "CATEGORY_NOT_WORD": lambda c: not (c.isalnum() or c == "_"),
}
_MORE = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)


def candidates(pattern: str, seed: int = 0) -> list[str]:
    """Texts that should match, shortest first; `seed` makes other choices. Check before use."""
    try:
        tree = _parser.parse(pattern)
    except (re.error, OverflowError):
        return []
    return [_Walk(seed, more).walk(tree) for more in _MORE]


class _Walk:
    """One walk: `more` is how often an open repetition is taken beyond its minimum."""

    def __init__(self, seed: int, more: int) -> None:
        self.seed, self.more = seed, more
        self.groups: dict[int, str] = {}

    def walk(self, tree: Any) -> str:
        return "".join(self.step(str(op), value) for op, value in tree)

    def step(self, op: str, value: Any) -> str:
        handler: Callable[[Any], str] | None = getattr(self, f"_{op.lower()}", None)
        return handler(value) if handler else ""

    def _literal(self, code: int) -> str:
        return chr(code)

    def _not_literal(self, code: int) -> str:
        return self._pick(lambda c: c != chr(code))

    def _any(self, _value: object) -> str:
        return self._pick(lambda _c: True)

    def _in(self, options: Any) -> str:
        first = str(options[0][0])
        if first == "NEGATE":
            return self._pick(lambda c: not any(_holds(o, c) for o in options[1:]))
        found = self._pick(lambda c: any(_holds(o, c) for o in options))
        return found or _lowest(options[0])

    def _max_repeat(self, value: Any) -> str:
        low, high, inner = value
        times = min(int(low) + self.more, int(high))
        return "".join(self._turn(inner) for _ in range(times))

    _min_repeat = _possessive_repeat = _max_repeat

    def _turn(self, inner: Any) -> str:
        text = self.walk(inner)
        self.seed = self.seed * 31 // 7 if self.seed else 0
        return text

    def _subpattern(self, value: Any) -> str:
        text = self.walk(value[-1])
        if value[0] is not None:
            self.groups[value[0]] = text
        return text

    def _atomic_group(self, value: Any) -> str:
        return self.walk(value)

    def _branch(self, value: Any) -> str:
        return self.walk(value[1][self.seed % len(value[1])])

    def _groupref(self, group: int) -> str:
        return self.groups.get(group, "")

    def _pick(self, test: Callable[[str], bool]) -> str:
        found = [c for c in _PREFERRED if test(c)]
        return found[self.seed % len(found)] if found else ""


def _holds(option: Any, char: str) -> bool:
    op, value = str(option[0]), option[1]
    if op == "LITERAL":
        return bool(ord(char) == value)
    if op == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])
    return op == "CATEGORY" and _CLASSES[str(value)](char)


def _lowest(option: Any) -> str:
    value = option[1]
    return chr(value[0] if isinstance(value, tuple) else value) if value is not None else ""

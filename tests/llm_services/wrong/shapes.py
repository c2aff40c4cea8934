"""What is wrong with any argument of a shape: text, numbers, words, lists, mappings."""

import math
from collections import UserList
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Hostile:
    """Raises whatever is asked of it."""

    def _no(self, *_: object) -> Any:
        raise RuntimeError("hands off")

    __str__ = __repr__ = __eq__ = __len__ = __iter__ = __bool__ = __call__ = __getitem__ = _no
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __int__ = __float__ = __index__ = _no
    __hash__ = None  # type: ignore[assignment]


class HostileText(str):
    """A str that raises whatever a str is asked."""

    __slots__ = ()

    def _no(self, *_: object) -> Any:
        raise RuntimeError("hands off")

    __str__ = __repr__ = __len__ = __iter__ = __eq__ = __contains__ = _no
    __hash__ = str.__hash__

    def encode(self, *_: Any, **__: Any) -> bytes:
        raise RuntimeError("hands off")

    def strip(self, *_: Any) -> str:
        raise RuntimeError("hands off")

    lower = upper = strip


class HostileNumber(int):
    """An int that raises when it is compared."""

    def _no(self, *_: object) -> Any:
        raise RuntimeError("hands off")

    __le__ = __lt__ = __ge__ = __gt__ = __float__ = __str__ = __repr__ = _no


class Endless(Sequence[Any]):
    """A sequence that says it is short, and never ends."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return object()

    def __iter__(self) -> Iterator[Any]:
        return (object() for _ in count())


class HostileMapping(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("hands off")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("hands off")


class Wrong(NamedTuple):
    """Values that an argument cannot mean: some by hand, and any number of them."""

    values: Sequence[Any]
    any: st.SearchStrategy[Any]


UNREAD: Iterator[Any] = (one for one in [1])
ALIENS: Sequence[Any] = (
    *(object(), Hostile(), Hostile, 1j, {1, 2}, frozenset(), iter([]), UNREAD, ...),
    *(Decimal(1), Fraction(1), len, math, print, memoryview(b"x"), Exception("x"), NotImplemented),
)
"""What no argument of ours is."""

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=50)
BROKEN_TEXT = ANY_TEXT.map(lambda text: f"{text}\ud800")
ALIEN = st.sampled_from(ALIENS)
NUMBER = st.integers() | st.floats()
NO_TEXT = ALIEN | NUMBER | st.booleans() | st.binary(max_size=9) | st.lists(st.text(), max_size=2)
_LABEL = (
    *("", " ", "\n\t", "\ud800", "a\ud800", "a\x00b", "a\nb", "\x1b[31m", "a\u2028b", "\x7f"),
    *(5, True, b"a", ["a"], {"a": 1}, math.nan, *ALIENS),
)


def text(longest: int) -> Wrong:
    """Everything that is no text of that length."""
    values: tuple[Any, ...] = ("", "  ", "\ud800", "x" * (longest + 1), 5, 0, True, b"a", ["a"])
    return Wrong((*values, *ALIENS), NO_TEXT | BROKEN_TEXT | st.text(" \t\n", max_size=9))


def label(longest: int) -> Wrong:
    """Everything that is no single line of that length."""
    control = st.text(st.characters(categories=("Cc", "Zl", "Zp")), min_size=1, max_size=9)
    return Wrong(
        (*_LABEL, "x" * (longest + 1)),
        NO_TEXT | BROKEN_TEXT | control.map(lambda text: f"a{text}b"),
    )


def number(low: float, high: float) -> Wrong:
    """Everything that is no finite number between the two."""
    values: tuple[Any, ...] = (
        "1",
        "hot",
        "",
        b"1",
        True,
        False,
        [1],
        (),
        {},
        math.nan,
        math.inf,
        -math.inf,
    )
    outside = (low - 0.01, high + 0.01, 10**400, -(10**5_000), HostileNumber(2**70))
    any_ = st.floats(min_value=high, exclude_min=True) | st.floats(max_value=low, exclude_max=True)
    return Wrong((*values, *outside, *ALIENS), any_ | ALIEN | ANY_TEXT | st.booleans())


def whole(low: int, high: int) -> Wrong:
    """Everything that is no whole number between the two."""
    values: tuple[Any, ...] = (
        low - 1,
        high + 1,
        1.5,
        1.0,
        "1",
        "",
        b"1",
        True,
        False,
        math.nan,
        math.inf,
        [1],
    )
    outside = (10**5_000, -(10**5_000), HostileNumber(2**70))
    any_ = st.integers(min_value=high + 1) | st.integers(max_value=low - 1) | st.floats()
    return Wrong((*values, *outside, *ALIENS), any_ | ALIEN | ANY_TEXT | st.booleans())


def word() -> Wrong:
    """What is not one of a few words."""
    values: tuple[Any, ...] = ("", "no such word", "HIGH", 5, True, b"low", ["low"], "low\n")
    any_ = NO_TEXT | ANY_TEXT.map(lambda text: f"~{text}")
    return Wrong((*values, "x" * 10**6, *ALIENS), any_)


def flag() -> Wrong:
    """What is neither True nor False."""
    return Wrong((0, 1, "true", "", b"1", [True], *ALIENS), NUMBER | ANY_TEXT | ALIEN)


def mapping(*values: Any) -> Wrong:
    """What is no mapping, besides ``values``."""
    shape: tuple[Any, ...] = ("", "a", 5, True, [("a", "b")], HostileMapping(), *ALIENS)
    return Wrong((*shape, *values), NUMBER | ANY_TEXT | ALIEN | st.lists(ANY_TEXT))


def listed(inside: Wrong, most: int, *values: Any) -> Wrong:
    """What is no list of 1 to ``most`` good members, besides ``values``."""
    shape: tuple[Any, ...] = (
        "",
        "text",
        b"text",
        bytearray(b"x"),
        {},
        {"a": 1},
        [],
        (),
        Endless(),
        UserList(),
    )
    members = [[value] for value in (*inside.values, None)]
    longer = [[5] * (most + 1)]
    any_ = ANY_TEXT | NUMBER | ALIEN | st.lists(inside.any, min_size=1, max_size=3)
    return Wrong((*shape, 5, True, *ALIENS, *members, *longer, *values), any_)


UUIDS = Wrong(
    (
        *(
            "",
            "me",
            "x" * 36,
            "x" * 10**6,
            "0" * 32,
            "urn:uuid:12345678-1234-5678-1234-567812345678",
        ),
        *(7, True, b"12345678-1234-5678-1234-567812345678", ["a"], {}, *ALIENS),
    ),
    NO_TEXT | ANY_TEXT,
)
MODELS = Wrong(
    (
        *(
            "",
            " ",
            "a b",
            "a\n",
            "gpt\x00",
            "gpt\x1b[0m",
            "mödel",
            "\ud800",
            "x" * 101,
            "x" * 10**6,
        ),
        *("nosuch:model", "openai:", "openai:a b", ":gpt", "openai:" + "x" * 101),
        *(5, 0, True, b"gpt", ["gpt"], {}, *ALIENS),
    ),
    NO_TEXT | BROKEN_TEXT | st.text(min_size=1, max_size=9).map(lambda text: f"nosuch:{text}"),
)

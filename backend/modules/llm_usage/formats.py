"""Numbers, money and times as people read them. What is not known is a dash, never 0."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

UNKNOWN = "–"
_TENTH = 10  # per cent: digits behind the point say nothing any more
_STEPS = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))
_DIME = Decimal("0.1")
_SECOND, _MINUTE = 1_000, 60_000
_NARROW = "\u202f"  # a space at which no line ends
# What a terminal or a browser would obey, as pictures; and what turns other letters round.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"}
_SEEN: Mapping[int, int | str] = {**_CONTROLS, 0x7F: 0x2421, 0x202D: "[U+202D]", 0x202E: "[U+202E]"}


def money(amount: Decimal | float | None) -> str:
    """USD: two digits behind the point, and as many more as small amounts need."""
    if amount is None:
        return UNKNOWN
    value = Decimal(str(amount))
    if not value:
        return "$0"
    if abs(value) >= 1:
        return f"${value:,.2f}"
    if abs(value) >= _DIME:
        return f"${value:.2f}"
    return "$" + f"{value:.{min(2 - value.adjusted(), 9)}f}".rstrip("0").rstrip(".")


def number(count: float | None) -> str:
    """All digits, in groups."""
    return UNKNOWN if count is None else f"{count:,}"


def compact(count: float | None) -> str:
    """Three digits that count: 1.23M."""
    if count is None:
        return UNKNOWN
    for size, letter in _STEPS:
        if count >= size:
            digits = f"{count / size:.3g}"
            return f"{count / size:.0f}{letter}" if "e" in digits else f"{digits}{letter}"
    return f"{count:,.0f}"


def percent(part: float, whole: float) -> str:
    """A share; of nothing there is none."""
    if not whole:
        return UNKNOWN
    share = 100 * part / whole
    digits = f"{share:.0f}" if share >= _TENTH or not share else f"{share:.2g}"
    return f"{digits}{_NARROW}%"


def change(now: Decimal | float | None, before: Decimal | float | None) -> str | None:
    """How much more or less than before; ``None`` where there is nothing to compare with."""
    if now is None or not before:
        return None
    share = round(100 * (float(now) / float(before) - 1))
    if not share:
        return "as before"
    return f"{'▲' if share > 0 else '▼'} {abs(share):,}{_NARROW}%"


def duration(milliseconds: float | None) -> str:
    """Milliseconds, seconds or minutes."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < _SECOND:
        return f"{milliseconds:.0f} ms"
    if milliseconds < _MINUTE:
        return f"{milliseconds / _SECOND:.3g} s"
    minutes, rest = divmod(round(milliseconds / _SECOND), 60)
    return f"{minutes:,} min {rest} s"


def moment(when: datetime | None) -> str:
    """To the second, in UTC."""
    return UNKNOWN if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def visible(text: object) -> str:
    """Text whose control characters can be seen, and do nothing."""
    return str(text).translate(_SEEN)

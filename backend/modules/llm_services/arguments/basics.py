"""Checks that every kind of call shares: numbers, words, texts, ids.

Each takes the argument's name and value and returns what goes on, or raises `LLMInputError` that
names the argument, says what was wrong and what would be right.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeAlias, get_args
from uuid import UUID

from modules.llm_services.exceptions import LLMInputError

Check: TypeAlias = Callable[[str, Any], Any]

MAX_COUNT = 2**31 - 1


def sendable_text(name: str, value: object) -> str:
    """Text that can be sent: UTF-8 has no lone surrogates."""
    if not isinstance(value, str):
        raise LLMInputError(f"{name} must be a str, not {kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise LLMInputError(
            f"{name} holds a lone surrogate at position {error.start}, which UTF-8 cannot carry"
        ) from None
    return value


def uuid(name: str, value: object) -> UUID:
    """A UUID, or its exact text."""
    if isinstance(value, UUID):
        return value
    try:
        parsed = UUID(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != str(value).lower():
        raise LLMInputError(f"{name} must be a uuid.UUID or its text form, not {shown(value)}")
    return parsed


def number(low: float, high: float, *, above: bool = False) -> Check:
    """A finite number between two limits, the lower one left out when ``above``."""

    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or (above and value == low):
            limits = f"above {low:g} and at most" if above else f"from {low:g} to"
            raise LLMInputError(f"{name} must be a number {limits} {high:g}, not {shown(value)}")
        return float(value)

    return check


def whole(low: int, high: int) -> Check:
    """A whole number between two limits."""

    def check(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise LLMInputError(
                f"{name} must be a whole number from {low} to {high}, not {shown(value)}"
            )
        return value

    return check


def text(longest: int) -> Check:
    """Text that is not blank and not longer than its column."""

    def check(name: str, value: Any) -> str:
        if not sendable_text(name, value).strip() or len(value) > longest:
            raise LLMInputError(f"{name} must be text of 1 to {longest} characters")
        return str(value)

    return check


def one_of(words: Any) -> Check:
    """One of a few words."""
    known: tuple[str, ...] = get_args(words)

    def check(name: str, value: Any) -> str:
        if value not in known:
            raise LLMInputError(f"{name} must be one of {', '.join(known)}, not {shown(value)}")
        return str(value)

    return check


def day(name: str, value: object) -> date:
    """A day; a moment is none, for nobody knows in which zone its day is meant."""
    if not isinstance(value, date) or isinstance(value, datetime) or value == date.max:
        raise LLMInputError(f"{name} must be a datetime.date, not {shown(value)}")
    return value


def in_order(first_name: str, first: date, last_name: str, last: date) -> None:
    """The last day is not before the first."""
    if last < first:
        raise LLMInputError(f"{last_name} ({last}) must not be before {first_name} ({first})")


def kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def shown(value: object) -> str:
    return f"{text_of(value)!r:.60} ({kind(value)})" if value is not None else "None"


def text_of(value: object) -> str:
    """The value's text; a number of 5,000 digits and some objects have none."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything here
        return "…"

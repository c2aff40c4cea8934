"""Checks that every kind of call shares: numbers, words, texts, ids.

Each takes the argument's name and value and returns what goes on, or raises `LLMInputError` that
names the argument, says what was wrong and what would be right.
"""

import json
import re
import reprlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, ParamSpec, TypeAlias, TypeVar, get_args
from uuid import UUID

from modules.llm_services.bulk import lone_surrogate
from modules.llm_services.exceptions import LLMError, LLMInputError

Check: TypeAlias = Callable[[str, Any], Any]
P = ParamSpec("P")
T = TypeVar("T")

MAX_COUNT = 2**31 - 1
_SHOWN = 60
_SCALARS = (int, float, complex, UUID)
_JSON = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def guarded(argument: str, check: Callable[P, T], *said: P.args, **more: P.kwargs) -> T:
    """What a check says. An object of a caller's own class may raise anything when it is looked
    at: then its argument is wrong, like any other.
    """
    try:
        return check(*said, **more)
    except LLMError:
        raise
    except Exception as error:
        raise LLMInputError(
            f"{argument} cannot be read: it raises {type(error).__name__}"
        ) from error


def sendable_text(name: str, value: object, longest: int | None = None) -> str:
    """Text that can be sent, as a plain str: UTF-8 has no lone surrogates."""
    said = plain_text(value)
    if said is None:
        raise LLMInputError(f"{name} must be a str, not {kind(value)}")
    if longest is not None and len(said) > longest:
        raise LLMInputError(f"{name} must be text of at most {longest} characters, not {len(said)}")
    place = lone_surrogate(said)
    if place >= 0:
        raise LLMInputError(
            f"{name} must be text that UTF-8 can carry; it holds a lone surrogate at position "
            f"{place}"
        )
    return said


def items(name: str, value: object, most: int, what: str) -> tuple[Any, ...]:
    """The members of a list, a tuple or another sequence; never more than are taken of one that
    has no end.
    """
    if isinstance(value, str | bytes | bytearray | memoryview) or not isinstance(value, Sequence):
        raise LLMInputError(f"{name} must be a list of {what}, not {kind(value)}")
    found = tuple(islice(value, most + 1))
    if not found:
        raise LLMInputError(f"{name} is empty: give 1 to {most} {what}")
    if len(found) > most:
        raise LLMInputError(f"{name} has {len(value)} entries; at most {most} are taken")
    return found


def uuid(name: str, value: object) -> UUID:
    """A UUID, or its exact text."""
    if isinstance(value, UUID):
        return value
    said = plain_text(value) or ""
    try:
        parsed = UUID(said)
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != said.lower():
        raise LLMInputError(f"{name} must be a uuid.UUID or its text form, not {shown(value)}")
    return parsed


def plain_text(value: object) -> str | None:
    """A str without what a subclass makes of it; ``None`` for everything else."""
    return str.__str__(value) if isinstance(value, str) else None


def plain_number(value: object) -> float | None:
    """An int or a float, likewise; truth values only count as numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else None


def number(low: float, high: float, *, above: bool = False) -> Check:
    """A finite number between two limits, the lower one left out when ``above``."""

    def check(name: str, value: Any) -> float:
        said = plain_number(value)
        if said is None or not low <= said <= high or (above and said == low):
            limits = f"above {low:g} and at most" if above else f"from {low:g} to"
            raise LLMInputError(f"{name} must be a number {limits} {high:g}, not {shown(value)}")
        return float(said)

    return check


def whole(low: int, high: int) -> Check:
    """A whole number between two limits."""

    def check(name: str, value: Any) -> int:
        said = plain_number(value)
        if not isinstance(said, int) or not low <= said <= high:
            raise LLMInputError(
                f"{name} must be a whole number from {low} to {high}, not {shown(value)}"
            )
        return said

    return check


def text(longest: int) -> Check:
    """Text that is not blank and not longer than its column."""

    def check(name: str, value: Any) -> str:
        said = sendable_text(name, value)
        if len(said) > longest or not said.strip():
            found = len(said) if said.strip() else "blank"
            raise LLMInputError(f"{name} must be text of 1 to {longest} characters, not {found}")
        return said

    return check


def label(longest: int) -> Check:
    """Text on one line: it is looked for, listed and logged."""

    def check(name: str, value: Any) -> str:
        said = str(text(longest)(name, value))
        if _CONTROL.search(said):
            raise LLMInputError(f"{name} must be one line of text, not {shown(said)}")
        return said

    return check


def one_of(words: Any) -> Check:
    """One of a few words."""
    known: tuple[str, ...] = get_args(words)

    def check(name: str, value: Any) -> str:
        said = plain_text(value)
        if said is None or said not in known:
            raise LLMInputError(f"{name} must be one of {', '.join(known)}, not {shown(value)}")
        return said

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


def check_json(name: str, value: object, most: int) -> None:
    """Raise unless it is plain JSON of at most so many bytes; what is longer is not read on."""
    size = 0
    try:
        for piece in _JSON.iterencode(value):
            size += len(piece.encode())
            if size > most:
                raise LLMInputError(f"{name} is over {most} bytes of JSON, the most that is taken")
    except (TypeError, ValueError, RecursionError) as error:
        raise LLMInputError(f"{name} must hold plain JSON values ({error!s:.200})") from None


def kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def shown(value: object) -> str:
    return f"{text_of(value)!r:.{_SHOWN}} ({kind(value)})" if value is not None else "None"


def text_of(value: object) -> str:
    """The beginning of the value's text; a number of 5,000 digits and some objects have none."""
    if isinstance(value, str):
        return str.__str__(value)[: _SHOWN + 1]
    if isinstance(value, bytes | bytearray | memoryview):
        return str(bytes(value[:_SHOWN]))
    try:
        return str(value) if isinstance(value, _SCALARS) else reprlib.repr(value)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything here
        return "…"

"""Whether an answer may be one that was given before, and which answers shall be forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

from modules.llm_services.exceptions import LLMInputError

from .basics import kind, number, text, uuid

_LONGEST = 31_536_000  # a year of seconds


def cache(name: str, value: Any) -> bool | float:
    """Yes, no, or how many seconds an answer may be old."""
    if isinstance(value, bool):
        return value
    try:
        seconds: float = number(0, _LONGEST, above=True)(name, value)
    except LLMInputError as error:
        raise LLMInputError(f"{error.message}; or True, or False") from None
    return seconds


def moment(name: str, value: Any) -> datetime:
    """A time with its zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise LLMInputError(f"{name} must be a datetime with a zone, such as datetime.now(UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise LLMInputError(f"{name} lies outside the years 1 to 9999 in UTC") from None


def forgotten(
    model: object, feature: object, user_id: object, tenant: object, older_than: object
) -> dict[str, Any]:
    """Which entries are meant, by the names of what was given."""
    given = {"model": model, "feature": feature, "tenant": tenant}
    longest = {"model": 150, "feature": 64, "tenant": 64}
    said = {
        name: text(longest[name])(name, value) for name, value in given.items() if value is not None
    }
    if user_id is not None:
        said["user"] = str(uuid("user_id", user_id))
    if older_than is not None:
        said["older_than"] = _age("older_than", older_than)
    return said


def _age(name: str, value: object) -> float:
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise LLMInputError(f"{name} must be a timedelta that is not negative, not {kind(value)}")
    return value.total_seconds()

"""The days that a page is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from .exceptions import PageError

CHOICES = (1, 7, 30, 90)
LONGEST = 366
_DAY = timedelta(days=1)
_FIRST, _LAST = date(2000, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days of UTC, both included. ``asked`` is what the address says, to say it again."""

    first: date
    last: date
    asked: Mapping[str, str]

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def since(self) -> datetime:
        """When it begins."""
        return _midnight(self.first)

    @property
    def until(self) -> datetime:
        """When it is over; that may be still to come."""
        return _midnight(self.last + _DAY)

    @property
    def previous(self) -> tuple[datetime, datetime]:
        """As long a time just before it, up to the same time of day where this one is not over."""
        end = min(self.until, datetime.now(UTC))
        length = _DAY * self.days
        return self.since - length, end - length

    def every_day(self) -> list[date]:
        """Its days in order."""
        return [self.first + _DAY * number for number in range(self.days)]


def window_of(query: Mapping[str, str], days: int = 30) -> Window:
    """What an address asks for: ``days=7``, or ``from=2026-11-01&to=2026-11-22``, else ``days``.

    Raises `PageError` for what makes no sense.
    """
    today = datetime.now(UTC).date()
    if query.get("from") or query.get("to"):
        last = _day("to", query.get("to")) or today
        first = _day("from", query.get("from")) or last - _DAY * (days - 1)
        return _checked(Window(first, last, {"from": f"{first}", "to": f"{last}"}))
    days = _number(query.get("days") or str(days))
    return Window(today - _DAY * (days - 1), today, {"days": str(days)})


def _number(text: str) -> int:
    if text.isdecimal() and len(text) <= len(str(LONGEST)) and 1 <= int(text) <= LONGEST:
        return int(text)
    raise PageError(f"days must be a number from 1 to {LONGEST}.")


def _day(name: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise PageError(f"{name} must be a day like 2026-11-22.") from None
    if not _FIRST <= day <= _LAST:
        raise PageError(f"{name} must lie between {_FIRST} and {_LAST}.")
    return day


def _checked(window: Window) -> Window:
    if window.last < window.first:
        raise PageError(f"from ({window.first}) must not be after to ({window.last}).")
    if window.days > LONGEST:
        raise PageError(f"A page shows {LONGEST} days at most, not {window.days}.")
    return window


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

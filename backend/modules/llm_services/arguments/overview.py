"""What operators ask for: filters, windows of time, cursors, and what to split sums by."""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, get_args
from uuid import UUID

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import RequestStatus
from modules.llm_services.types.paging import Position, RequestFilter
from modules.llm_services.types.usage_report import UsageDimension, UsageOrder

from .basics import Check, guarded, kind, one_of, plain_text, shown, text, uuid, whole

MAX_PAGE = 200
MAX_GROUPS = 10_000
MAX_MODELS = 100
MOST_EXACT = 100_000
"""Rows from which exact percentiles are made; more are too many to read at once."""
_WINDOW = timedelta(days=30)
_LONGEST_CURSOR = 200
_DIMENSIONS: tuple[str, ...] = get_args(UsageDimension)

page_size: Check = whole(1, MAX_PAGE)
group_limit: Check = whole(1, MAX_GROUPS)
exact_limit: Check = whole(0, MOST_EXACT)
usage_order: Check = one_of(UsageOrder)


def cursor(value: object) -> Position | None:
    """The position behind a page, as its ``next_cursor`` says it; ``None`` is the beginning."""
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= _LONGEST_CURSOR:
        try:
            at, _, row_id = urlsafe_b64decode(value).decode().partition("|")
            datetime.fromisoformat(at)
            return Position(at, UUID(row_id))
        except ValueError:
            pass
    raise LLMInputError(f"after must be a page's next_cursor, not {shown(value)}")


def moment(name: str, value: object) -> datetime:
    """An aware time; a day stands for its midnight in UTC."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise LLMInputError(f"{name} has no time zone: say datetime.now(UTC), for example")
        return _in_utc(name, value)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise LLMInputError(f"{name} must be an aware datetime or a date, not {shown(value)}")


def _in_utc(name: str, value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise LLMInputError(f"{name} lies outside the years 1 to 9999 in UTC") from None


def window(since: object, until: object) -> tuple[datetime, datetime]:
    """From ``since`` (30 days before, at midnight) until just before ``until`` (now)."""
    end = datetime.now(UTC) if until is None else moment("until", until)
    if since is not None:
        start = moment("since", since)
    elif end - datetime.min.replace(tzinfo=UTC) < _WINDOW:
        raise LLMInputError("until is too early for a window of 30 days: give since")
    else:
        start = datetime.combine((end - _WINDOW).date(), time(), UTC)
    _check_order(start, end)
    return start, end


def _check_order(since: datetime, until: datetime, of: str = "") -> None:
    if until < since:
        raise LLMInputError(
            f"{of}until ({until:%F %T}) must not be before {of}since ({since:%F %T})"
        )


def days(from_day: object, to_day: object) -> tuple[date | None, date | None]:
    """The first and the last day to make anew, both included."""
    first, last = (_day("from_day", from_day), _day("to_day", to_day))
    if first and last and last < first:
        raise LLMInputError(f"to_day ({last}) must not be before from_day ({first})")
    return first, last


def _day(name: str, value: object) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise LLMInputError(f"{name} must be a date, not {shown(value)}")


def request_filter(value: object, name: str = "wanted") -> RequestFilter:
    """A filter whose every part is what it says, its times in UTC."""
    if value is None:
        return RequestFilter()
    if not isinstance(value, RequestFilter):
        raise LLMInputError(f"{name} must be a RequestFilter, not {kind(value)}")
    given = {field.name: getattr(value, field.name) for field in fields(RequestFilter)}
    checked = {
        part: guarded(f"{name}.{part}", _FILTER[part], f"{name}.{part}", said)
        for part, said in given.items()
        if said is not None
    }
    if "since" in checked and "until" in checked:
        _check_order(checked["since"], checked["until"], f"{name}.")
    return replace(value, **checked)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise LLMInputError(f"{name} must be True or False, not {shown(value)}")
    return value


def _status(name: str, value: Any) -> str:
    said = plain_text(value)
    if said not in tuple(RequestStatus):
        known = ", ".join(RequestStatus)
        raise LLMInputError(f"{name} must be one of {known}, not {shown(value)}")
    return str(said)


def findable(longest: int) -> Check:
    """Text as a database may hold it."""

    def check(name: str, value: Any) -> str:
        if "\x00" in (found := text(longest)(name, value)):
            raise LLMInputError(f"{name} holds a NUL character, which no row can")
        return str(found)

    return check


conversation: Check = findable(64)
_FILTER: dict[str, Check] = {
    "status": _status,
    "error_type": findable(100),
    "user_id": uuid,
    "tenant": findable(64),
    "feature": findable(64),
    "conversation_id": conversation,
    "provider": findable(50),
    "model": findable(100),
    "operation": findable(32),
    "trace_id": findable(32),
    "cached": _flag,
    "maybe_paid": _flag,
    "since": moment,
    "until": moment,
    "text": findable(200),
}


def dimensions(value: object) -> tuple[str, ...]:
    """What sums are split by: one word, or several in order."""
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, Sequence) or not 1 <= len(words) <= len(_DIMENSIONS):
        raise LLMInputError(f"by must be one or more of {', '.join(_DIMENSIONS)}")
    checked = tuple(one_of(UsageDimension)("by", word) for word in words)
    if len(set(checked)) < len(checked):
        raise LLMInputError(f"by names something twice: {', '.join(checked)}")
    return checked


def model_patterns(value: object) -> tuple[str, ...]:
    """Names of models, in which ``*`` and ``?`` stand for any text and any character."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not 1 <= len(names) <= MAX_MODELS:
        raise LLMInputError(f"models must be 1 to {MAX_MODELS} names or patterns of models")
    return tuple(findable(100)(f"models[{index}]", name) for index, name in enumerate(names))

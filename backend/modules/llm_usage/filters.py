"""The request browser's filters: from an address to what the ledger is asked."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from modules.llm_services.public import RequestFilter

from .exceptions import PageError
from .windows import window_of

DAYS = 7
"""Shown unless the address says otherwise: rare things are looked for row by row."""
STATUSES = ("completed", "failed", "cancelled", "pending")
_TEXTS = (
    *("status", "error_type", "provider", "model", "feature", "tenant", "operation"),
    *("conversation_id", "trace_id", "text"),
)
_FLAGS = ("cached", "maybe_paid")
FIELDS = (*_TEXTS, "user_id", *_FLAGS)
_ALWAYS_SEEN = frozenset({"status", "error_type", "model", "feature", "text"})
_BOUNDED = frozenset({"conversation_id", "user_id"})  # these have indexes: all of them are shown


def filter_of(query: Mapping[str, str]) -> RequestFilter:
    """What an address asks for. Empty fields ask for nothing. Raises `PageError`."""
    given = {name: value for name in FIELDS if (value := query.get(name, "").strip())}
    found: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    found |= {name: _flag(name, given[name]) for name in _FLAGS if name in given}
    if "user_id" in given:
        found["user_id"] = _uuid(given["user_id"])
    if not (_BOUNDED & given.keys() and not _names_days(query)):
        window = window_of(query, DAYS)
        found |= {"since": window.since, "until": window.until}
    return RequestFilter(**found)


def asks_for_more(query: Mapping[str, str]) -> bool:
    """Whether a field is filled in that a form need not show at once."""
    names = ({*FIELDS} - _ALWAYS_SEEN) | {"from", "to"}
    return any(query.get(name) for name in names)


def _names_days(query: Mapping[str, str]) -> bool:
    return any(query.get(name) for name in ("days", "from", "to"))


def _flag(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise PageError(f"{name} must be true or false.")
    return text == "true"


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise PageError("user_id must be a UUID.") from None

"""One request as its page shows it. What is stored may be older than we are, odd, or huge."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from modules.llm_services.public import LLMRequestDTO

LONGEST = 20_000
MOST_MESSAGES = 200
MOST_ATTEMPTS = 200
_NARROWEST = 0.6  # per cent: an attempt of a millisecond can still be seen


@dataclass(frozen=True, slots=True)
class Text:
    """A text, cut where it gets too long for a page; ``more`` characters are left out."""

    shown: str
    more: int = 0
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One message: who says what."""

    role: str
    name: str | None
    texts: Sequence[Text]


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """An HTTP request on the time line; ``start`` and ``width`` are per cent of the whole."""

    number: str
    model: str | None
    outcome: str
    http_status: str | None
    ms: float | None
    start: float
    width: float
    provider_request_id: str | None
    usage: Mapping[str, Any]
    maybe_paid: bool


def text_of(value: object) -> Text:
    """A text, or anything else as JSON."""
    is_code = not isinstance(value, str)
    whole = as_json(value) if is_code else str(value)
    return Text(whole[:LONGEST], max(len(whole) - LONGEST, 0), is_code)


def as_json(value: object) -> str:
    """Indented JSON; what JSON does not know, as it prints."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def messages_of(row: LLMRequestDTO) -> list[Said]:
    """The first messages, as many as a page can take."""
    return [_said(message) for message in (row.messages or ())[:MOST_MESSAGES]]


def _said(message: object) -> Said:
    if not isinstance(message, Mapping):
        return Said("unknown", None, [text_of(message)])
    name = message.get("name")
    return Said(str(message.get("role") or "unknown"), name and str(name), [*_texts(message)])


def _texts(message: Mapping[str, Any]) -> Iterator[Text]:
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        if part not in (None, ""):
            yield text_of(_words(part))
    rest = {key: value for key, value in message.items() if value and key not in _SHOWN}
    if rest:
        yield text_of(rest)


_SHOWN = frozenset({"role", "name", "content"})


def _words(part: object) -> object:
    """A part of a message that is only text, as that text."""
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return part["text"]
    return part


def attempts_of(row: LLMRequestDTO) -> list[AttemptLine]:
    """The HTTP requests of a call on one line of time."""
    entries = [*filter(_is_entry, row.attempts or ())][:MOST_ATTEMPTS]
    spans = [_span(row, entry) for entry in entries]
    end = max((start + ms for start, ms in spans), default=0.0)
    whole = max(end, float(row.execution_time_ms or 0), 1.0)
    return [_line(entry, *span, whole) for entry, span in zip(entries, spans, strict=True)]


def _is_entry(value: object) -> bool:
    """An older engine may have written anything."""
    return isinstance(value, Mapping)


def _span(row: LLMRequestDTO, entry: Mapping[str, Any]) -> tuple[float, float]:
    """Milliseconds from the row's beginning, and how long."""
    try:
        began = datetime.fromisoformat(str(entry.get("started_at")))
        start = (began - row.created_at).total_seconds() * 1000
    except (TypeError, ValueError):
        start = 0.0
    return max(start, 0.0), _number(entry.get("ms")) or 0.0


def _line(entry: Mapping[str, Any], start: float, ms: float, whole: float) -> AttemptLine:
    width = max(100 * ms / whole, _NARROWEST)
    usage = entry.get("usage")
    return AttemptLine(
        number=_text(entry.get("n")) or "?",
        model=_text(entry.get("model")),
        outcome=_text(entry.get("outcome")) or "unknown",
        http_status=_text(entry.get("http_status")),
        ms=_number(entry.get("ms")),
        start=round(min(100 * start / whole, 100 - width), 2),
        width=round(width, 2),
        provider_request_id=_text(entry.get("provider_request_id")),
        usage=usage if isinstance(usage, Mapping) else {},
        maybe_paid=entry.get("maybe_paid") is True,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def costs_of(row: LLMRequestDTO) -> list[tuple[str, Decimal]]:
    """USD by token class, dearest first."""
    found = [(str(name), _usd(amount)) for name, amount in (row.cost_details or {}).items()]
    known = [(name, usd) for name, usd in found if usd is not None]
    return sorted(known, key=lambda item: -item[1])


def _usd(amount: object) -> Decimal | None:
    try:
        usd = Decimal(str(amount))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() else None

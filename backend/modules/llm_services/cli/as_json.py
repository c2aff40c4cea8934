"""What is shown, as JSON: money as strings, times in UTC, ids as text."""

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import singledispatch
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.public import LLMError

VERSION = 1
"""Of the answers' shape: fields may join it, none is renamed or taken away."""
_MONEY = re.compile(r"(^|_)(cost|usd)(_|$)")
_ACTING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def answer(kind: str, data: object, **more: object) -> str:
    """One line: ``{"version": 1, "kind": …, "data": …}``."""
    return dumped({"version": VERSION, "kind": kind, "data": data, **more})


def dumped(value: object) -> str:
    """One line, with nothing in it that a terminal would obey."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(value: Any) -> Any:
    """The value in words of JSON."""
    return _plain(value)


@singledispatch
def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _fields({one.name: getattr(value, one.name) for one in dataclasses.fields(value)})
    return value


@_plain.register
def _model(value: BaseModel) -> Any:
    return _fields({name: getattr(value, name) for name in type(value).model_fields})


@_plain.register
def _fields(value: Mapping) -> Any:  # type: ignore[type-arg]  # singledispatch takes no generics
    return {
        str(name): _money(item) if _MONEY.search(str(name)) else plain(item)
        for name, item in value.items()
    }


@_plain.register(list)
@_plain.register(tuple)
@_plain.register(set)
@_plain.register(frozenset)
def _items(value: Iterable[Any]) -> Any:
    return [plain(item) for item in value]


@_plain.register
def _float(value: float) -> Any:
    return value if math.isfinite(value) else None


@_plain.register
def _exact(value: Decimal) -> str:
    return f"{value:f}"


@_plain.register
def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@_plain.register
def _day(value: date) -> str:
    return value.isoformat()


@_plain.register(UUID)
@_plain.register(Path)
def _text(value: object) -> str:
    return str(value)


@_plain.register
def _error(value: LLMError) -> Any:
    return {
        "class": type(value).__name__,
        "error_type": value.error_type,
        "message": value.message,
        "retryable": value.retryable,
        "request_id": plain(value.request_id),
    }


def _money(value: Any) -> Any:
    """USD as text: what a double cannot hold exactly shall not be one in the reader's hands."""
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    return usd(value) if is_number else plain(value)


def usd(value: float | Decimal) -> str:
    """An amount as decimal text, never with an exponent."""
    return f"{value if isinstance(value, Decimal) else Decimal(repr(value)):f}"

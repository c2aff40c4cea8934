"""The fault grammar: a comma-separated list of words, each alone or `word=value`.

It stands behind a colon after the model's name or in the header `X-Sandbox-Fault`; the package's
docstring lists the words. A word that nobody knows is refused, so that a typing error can't pass
for a success.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sandbox.likeness import LIKENESSES
from sandbox.wire import ApiError, Json

FAULT_MODEL = "sandbox-fault"
FAULT_HEADER = "x-sandbox-fault"
_REMEMBERED_KEYS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What shall go wrong with one request; the default is nothing."""

    slow: float = 0.0
    status: int = 0
    code: str = ""
    times: int | None = None
    retry_after: str = ""
    retry_after_ms: str = ""
    retry_after_date: int | None = None
    should_retry: str = ""
    drop: bool = False
    html: bool = False
    garbage: bool = False
    empty_body: bool = False
    refuse: bool = False
    filter: bool = False
    truncate: bool = False
    failed: bool = False
    empty: bool = False
    invalid_json: bool = False
    broken_json: bool = False
    no_usage: bool = False
    wrong_model: bool = False
    cached: int = 0
    cost: float | None = None
    cut: int | None = None
    sever: int | None = None
    stream_error: bool = False
    drip: float = 0.0
    batch: str = ""
    like: str = ""


NO_FAULT = Fault()


def _flag(text: str) -> bool:
    return text in {"", "1", "true", "yes"}


def _end_of_batch(text: str) -> str:
    if text not in {"expired", "cancelled", "failed"}:
        raise ValueError(text)
    return text


def _vendor(text: str) -> str:
    if text not in LIKENESSES:
        raise ValueError(text)
    return text


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    """Seconds, or dollars: neither is negative, nor in the thousands."""
    value = float(text)
    if not 0 <= value <= 3600:  # noqa: PLR2004 - an hour is longer than any deadline under test
        raise ValueError(text)
    return value


_READERS: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("slow", "drip", "cost"), _seconds),
    **dict.fromkeys(("status", "times", "retry_after_date", "cached", "cut", "sever"), _whole),
    "batch": _end_of_batch,
    "like": _vendor,
    **dict.fromkeys(("code", "retry_after", "retry_after_ms", "should_retry"), str),
}
WORDS = tuple(Fault.__dataclass_fields__)


def parse(spec: str) -> Fault:
    """Read a fault; raises `ApiError` 400 `invalid_sandbox_fault` for a word or value unknown."""
    values: Json = {}
    for item in filter(None, (part.strip() for part in spec.split(","))):
        word, _, value = item.partition("=")
        values[word] = _value(word, value)
    return replace(NO_FAULT, **values)


def _value(word: str, value: str) -> object:
    if word not in WORDS:
        raise _invalid(f"Unknown sandbox fault '{word}'. Known: {', '.join(WORDS)}.")
    try:
        return _READERS.get(word, _flag)(value)
    except ValueError:
        raise _invalid(f"Sandbox fault '{word}' can't be '{value}'.") from None


def _invalid(message: str) -> ApiError:
    return ApiError(400, message, param="model", code="invalid_sandbox_fault")


def split_model(name: str) -> tuple[str, str]:
    """The model proper and its fault: `gpt-6-luna:slow=1` gives `("gpt-6-luna", "slow=1")`.

    A colon may also belong to the name (`ft:gpt-4o:acme::id`): what follows the first colon is a
    fault only if it begins with a fault's word or looks like `word=`.
    """
    model, colon, rest = name.partition(":")
    head, equals, _ = rest.split(",")[0].partition("=")
    if colon and (model == FAULT_MODEL or equals or head in WORDS):
        return model, rest
    return name, ""


class Counters:
    """How often each call has been seen, for `times=N`; bounded, oldest forgotten first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def now_active(self, fault: Fault, key: str) -> Fault:
        """The fault for this request of `key`: itself the first `times` times, then none."""
        if fault.times is None:
            return fault
        with self._lock:
            seen = self._seen.pop(key, 0) + 1
            self._seen[key] = seen
            if len(self._seen) > _REMEMBERED_KEYS:
                self._seen.popitem(last=False)
        return fault if seen <= fault.times else NO_FAULT

    def reset(self) -> None:
        """Forget every call."""
        with self._lock:
            self._seen.clear()


def call_key(spec: str, path: str, client_request_id: str | None, body: Json) -> str:
    """What makes two requests the same call: the client's id, else how the prompt begins.

    Only the beginning, since a re-ask repeats the first messages and adds to the end.
    """
    if client_request_id:
        return f"{spec}|{path}|{client_request_id}"
    prompt = body.get("messages") or body.get("input") or body.get("prompt") or ""
    first = prompt[0] if isinstance(prompt, list) and prompt else prompt
    digest = hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()
    return f"{spec}|{path}|{digest}"

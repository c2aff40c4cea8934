"""Who asked what: a bounded record of every request, without bodies, headers or keys."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from sandbox.tokens import Usage
from sandbox.wire import Json

CAPACITY = 20_000
"""Requests that are remembered; `total` counts on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One request. `outcome` is `pending` until the reply has left; `at` is ISO 8601 in UTC."""

    n: int
    at: str
    path: str
    client_request_id: str | None = None
    model: str | None = None
    status: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    outcome: str = "pending"


class Journal:
    """The record; safe to read from another thread than the server's."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._entries: OrderedDict[int, JournalEntry] = OrderedDict()
        self._capacity = capacity
        self._next = 1
        self._total = 0
        self._lock = threading.Lock()

    def open(self, path: str, client_request_id: str | None) -> int:
        """Note an arrival and give its number."""
        with self._lock:
            n, self._next, self._total = self._next, self._next + 1, self._total + 1
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._entries[n] = JournalEntry(
                n=n, at=at, path=path, client_request_id=client_request_id
            )
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
            return n

    def note(
        self,
        n: int,
        *,
        model: str | None = None,
        status: int | None = None,
        tokens: Usage | None = None,
        outcome: str | None = None,
    ) -> None:
        """Complete an entry; `None` leaves a field as it is, a forgotten entry stays forgotten."""
        with self._lock:
            entry = self._entries.get(n)
            if entry is None:
                return
            self._entries[n] = replace(
                entry,
                model=entry.model if model is None else model,
                status=entry.status if status is None else status,
                prompt_tokens=tokens.prompt if tokens else entry.prompt_tokens,
                completion_tokens=tokens.completion if tokens else entry.completion_tokens,
                outcome=outcome or entry.outcome,
            )

    def entries(self) -> list[JournalEntry]:
        """All remembered requests, oldest first."""
        with self._lock:
            return list(self._entries.values())

    def reset(self) -> None:
        """Forget everything. Numbers go on, so that a late note can't hit a new entry."""
        with self._lock:
            self._entries.clear()
            self._total = 0

    def as_json(self) -> Json:
        """The body of `GET /sandbox/journal`."""
        entries = self.entries()
        return {"requests": [asdict(e) for e in entries], "total": self._total}

"""One HTTP request to a provider: what it was asked, how it ended, what it took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from modules.llm_services.exceptions import LLMError
from modules.llm_services.pricing import Price, PriceList
from modules.llm_services.providers.base import Reply
from modules.llm_services.types import Call, JsonObject, Usage

ANSWERED, PENDING = "answered", "pending"


@dataclass(slots=True, kw_only=True)
class AttemptRecord:
    """One HTTP request to a provider and how it ended. ``part`` is which one of a call in parts."""

    number: int
    provider: str
    model: str
    started_at: datetime
    started: float
    outcome: str = PENDING
    milliseconds: int | None = None
    http_status: int | None = None
    provider_request_id: str | None = None
    usage: Usage | None = None
    maybe_paid: bool = False
    price: Price | None = None
    part: int | None = None

    def answered(self, reply: Reply) -> None:
        """The provider answered and the answer is usable."""
        self._ended(ANSWERED)
        self.http_status = reply.http_status
        self.provider_request_id = reply.provider_request_id
        self.usage = reply.usage

    def failed(self, error: LLMError) -> None:
        """The provider failed, or answered something that cannot be used."""
        self._ended(error.error_type)
        self.http_status = error.status_code
        self.provider_request_id = error.provider_request_id
        self.usage = error.usage
        self.maybe_paid = error.maybe_billed

    def interrupted(self) -> None:
        """Cancelled while the provider was at work: it may have answered, and charged."""
        self._ended("Cancelled")
        self.maybe_paid = True

    def price_by(self, prices: PriceList, call: Call, reply: Reply | None = None) -> None:
        """What its tokens cost; without tokens there is nothing to price.

        An answer that could not be used does not say in which service tier it was made: it is
        taken to be the one that was asked for.
        """
        if self.usage is None:
            return
        asked_tier = call.parameters.get("service_tier")
        self.price = prices.price(
            self.provider,
            self.model,
            self.usage,
            self.started_at,
            response_model=reply.model if reply else None,
            service_tier=reply.service_tier if reply else asked_tier,
        )

    @property
    def is_unpriced_answer(self) -> bool:
        """An answer that was used, and nobody knows what it cost."""
        priced = self.price is not None and self.price.total is not None
        return self.outcome == ANSWERED and not priced

    def _ended(self, outcome: str) -> None:
        self.outcome = outcome
        self.milliseconds = milliseconds_since(self.started)

    def as_json(self) -> JsonObject:
        """The entry in the row's ``attempts``."""
        return {
            "n": self.number,
            "provider": self.provider,
            "model": self.model,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "ms": self.milliseconds,
            "outcome": self.outcome,
            "http_status": self.http_status,
            "provider_request_id": self.provider_request_id,
            "usage": self.usage.as_dict() if self.usage else None,
            "cost": None
            if self.price is None or self.price.total is None
            else float(self.price.total),
            "maybe_paid": self.maybe_paid,
            **({} if self.part is None else {"part": self.part}),
        }


def milliseconds_since(started: float) -> int:
    """Since a time of `time.monotonic`."""
    return round((time.monotonic() - started) * 1000)

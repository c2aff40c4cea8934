"""What happened to one call, kept while it is open: its attempts, its tokens, its money."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from modules.llm_services.exceptions import LLMError
from modules.llm_services.pricing import Price
from modules.llm_services.providers.base import Reply
from modules.llm_services.redaction import safe_error_text
from modules.llm_services.types import Call, JsonObject, RequestStatus, Usage
from modules.llm_services.types.budgets import Reservation

from .attempt import ANSWERED, PENDING, AttemptRecord, milliseconds_since

if TYPE_CHECKING:
    from modules.llm_services.telemetry.observation import Observation

_NOTHING = Usage(prompt_tokens=0, completion_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHit:
    """That an answer was given before: the row that paid for it, and what it cost in USD."""

    source_id: UUID
    saved: Decimal | None


@dataclass(slots=True)
class CallRecord:
    """One call from its first row to its last."""

    call: Call
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    attempts: list[AttemptRecord] = field(default_factory=list)
    status: RequestStatus = RequestStatus.PENDING
    reply: Reply | None = None
    replies: Sequence[Reply | LLMError] = ()
    error: LLMError | None = None
    first_token_ms: int | None = None
    partial_text: str | None = None
    usage_is_estimated: bool = False
    shortfall: str | None = None
    cache_key: str | None = None
    hit: CacheHit | None = None
    reservation: Reservation | None = None
    observation: Observation | None = None
    requests_covered: int = 1

    def begin_attempt(self, part: int | None = None, asked: Call | None = None) -> AttemptRecord:
        """Note that another HTTP request is about to be sent: of the call, or as another model is
        ``asked`` it.
        """
        asked = asked or self.call
        attempt = AttemptRecord(
            number=len(self.attempts) + 1,
            provider=asked.provider,
            model=asked.model,
            started_at=datetime.now(UTC),
            started=time.monotonic(),
            part=part,
        )
        self.attempts.append(attempt)
        return attempt

    def completed(self, reply: Reply) -> None:
        """The call ended with an answer."""
        self._settle(RequestStatus.COMPLETED)
        self.reply, self.replies = reply, (reply,)

    def completed_in_parts(self, outcomes: Sequence[Reply | LLMError]) -> None:
        """The call ended with several answers; the row shows the first and the sum of all, and
        says which parts have none.
        """
        replies = [one for one in outcomes if isinstance(one, Reply)]
        text = "\n\n".join(reply.text for reply in replies if reply.text)
        raw: JsonObject = {"parts": [_raw(one) for one in outcomes]}
        self.completed(replace(replies[0], text=text, raw=raw, usage_details=_details(outcomes)))
        self.replies = tuple(outcomes)
        errors = [(n, one) for n, one in enumerate(outcomes, 1) if isinstance(one, LLMError)]
        if errors:
            told = "; ".join(f"part {n}: {_told(error)}" for n, error in errors)
            said = f"{len(errors)} of {len(outcomes)} parts failed: {told}"
            self.shortfall = safe_error_text(said)

    def failed(self, error: LLMError) -> None:
        """The call ended with an error, which learns whose row it is and what it cost."""
        if not self._settle(RequestStatus.FAILED):
            return
        self.error = error
        error.request_id = self.call.id
        error.provider = error.provider or self.model[0]
        error.model = error.model or self.model[1]
        error.usage, error.cost = self.usage, self.cost
        error.maybe_billed = self.maybe_paid

    def cancelled(self) -> None:
        """The caller went away."""
        self._settle(RequestStatus.CANCELLED)

    def _settle(self, status: RequestStatus) -> bool:
        """The first word about an outcome is the last."""
        first = self.status is RequestStatus.PENDING
        if first:
            self.status = status
        return first

    def first_token(self) -> None:
        """The first piece of a stream has come."""
        self.first_token_ms = self.milliseconds

    @property
    def model(self) -> tuple[str, str]:
        """Provider and model that answered; while none has, those that were asked last."""
        if not self.call.fallback or not self.attempts:
            return self.call.provider, self.call.model
        answers = [one for one in self.attempts if one.outcome == ANSWERED]
        last = (answers or self.attempts)[-1]
        return last.provider, last.model

    @property
    def fallback_from(self) -> str | None:
        """The model that would have answered, when another one was asked in its place."""
        own = (self.call.provider, self.call.model)
        return None if self.model == own else ":".join(own)

    @property
    def usage(self) -> Usage | None:
        """Tokens of all attempts that reported them; ``None`` when none did, 0 when no attempt was
        needed.
        """
        if self.hit is not None:
            return _NOTHING
        reported = [attempt.usage for attempt in self.attempts if attempt.usage is not None]
        return sum(reported[1:], reported[0]) if reported else None

    @property
    def cost(self) -> Decimal | None:
        """USD of all attempts whose price is known; ``None`` when none is, or when an answer that
        was used has no known price: too low a sum would be worse than none. 0 from the cache.
        """
        if self.hit is not None:
            return Decimal(0)
        if any(attempt.is_unpriced_answer for attempt in self.attempts):
            return None
        known = [price.total for price in self._prices if price.total is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def _prices(self) -> list[Price]:
        return [attempt.price for attempt in self.attempts if attempt.price is not None]

    @property
    def last_price(self) -> Price | None:
        """Says where the price came from: the last one that is known, if any is."""
        prices = self._prices
        known = [price for price in prices if price.total is not None] or prices
        return known[-1] if known else None

    @property
    def cost_details(self) -> dict[str, str] | None:
        """USD by token class over all attempts, as decimal strings."""
        totals: dict[str, Decimal] = {}
        for price in self._prices:
            for name, amount in (price.details or {}).items():
                totals[name] = totals.get(name, Decimal(0)) + Decimal(amount)
        return {name: str(amount) for name, amount in totals.items()} or None

    @property
    def maybe_paid(self) -> bool:
        """Whether an answer may have been charged that never arrived."""
        return any(attempt.maybe_paid for attempt in self.attempts)

    @property
    def is_covered(self) -> bool:
        """Whether what is reserved is enough for one more request: those that failed may have been
        paid.
        """
        failed = (one for one in self.attempts if one.outcome not in {ANSWERED, PENDING})
        paid = sum(one.maybe_paid or one.usage is not None for one in failed)
        return self.reservation is None or paid < self.requests_covered

    @property
    def milliseconds(self) -> int:
        """From the first row until now, waits and retries included."""
        return milliseconds_since(self.started)

    @property
    def said(self) -> str | None:
        """The text of the answer, or what came of it."""
        if self.reply is not None:
            return self.reply.text
        return self.error.partial_text if self.error else self.partial_text

    @property
    def error_message(self) -> str | None:
        """The error's text as it may be stored; of a call that is not complete, what is missing."""
        return safe_error_text(str(self.error)) if self.error else self.shortfall


def _raw(outcome: Reply | LLMError) -> JsonObject | None:
    if isinstance(outcome, Reply):
        return outcome.raw
    return {"error_type": outcome.error_type, "error_message": safe_error_text(str(outcome))}


def _told(error: LLMError) -> str:
    return f"{error.error_type}: {error.message}"


def _details(outcomes: Sequence[Reply | LLMError]) -> JsonObject | None:
    """What the provider says of the usage: of several parts each in its own words."""
    said = [one.usage_details if isinstance(one, Reply) else None for one in outcomes]
    if len(said) == 1 or not any(said):
        return said[0]
    return {"parts": said}

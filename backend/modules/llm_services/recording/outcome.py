"""What came of a call that was answered."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from modules.llm_services.providers.base import Reply
from modules.llm_services.types import Usage

from .record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A reply with what the whole call took: tokens and USD of all attempts, milliseconds.

    One that is ``cached`` was given before: it took nothing. ``provider`` and ``model`` are those
    that answered, in place of those in ``fallback_from`` when there are any.
    """

    reply: Reply
    provider: str
    model: str
    fallback_from: str | None = None
    usage: Usage | None
    cost: Decimal | None
    milliseconds: int
    attempts: int
    cached: bool = False

    @classmethod
    def of(cls, record: CallRecord, reply: Reply) -> Self:
        """What a call that has ended with a reply took."""
        provider, model = record.model
        return cls(
            reply=reply,
            provider=provider,
            model=model,
            fallback_from=record.fallback_from,
            usage=record.usage,
            cost=record.cost,
            milliseconds=record.milliseconds,
            attempts=len(record.attempts),
            cached=record.hit is not None,
        )

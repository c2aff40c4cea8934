"""Which models may answer a call, in which order, and what makes the next one be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Strategy = Literal["ordered", "weighted", "cheapest", "fastest"]
"""How a role with several models comes to the first one: as written, at random by weight, the one
with the lowest price, the one that has lately answered soonest.
"""

FallbackReason = Literal[
    "failure",
    "timeout",
    "quota",
    "circuit_open",
    "context_length",
    "refusal",
    "not_found",
    "authentication",
    "validation",
]
"""Why the next model is asked. ``failure`` is whatever may be tried again and has been: no
connection, 5xx, 429, a reply that is no answer, no room within our limits. ``timeout`` is the
model's share of the deadline; ``validation`` an object that does not fit, after re-asking.
"""

USUAL_REASONS: frozenset[FallbackReason] = frozenset(
    {"failure", "timeout", "quota", "circuit_open", "context_length", "refusal"}
)
"""Those that hold when a call names none: a wrong key or name is a fault to be told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that may answer a call. One that is ``named`` by the call itself must be able to.

    ``parameters`` are what it is asked with when that is not what the first one is.
    """

    provider: str
    model: str
    weight: int | None = None
    named: bool = False
    parameters: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """By which models are told apart."""
        return self.provider, self.model

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"

"""Which answers may be given again, and how often that happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .frozen import Frozen

CacheScope = Literal["tenant", "user", "shared"]
"""Who shares answers: those of one ``tenant`` (without one, of one user), one ``user`` alone, or
all. Calls that name neither share with each other.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """That a call's answer may come from the cache, when it is at most ``seconds`` old, and that it
    is kept for as long. ``material`` is what is asked beyond the messages of its row.
    """

    seconds: float
    scope: CacheScope = "tenant"
    material: Sequence[str] = ()


class CacheUse(Frozen):
    """The cache's share in the calls of one model and feature (see `CacheStatistics`)."""

    provider: str
    model: str
    feature: str | None
    hits: int
    misses: int
    saved_cost: float
    unpriced_hits: int


class CacheStatistics(Frozen):
    """How often an answer came from the cache, and what that saved, in USD.

    ``misses`` are calls that would have taken an answer from the cache and found none.
    ``unpriced_hits`` are hits whose saving is not known: ``saved_cost`` is at least that much.
    """

    hits: int
    misses: int
    saved_cost: float
    unpriced_hits: int
    groups: tuple[CacheUse, ...]

"""How long models took: percentiles from values, or from counts within bounds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from statistics import fmean
from typing import Any

from modules.llm_services.repo import LATENCY_BOUNDS_MS
from modules.llm_services.types.usage_report import LatencyRow

_GROWTH = math.sqrt(2)


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the (sorted, not empty) values reach."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def from_counts(counts: Sequence[int], share: float) -> float:
    """The same from counts by `LATENCY_BOUNDS_MS`, as if a bound's values lay evenly on its
    logarithmic scale. What took longer than the last bound is reported as if it took 1.41 times
    that.
    """
    rank = max(math.ceil(share * sum(counts)), 1)
    place = next(i for i, up_to in enumerate(accumulate(counts)) if up_to >= rank)
    bounds = (*LATENCY_BOUNDS_MS, LATENCY_BOUNDS_MS[-1] * _GROWTH)
    upper = bounds[place]
    below = rank - sum(counts[:place])
    return round(float(upper / _GROWTH ** (1 - below / counts[place])), 1)


def exact(rows: Iterable[Any]) -> list[LatencyRow]:
    """A row for each model from each request's model, duration and time to first token."""
    taken: dict[tuple[str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for provider, model, taken_ms, first_ms in rows:
        times, firsts = taken[provider, model]
        times.append(taken_ms)
        if first_ms is not None:
            firsts.append(first_ms)
    ordered = ((key, sorted(times), sorted(firsts)) for key, (times, firsts) in taken.items())
    return [_exact_row(*key, times, firsts) for key, times, firsts in ordered]


def _exact_row(
    provider: str, model: str, times: Sequence[int], firsts: Sequence[int]
) -> LatencyRow:
    return LatencyRow(
        provider=provider,
        model=model,
        requests=len(times),
        mean_ms=round(fmean(times), 1),
        p50_ms=nearest_rank(times, 0.50),
        p95_ms=nearest_rank(times, 0.95),
        p99_ms=nearest_rank(times, 0.99),
        first_token_requests=len(firsts),
        first_token_mean_ms=round(fmean(firsts), 1) if firsts else None,
        first_token_p50_ms=nearest_rank(firsts, 0.50) if firsts else None,
        first_token_p95_ms=nearest_rank(firsts, 0.95) if firsts else None,
        exact=True,
    )


def counted(groups: Iterable[tuple[str, str, Sequence[Any]]]) -> list[LatencyRow]:
    """The same from counts, one or more for each model."""
    added: dict[tuple[str, str], _Counts] = defaultdict(_Counts)
    for provider, model, more in groups:
        added[provider, model].add(*more)
    return [counts.as_row(*key) for key, counts in added.items() if counts.requests]


@dataclass(slots=True)
class _Counts:
    """What is known of a model's latencies without its rows."""

    latencies: list[int] = field(default_factory=list)
    ms: int = 0
    first_token_ms: int = 0
    first_tokens: int = 0

    def add(
        self, latencies: Sequence[int], ms: int, first_token_ms: int, first_tokens: int
    ) -> None:
        self.latencies = [a + b for a, b in zip_longest(self.latencies, latencies, fillvalue=0)]
        self.ms += ms
        self.first_token_ms += first_token_ms
        self.first_tokens += first_tokens

    @property
    def requests(self) -> int:
        return sum(self.latencies)

    def as_row(self, provider: str, model: str) -> LatencyRow:
        firsts = self.first_tokens
        return LatencyRow(
            provider=provider,
            model=model,
            requests=self.requests,
            mean_ms=round(self.ms / self.requests, 1),
            p50_ms=from_counts(self.latencies, 0.50),
            p95_ms=from_counts(self.latencies, 0.95),
            p99_ms=from_counts(self.latencies, 0.99),
            first_token_requests=firsts,
            first_token_mean_ms=round(self.first_token_ms / firsts, 1) if firsts else None,
            first_token_p50_ms=None,
            first_token_p95_ms=None,
            exact=False,
        )

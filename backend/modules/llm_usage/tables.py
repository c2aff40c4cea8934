"""What the tables of the overview show."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from modules.llm_services.public import ErrorRow, LatencyRow, UsageRow

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A line of a ranking. ``link`` is the filter that shows its requests; ``share`` is its part
    of the largest line, 0 to 1.
    """

    name: str
    detail: str | None
    link: dict[str, str]
    sums: UsageRow
    share: float


def by_model(rows: Sequence[UsageRow]) -> list[Ranked]:
    """Models with their vendors."""
    return _ranked(
        (row, row.model or "none", row.provider, {"provider": row.provider, "model": row.model})
        for row in rows
    )


def by_feature(rows: Sequence[UsageRow]) -> list[Ranked]:
    """Features; calls that name none are together."""
    return _ranked((row, row.feature or "none", None, {"feature": row.feature}) for row in rows)


def by_user(rows: Sequence[UsageRow]) -> list[Ranked]:
    """Users; calls for nobody are together."""
    users = ((row, None if row.user_id is None else str(row.user_id)) for row in rows)
    return _ranked((row, user or "nobody", None, {"user_id": user}) for row, user in users)


def _ranked(
    lines: Iterable[tuple[UsageRow, str, str | None, dict[str, str | None]]],
) -> list[Ranked]:
    found = list(lines)
    most = max((row.cost or Decimal(0) for row, *_ in found), default=Decimal(0))
    return [
        Ranked(
            name,
            detail,
            {key: value for key, value in link.items() if value},
            row,
            float((row.cost or 0) / most) if most else 0.0,
        )
        for row, name, detail, link in found
    ]


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """Failures of one type, the models they happened at, and the last of them."""

    error_type: str
    requests: int
    models: Sequence[tuple[str, int]]
    last: ErrorRow


def by_error_type(rows: Sequence[ErrorRow]) -> list[ErrorLine]:
    """Error types, most frequent first."""
    kinds: dict[str | None, list[ErrorRow]] = {}
    for row in rows:
        kinds.setdefault(row.error_type, []).append(row)
    lines = [_error_line(error_type, found) for error_type, found in kinds.items()]
    return sorted(lines, key=lambda line: -line.requests)


def _error_line(error_type: str | None, rows: Sequence[ErrorRow]) -> ErrorLine:
    last = max(rows, key=lambda row: (row.last_day, row.last_at or _LONG_AGO))
    return ErrorLine(
        error_type or "unknown",
        sum(row.requests for row in rows),
        [(row.model, row.requests) for row in rows],
        last,
    )


@dataclass(frozen=True, slots=True)
class LatencyLine:
    """How long a model took, and where p50, p95 and p99 lie on a logarithmic scale, 0 to 100."""

    row: LatencyRow
    p50: float
    p95: float
    p99: float


def on_one_scale(rows: Sequence[LatencyRow]) -> list[LatencyLine]:
    """All models on one scale, from a bit faster than the fastest to the slowest."""
    low = max(min((row.p50_ms for row in rows), default=1.0) / 1.5, 1.0)
    high = max((row.p99_ms for row in rows), default=1.0)
    return [
        LatencyLine(row, *(_place(ms, low, high) for ms in (row.p50_ms, row.p95_ms, row.p99_ms)))
        for row in rows
    ]


def _place(ms: float, low: float, high: float) -> float:
    return round(100 * math.log(max(ms, low) / low) / math.log(max(high, low * 1.5) / low), 1)

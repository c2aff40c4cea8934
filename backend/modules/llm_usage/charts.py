"""What charts and the tables behind them show: a value for each day and each kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

from modules.llm_services.public import UsageRow

from .windows import Window

Unit: TypeAlias = Literal["usd", "count"]
_PALETTE = (1, 2, 3, 4, 6, 8)
"""Colours of models: without the red of failures (5) and the grey of the rest (7)."""
_OTHERS, _GREY = "others", 7


@dataclass(frozen=True, slots=True)
class Series:
    """One kind: its name, a value for each day, and its place in the palette (from 1)."""

    name: str
    values: Sequence[float]
    color: int

    @property
    def total(self) -> float:
        """All days together."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked bars, one for each day."""

    name: str
    title: str
    unit: Unit
    days: Sequence[date]
    series: Sequence[Series]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(series.total for series in self.series)

    def as_data(self) -> dict[str, Any]:
        """What the script draws."""
        return {
            "unit": self.unit,
            "days": [day.isoformat() for day in self.days],
            "series": [
                {"name": one.name, "color": one.color, "values": list(one.values)}
                for one in self.series
            ],
        }


def cost_by_model(window: Window, rows: Sequence[UsageRow]) -> Chart:
    """USD a day; the dearest models by name, the others together."""
    costs: dict[str, dict[date, float]] = {}
    for row in rows:
        if row.day is not None and row.cost:
            days = costs.setdefault(row.model or "", {})
            days[row.day] = days.get(row.day, 0.0) + float(row.cost)
    named, rest = _largest(costs)
    series = [
        _series(window, name, days, color)
        for color, (name, days) in zip(_PALETTE, named, strict=False)
    ]
    if rest:
        together = {day: sum(days.get(day, 0.0) for days in rest) for day in window.every_day()}
        series.append(_series(window, _OTHERS, together, _GREY))
    return Chart("cost", "Cost per day by model", "usd", window.every_day(), series)


def _largest(
    costs: Mapping[str, dict[date, float]],
) -> tuple[list[tuple[str, dict[date, float]]], list[dict[date, float]]]:
    ordered = sorted(costs.items(), key=lambda item: -sum(item[1].values()))
    return ordered[: len(_PALETTE)], [days for _, days in ordered[len(_PALETTE) :]]


def requests_by_outcome(window: Window, rows: Sequence[UsageRow]) -> Chart:
    """Requests a day by how they ended; what is never there has no place in the legend."""
    kinds: Mapping[str, tuple[int, Callable[[UsageRow], int]]] = {
        "completed": (1, lambda row: row.completed),
        "failed": (5, lambda row: row.failed),
        "cancelled": (4, lambda row: row.cancelled),
        "pending": (7, lambda row: row.pending),
    }
    found = [_summed(window, name, rows, *kind) for name, kind in kinds.items()]
    always, rare = found[:2], [series for series in found[2:] if series.total]
    title = "Requests and errors per day"
    return Chart("requests", title, "count", window.every_day(), [*always, *rare])


def tokens_by_class(window: Window, rows: Sequence[UsageRow]) -> Chart:
    """Tokens a day. Classes of `Usage` contain each other; here each token is counted once."""
    kinds: Mapping[str, tuple[int, Callable[[UsageRow], int]]] = {
        "prompt": (1, _fresh_prompt),
        "read from cache": (2, lambda row: row.cache_read_tokens),
        "written to cache": (3, lambda row: row.cache_write_tokens),
        "answer": (4, lambda row: max(row.completion_tokens - row.reasoning_tokens, 0)),
        "reasoning": (6, lambda row: row.reasoning_tokens),
    }
    found = [_summed(window, name, rows, *kind) for name, kind in kinds.items()]
    shown = [series for series in found if series.total or series.name in {"prompt", "answer"}]
    return Chart("tokens", "Tokens per day by class", "count", window.every_day(), shown)


def _fresh_prompt(row: UsageRow) -> int:
    return max(row.prompt_tokens - row.cache_read_tokens - row.cache_write_tokens, 0)


def _summed(
    window: Window,
    name: str,
    rows: Sequence[UsageRow],
    color: int,
    value: Callable[[UsageRow], int],
) -> Series:
    sums: dict[date, float] = {}
    for row in rows:
        if row.day is not None:
            sums[row.day] = sums.get(row.day, 0) + value(row)
    return _series(window, name, sums, color)


def _series(window: Window, name: str, days: Mapping[date, float], color: int) -> Series:
    return Series(name, [days.get(day, 0) for day in window.every_day()], color)

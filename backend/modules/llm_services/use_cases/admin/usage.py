"""What requests add up to, how long they took, and how far their costs can be believed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from modules.llm_services.arguments import overview as checks
from modules.llm_services.pricing import TABLE_REF, newest_price
from modules.llm_services.repo import HealthRepo, UsageRepo, Window
from modules.llm_services.repo.sums import Sums
from modules.llm_services.repo.usage import Key, ranked, totals_of
from modules.llm_services.retirements import retirement_of
from modules.llm_services.types.paging import Moment
from modules.llm_services.types.usage_report import (
    CostHealth,
    LatencyRow,
    ModelCount,
    RetiringUse,
    UsageDimension,
    UsageOrder,
    UsageOverview,
    UsageRow,
    UsageTotals,
)
from modules.llm_services.use_cases.base import UseCases, in_thread

from .latency import counted, exact

_NANO = Decimal(10**9)
_RENAMED = {"cached_requests": "cached", "unpriced_requests": "unpriced"}


class UsageUseCases(UseCases):
    """Implements `ReportsUsage`."""

    def totals(self, since: Moment | None = None, until: Moment | None = None) -> UsageTotals:
        """The sums of a window."""
        sums = self._usage.totals(Window(*checks.window(since, until)))
        self._end_read()
        return UsageTotals(**_shown(sums))

    def usage(
        self,
        by: UsageDimension | Sequence[UsageDimension],
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        order: UsageOrder = "cost",
        limit: int = 1_000,
    ) -> list[UsageRow]:
        """The sums of a window, split."""
        names = checks.dimensions(by)
        groups = self._usage.usage(
            names,
            Window(*checks.window(since, until)),
            checks.usage_order("order", order),
            checks.group_limit("limit", limit),
        )
        self._end_read()
        return _rows(names, groups)

    def overview(self, since: Moment | None = None, until: Moment | None = None) -> UsageOverview:
        """The sums of a window as a first page shows them."""
        splits = [("day", "provider", "model"), ("provider", "model"), ("feature",), ()]
        found = self._usage.splits(splits, Window(*checks.window(since, until)))
        self._end_read()
        days, models, features = (
            _rows(by, ranked(by, groups)) for by, groups in zip(splits[:3], found, strict=False)
        )
        return UsageOverview(
            totals=UsageTotals(**_shown(totals_of(found[3]))),
            days=days,
            models=models,
            features=features,
            retiring=_soonest_first(models),
        )

    def latency(
        self,
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        exact_up_to: int = checks.MOST_EXACT,
    ) -> list[LatencyRow]:
        """How long each model took."""
        window, health = Window(*checks.window(since, until)), HealthRepo(self._repo.session)
        rows = health.latencies(window, checks.exact_limit("exact_up_to", exact_up_to))
        found = counted(health.latency_counts(window)) if rows is None else exact(rows)
        self._end_read()
        return sorted(found, key=lambda row: -row.requests)

    def retiring(
        self, since: Moment | None = None, until: Moment | None = None
    ) -> list[RetiringUse]:
        """Models that were asked and are to be shut down."""
        rows = self.usage(("provider", "model"), since, until, limit=checks.MAX_GROUPS)
        return _soonest_first(rows)

    def cost_health(self, since: Moment | None = None, until: Moment | None = None) -> CostHealth:
        """How far the costs of a window can be believed."""
        window = Window(*checks.window(since, until))
        rows = HealthRepo(self._repo.session).doubts(window)
        self._end_read()
        today = datetime.now(UTC).date()
        newest = newest_price(today)
        return CostHealth(
            requests=sum(row.requests for row in rows),
            unpriced=_models(rows, "unpriced"),
            overridden=_models(rows, "overridden"),
            estimated_usages=sum(row.estimated for row in rows),
            maybe_paid=sum(row.maybe_paid for row in rows),
            price_table=TABLE_REF,
            price_table_newest=newest,
            price_table_age_days=None if newest is None else (today - newest).days,
        )

    async def refresh_daily_usage(
        self, from_day: date | None = None, to_day: date | None = None
    ) -> int:
        """Bring the daily sums up to date, in a worker thread and on connections of our own."""
        days = checks.days(from_day, to_day)
        return await in_thread(self._runtime.daily_usage.refresh, *days)

    @property
    def _usage(self) -> UsageRepo:
        return UsageRepo(self._repo.session)


def _rows(by: Sequence[str], groups: Iterable[tuple[Key, Sums]]) -> list[UsageRow]:
    return [UsageRow(**_labels(by, key), **_shown(sums)) for key, sums in groups]


def _soonest_first(rows: Iterable[UsageRow]) -> list[RetiringUse]:
    return sorted(filter(None, map(_retiring, rows)), key=lambda use: use.day)


def _retiring(row: UsageRow) -> RetiringUse | None:
    provider, model = row.provider or "", row.model or ""
    known = retirement_of(provider, model)
    if known is None:
        return None
    return RetiringUse(
        provider=provider,
        model=model,
        requests=row.requests,
        day=known.day,
        days_left=(known.day - datetime.now(UTC).date()).days,
        instead=known.instead,
    )


def _shown(sums: Mapping[str, int]) -> dict[str, Any]:
    nano, unpriced = sums["cost_nano_usd"], sums["unpriced_requests"]
    cost = None if not nano and unpriced else Decimal(nano) / _NANO
    named = {_RENAMED.get(name, name): count for name, count in sums.items()}
    return {**named, "cost": cost}


def _labels(names: Sequence[str], key: Sequence[Any]) -> dict[str, Any]:
    labels = dict(zip(names, (value or None for value in key), strict=True))
    return {"user_id" if name == "user" else name: value for name, value in labels.items()}


def _models(rows: Sequence[Any], doubt: str) -> tuple[ModelCount, ...]:
    found = [
        ModelCount(provider=row.provider, model=row.model, requests=getattr(row, doubt))
        for row in rows
        if getattr(row, doubt)
    ]
    return tuple(sorted(found, key=lambda model: -model.requests))

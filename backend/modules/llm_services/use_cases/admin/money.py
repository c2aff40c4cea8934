"""Costs priced again, and compared with what a vendor bills."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from modules.llm_services import arguments
from modules.llm_services.calls import special_call
from modules.llm_services.providers.base import ReadsCosts
from modules.llm_services.recording import Tally
from modules.llm_services.roles import ModelChoice
from modules.llm_services.types import Call, LLMProviderType, ReconcileReport, RecostReport
from modules.llm_services.use_cases.base import UseCases, in_thread
from modules.llm_services.wiring import running_loop

_DAY = timedelta(days=1)
_PROVIDER = LLMProviderType.OPENAI


class MoneyUseCases(UseCases):
    """Implements `AuditsCosts`."""

    async def recost(
        self,
        from_day: date,
        to_day: date,
        only_unknown: bool = True,  # noqa: FBT001, FBT002 - the contract's order
        *,
        dry_run: bool = False,
    ) -> RecostReport:
        """Price settled rows again. See `AuditsCosts.recost`."""
        window = (_midnight(arguments.day("from_day", from_day)), _end("to_day", to_day))
        arguments.in_order("from_day", from_day, "to_day", to_day)
        only_unknown = arguments.yes_or_no("only_unknown", only_unknown)
        dry_run = arguments.yes_or_no("dry_run", dry_run)
        books, tally, after = self._runtime.books, Tally(), None
        page = partial(books.page, window, tally=tally, only_unknown=only_unknown, dry_run=dry_run)
        while True:
            after = await in_thread(page, after)
            if after is None:
                break
        if not dry_run:
            await asyncio.to_thread(books.refresh_days, tally)
        return tally.report(dry_run=dry_run)

    async def reconcile(self, day: date) -> ReconcileReport:
        """A day's costs by the vendor and by the ledger. See `AuditsCosts.reconcile`."""
        start = _midnight(arguments.day("day", day))
        window = (start, _end("day", day))
        running_loop()
        billed = await self._billed(int(start.timestamp()))
        ours = await asyncio.to_thread(self._runtime.books.sums, _PROVIDER, window)
        total = sum(billed.values(), Decimal(0))
        drift = total - ours.cost
        return ReconcileReport(
            day=day,
            provider=_PROVIDER,
            vendor_cost=total,
            ledger_cost=ours.cost,
            drift=drift,
            drift_percent=float(drift / total * 100) if total else None,
            requests=ours.requests,
            unpriced=ours.unpriced,
            maybe_paid=ours.maybe_paid,
            line_items=billed,
        )

    async def _billed(self, start: int) -> dict[str, Decimal]:
        config = self._runtime.config
        choice = ModelChoice(provider=_PROVIDER, model="")
        call = special_call("costs", choice, (), None, {}, config)
        reader = await self._runtime.costs_reader()
        try:
            return await self._all_pages(call, reader, start)
        finally:
            await reader.aclose()

    async def _all_pages(self, call: Call, reader: ReadsCosts, start: int) -> dict[str, Decimal]:
        billed: dict[str, Decimal] = {}
        cursor: str | None = None
        while True:
            read = partial(reader.costs, start=start, page=cursor)
            page = await self._runtime.executor.unrecorded(call, read)
            for name, usd in page.items.items():
                billed[name] = billed.get(name, Decimal(0)) + usd
            cursor = page.next
            if cursor is None:
                return billed


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _end(name: str, day: object) -> datetime:
    return _midnight(arguments.day(name, day)) + _DAY

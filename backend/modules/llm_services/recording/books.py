"""The ledger's books: settled rows priced again by the day of their making, and a day's sums.

Pricing goes a page at a time: rows are read and their connection is given back, they are priced,
and what changed is written in one short transaction. Stopped midway it may simply be run again.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.pricing import PriceList
from modules.llm_services.types import Call, RecostReport, RequestStatus, Usage

from .attempt import ANSWERED, AttemptRecord
from .forking import transaction
from .record import CallRecord
from .rows import money

PAGE = 500
_BATCH = "batch"
_TOKENS = (
    *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    "reasoning_tokens",
)


@dataclass(slots=True)
class Tally:
    """What has come of it so far. ``days`` are those whose sums have changed."""

    looked_at: int = 0
    changed: int = 0
    still_unknown: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    days: set[date] = field(default_factory=set)

    def report(self, *, dry_run: bool) -> RecostReport:
        """The tally as operators read it."""
        return RecostReport(
            looked_at=self.looked_at,
            changed=self.changed,
            still_unknown=self.still_unknown,
            cost_before=self.before,
            cost_after=self.after,
            days=tuple(sorted(self.days)),
            dry_run=dry_run,
        )


class Books:
    """Works on the money of the ledger. ``refresh`` makes the daily sums of days anew."""

    def __init__(
        self,
        engine: Engine,
        prices: PriceList,
        refresh: Callable[[date, date], object],
        page: int = PAGE,
    ) -> None:
        self._engine = engine
        self._prices = prices
        self._refresh = refresh
        self._page = page

    def page(
        self,
        window: tuple[datetime, datetime],
        after: str | None,
        tally: Tally,
        *,
        only_unknown: bool,
        dry_run: bool,
    ) -> str | None:
        """Price the next page; where the one after it begins. Blocks.

        Raises `LLMRecordingError` when the database does not answer; earlier pages are done.
        """
        with _database_errors():
            with self._engine.connect() as connection:
                page = repo.priced_page(
                    connection, window, after, self._page, only_unknown=only_unknown
                )
            changes = list(self._changes(page.rows, tally))
            if changes and not dry_run:
                with transaction(self._engine) as connection:
                    repo.write_prices(connection, changes)
        return page.next

    def sums(self, provider: str, window: tuple[datetime, datetime]) -> repo.Sums:
        """What the rows of a provider add up to. Blocks. Raises `LLMRecordingError`."""
        with _database_errors(), self._engine.connect() as connection:
            return repo.sums(connection, provider, window)

    def refresh_days(self, tally: Tally) -> None:
        """Make the daily sums of the days anew whose costs have changed."""
        for day in sorted(tally.days):
            self._refresh(day, day)

    def _changes(self, rows: Iterable[RowMapping], tally: Tally) -> Iterable[dict[str, Any]]:
        for row in rows:
            new, old = money(self._priced(row)), row["cost_estimate"]
            cost = new["cost_estimate"]
            tally.looked_at += 1
            tally.before += _exact(old)
            tally.after += _exact(old if cost is None else cost)
            tally.still_unknown += cost is None and old is None
            if cost is not None and cost != old:
                tally.changed += 1
                tally.days.add(row["created_at"].date())
                yield {"row_id": row["id"], **new}

    def _priced(self, row: RowMapping) -> CallRecord:
        """The call's record as far as its money needs it."""
        record = CallRecord(_call(row), created_at=row["created_at"])
        asked_tier = (row["additional_params"] or {}).get("service_tier")
        for attempt in _attempts(row):
            record.attempts.append(attempt)
            if attempt.usage is None:
                continue
            answered = attempt.outcome == ANSWERED
            tier = row["service_tier"] if answered else asked_tier
            attempt.price = self._prices.price(
                attempt.provider,
                attempt.model,
                attempt.usage,
                attempt.started_at,
                response_model=row["response_model"] if answered else None,
                service_tier=_BATCH if row["batch_id"] else tier,
            )
        return record


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = type(getattr(error, "orig", None) or error).__name__
        raise LLMRecordingError(f"the ledger's database did not answer ({cause})") from error


def _call(row: RowMapping) -> Call:
    return Call(
        id=row["id"] if isinstance(row["id"], UUID) else UUID(row["id"]),
        operation=row["operation"],
        provider=row["provider"],
        model=row["model"],
        requested_model=None,
        messages=(),
        parameters={},
        timeout=0,
        max_retries=0,
    )


def _attempts(row: RowMapping) -> list[AttemptRecord]:
    """As they are stored; an older engine stored none, but the tokens of the answer."""
    if row["attempts"] is None:
        return [_only_attempt(row)]
    return [
        AttemptRecord(
            number=stored["n"],
            provider=stored.get("provider", row["provider"]),
            model=stored["model"],
            started_at=datetime.fromisoformat(stored["started_at"]),
            started=0.0,
            outcome=stored["outcome"],
            usage=None if stored["usage"] is None else Usage.from_dict(stored["usage"]),
        )
        for stored in row["attempts"]
    ]


def _only_attempt(row: RowMapping) -> AttemptRecord:
    return AttemptRecord(
        number=1,
        provider=row["provider"],
        model=row["model"],
        started_at=row["created_at"],
        started=0.0,
        outcome=ANSWERED if row["status"] == RequestStatus.COMPLETED else row["status"],
        usage=Usage(**{name: row[name] for name in _TOKENS}),
    )


def _exact(cost: float | None) -> Decimal:
    return Decimal(0) if cost is None else Decimal(str(cost))

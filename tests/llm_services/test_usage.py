"""What requests add up to: from rows, from daily sums, and from both at once."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, update

from modules.llm_services import repo
from modules.llm_services.models import LLMRequest
from modules.llm_services.pricing import newest_price
from modules.llm_services.public import (
    LLMRecordingError,
    LLMServicesAdminProvider,
    UsageTotals,
    llm_services_lifespan,
)
from modules.shared.db import get_engine
from tests.support.ledger import daily_rows
from tests.support.overview import TODAY, a_row, added_up, insert_rows, varied_rows

DAY = timedelta(days=1)
DAYS = 12
SINCE = TODAY - DAYS * DAY


@pytest.fixture
def ledger(database_url: str) -> list[dict[str, Any]]:
    """Rows of twelve days."""
    rows = varied_rows(150, DAYS)
    insert_rows(rows)
    return rows


_TOLD = {
    *("requests", "completed", "failed", "pending", "cancelled", "cached", "attempts"),
    *("prompt_tokens", "completion_tokens", "cost", "unpriced"),
}


def known(totals: UsageTotals) -> dict[str, int]:
    """A report as `added_up` tells it, without what is 0."""
    said = totals.model_dump(include=_TOLD)
    said["cost"] = int((totals.cost or Decimal(0)) * 10**9)
    return {name: count for name, count in said.items() if count}


def split(rows: Sequence[Mapping[str, Any]], *names: str) -> dict[Any, dict[str, int]]:
    """Rows added up by columns."""
    groups: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        values = {**row, "day": row["created_at"].date()}
        groups[tuple(values[name] for name in names)].append(row)
    return {key: _present(added_up(group)) for key, group in groups.items()}


def _present(sums: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sums.items() if count}


def check(admin: LLMServicesAdminProvider, rows: Sequence[Mapping[str, Any]]) -> None:
    """Every report of the window says what the rows say."""
    assert known(admin.totals(SINCE)) == _present(added_up(rows))
    for by in ("day", "provider", "model", "operation", "feature", "status", "error_type"):
        found = {(getattr(row, by),): known(row) for row in admin.usage(by, SINCE)}
        assert found == split(rows, by), by
    two = {(row.day, row.model): known(row) for row in admin.usage(("day", "model"), SINCE)}
    assert two == split(rows, "day", "model")


async def test_daily_sums_change_nothing(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """Reports are the same from rows, from daily sums, and from daily sums when rows are gone."""
    check(admin, ledger)
    assert await admin.refresh_daily_usage() >= DAYS - 1
    check(admin, ledger)
    with get_engine().begin() as connection:
        gone = LLMRequest.created_at < TODAY - 3 * DAY
        connection.execute(delete(LLMRequest).where(gone))
    check(admin, ledger)
    await admin.refresh_daily_usage()
    await admin.refresh_daily_usage(SINCE.date(), TODAY.date())
    check(admin, ledger)


async def test_a_day_whose_rows_begin_to_go_keeps_its_sums(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """A retention that was interrupted in the middle of a day takes nothing from its sums."""
    await admin.refresh_daily_usage()
    oldest = min(ledger, key=lambda row: row["created_at"])
    day = oldest["created_at"].date()
    with get_engine().begin() as connection:
        connection.execute(delete(LLMRequest).where(LLMRequest.id == oldest["id"]))
        assert repo.refresh_daily_usage(connection, day, day) == 0
    check(admin, ledger)


async def test_refreshing_twice_writes_the_same(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """The job may run as often as it likes."""
    await admin.refresh_daily_usage()
    first = daily_rows()
    assert await admin.refresh_daily_usage(SINCE.date()) == len({row["day"] for row in first})
    assert daily_rows() == first


async def test_refreshing_side_by_side_counts_nothing_twice(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """Two jobs on the same days wait for each other."""
    async with llm_services_lifespan():
        jobs = [session_job() for _ in range(3)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(60)
    check(admin, ledger)


def session_job() -> threading.Thread:
    """The job as another process runs it: with connections of its own."""

    def work() -> None:
        for day in range(DAYS):
            with get_engine().begin() as connection:
                repo.refresh_day(connection, (SINCE + day * DAY).date())

    return threading.Thread(target=work)


async def test_what_ends_late_is_corrected(admin: LLMServicesAdminProvider) -> None:
    """An open row of a closed day is read live, and the next run takes its outcome over."""
    late = a_row(status="pending", created_at=TODAY - 9 * DAY, messages=[])
    plain = a_row(created_at=TODAY - 9 * DAY, cost_estimate=0.25)
    young = a_row(created_at=TODAY - 20 * DAY, cost_estimate=0.5)
    insert_rows([late, plain, young])
    await admin.refresh_daily_usage()
    assert admin.totals(SINCE).pending == 1
    with get_engine().begin() as connection:
        settled = {"status": "completed", "cost_estimate": 0.5}
        connection.execute(update(LLMRequest).where(LLMRequest.id == late["id"]).values(settled))
    totals = admin.totals(SINCE)
    assert (totals.pending, totals.cost) == (0, Decimal("0.75"))
    assert await admin.refresh_daily_usage() == 1
    assert admin.totals(SINCE) == totals
    assert await admin.refresh_daily_usage() == 0


async def test_rows_that_arrive_late_are_taken_in(admin: LLMServicesAdminProvider) -> None:
    """A row that waited in a spool for days makes its day anew."""
    with get_engine().begin() as connection:
        assert repo.refresh_day(connection, (TODAY - 9 * DAY).date())
    assert daily_rows() == []
    insert_rows([a_row(created_at=TODAY - 9 * DAY)])
    assert await admin.refresh_daily_usage() == 1
    insert_rows([a_row(created_at=TODAY - 9 * DAY + DAY / 2)])
    assert await admin.refresh_daily_usage() == 1
    assert admin.totals(SINCE).requests == 2


async def test_a_day_that_is_not_over_has_no_sums(admin: LLMServicesAdminProvider) -> None:
    """Half a day's sums would be taken for all of it two days later."""
    insert_rows([a_row(), a_row()])
    assert await admin.refresh_daily_usage() == 0
    assert await admin.refresh_daily_usage(to_day=date.max) == 0
    assert daily_rows() == []
    assert admin.totals().requests == 2


async def test_corrected_prices_reach_the_sums(admin: LLMServicesAdminProvider) -> None:
    """Days are made anew when they are named, though nothing shows that they need it."""
    row = a_row(created_at=TODAY - 9 * DAY, cost_estimate=0.25)
    insert_rows([row])
    await admin.refresh_daily_usage()
    with get_engine().begin() as connection:
        connection.execute(update(LLMRequest).values(cost_estimate=0.5))
    day = row["created_at"].date()
    assert await admin.refresh_daily_usage(day, day) == 1
    assert admin.totals(SINCE).cost == Decimal("0.5")


async def test_windows_begin_and_end_within_days(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """Parts of days come from the rows, whole ones from their sums."""
    await admin.refresh_daily_usage()
    start, end = SINCE + 2.25 * DAY, SINCE + 6.75 * DAY
    rows = [row for row in ledger if start <= row["created_at"] < end]
    assert known(admin.totals(start, end)) == _present(added_up(rows))
    by_day = {(row.day,): known(row) for row in admin.usage("day", start, end)}
    assert by_day == split(rows, "day")
    assert admin.totals(start, start).requests == 0
    assert admin.usage("day", start, start) == []


def test_users_and_tenants_are_added_up_from_rows(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """Top users by cost, requests or tokens; days apart where asked for."""
    users = {(row.user_id,): known(row) for row in admin.usage("user", SINCE)}
    assert users == split(ledger, "user_id")
    assert {row.tenant for row in admin.usage(["tenant"], SINCE)} == {"acme", None}
    days = {(row.day, row.user_id): known(row) for row in admin.usage(("day", "user"), SINCE)}
    assert days == split(ledger, "day", "user_id")
    for order, name in (("cost", "cost"), ("requests", "requests"), ("tokens", "tokens")):
        rows = admin.usage("user", SINCE, order=order, limit=3)  # type: ignore[arg-type]
        sizes = [getattr(row, name) or 0 for row in rows]
        assert sizes == sorted(sizes, reverse=True)
        assert len(rows) == 3
        everybody = [getattr(row, name) for row in admin.usage("user", SINCE)]
        assert sizes[0] == max(everybody)


def test_an_unknown_cost_is_not_zero(admin: LLMServicesAdminProvider) -> None:
    """Nothing known is `None`; what is known is a sum, with the number of those it lacks."""
    assert admin.totals().cost == 0
    insert_rows([a_row(cost_estimate=None)])
    assert (admin.totals().cost, admin.totals().unpriced) == (None, 1)
    insert_rows([a_row(cost_estimate=0.1), a_row(status="failed", cost_estimate=None)])
    assert (admin.totals().cost, admin.totals().unpriced) == (Decimal("0.1"), 1)
    insert_rows([a_row(status="failed", cost_estimate=None, cost_source="unknown")])
    assert admin.totals().unpriced == 2


def test_a_full_second_at_midnight_belongs_to_its_day(admin: LLMServicesAdminProvider) -> None:
    """Rows whose time SQLite wrote by itself, without a fraction, are where they should be."""
    with get_engine().begin() as connection:
        for fraction in ("", ".000000"):
            row = a_row(created_at=TODAY)
            connection.execute(LLMRequest.__table__.insert(), row)  # type: ignore[attr-defined]
            if connection.dialect.name == "sqlite":
                text = f"{TODAY:%Y-%m-%d %H:%M:%S}{fraction}"
                connection.exec_driver_sql(
                    "UPDATE llm_requests SET created_at = ? WHERE id = ?", (text, str(row["id"]))
                )
    assert [row.day for row in admin.usage("day", TODAY)] == [TODAY.date()]
    assert admin.totals(TODAY, TODAY + DAY).requests == 2
    assert admin.totals(TODAY - DAY, TODAY).requests == 0


async def test_a_job_without_a_database_says_so(admin: LLMServicesAdminProvider) -> None:
    """The error is ours, and may be tried again."""
    with get_engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE llm_usage_daily")
    with pytest.raises(LLMRecordingError) as caught:
        await admin.refresh_daily_usage()
    assert caught.value.retryable


def timed(model: str, times: Sequence[int], **values: Any) -> list[dict[str, Any]]:
    """A row for each duration in ms."""
    first = values.pop("first", None)
    return [
        a_row(
            model=model,
            execution_time_ms=ms,
            time_to_first_token_ms=first and first + n,
            **{"created_at": TODAY - 5 * DAY, "cached": False, **values},
        )
        for n, ms in enumerate(times)
    ]


async def test_latencies_are_exact_while_the_rows_are_there(
    admin: LLMServicesAdminProvider,
) -> None:
    """Nearest ranks of what completed and did not come from a cache; else what counts allow."""
    insert_rows(
        [
            *timed("gpt-5", range(1_000, 101_000, 1_000), first=100),
            *timed("o1", [7, 3_000_000], created_at=TODAY),
            *timed("gpt-5", [1], cached=True),
            *timed("gpt-5", [1], status="failed"),
            *timed("gpt-5", [1], status="failed", created_at=TODAY),
        ]
    )
    since, until = TODAY - 9 * DAY, TODAY + DAY
    await admin.refresh_daily_usage()
    slow, other = admin.latency(since, until)
    assert (slow.model, slow.requests, slow.exact) == ("gpt-5", 100, True)
    assert (slow.p50_ms, slow.p95_ms, slow.p99_ms) == (50_000, 95_000, 99_000)
    assert slow.mean_ms == 50_500
    assert (slow.first_token_p50_ms, slow.first_token_p95_ms) == (149, 194)
    assert (other.p50_ms, other.p99_ms, other.first_token_mean_ms) == (7, 3_000_000, None)
    with get_engine().begin() as connection:
        connection.execute(delete(LLMRequest).where(LLMRequest.created_at < TODAY))
    counted, live = admin.latency(since, until)
    assert (counted.requests, counted.mean_ms, counted.exact) == (100, 50_500, False)
    assert counted.first_token_mean_ms == slow.first_token_mean_ms == 149.5
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        assert 1 / 2**0.5 < getattr(counted, name) / getattr(slow, name) < 2**0.5
    assert (live.requests, live.first_token_p50_ms, live.p50_ms) == (2, None, 8)
    assert live.p99_ms > 1_000_000


async def test_too_many_latencies_are_counted(admin: LLMServicesAdminProvider) -> None:
    """Beyond a limit nobody reads every row."""
    insert_rows(timed("gpt-5", [100, 200, 300], first=None))
    for _ in range(2):
        (row,) = admin.latency(TODAY - 9 * DAY, exact_up_to=2)
        assert (row.exact, row.requests, row.mean_ms) == (False, 3, 200)
        assert row.first_token_requests == 0
        await admin.refresh_daily_usage()


def test_retiring_models_in_use_are_told(admin: LLMServicesAdminProvider) -> None:
    """Those whose end is announced, soonest first, under dated names as well; no others."""
    asked = {"gpt-4o": 2, "gpt-5-2025-08-07": 1, "somebody-elses": 3}
    insert_rows([a_row(model=model) for model, count in asked.items() for _ in range(count)])
    insert_rows([a_row(model="o3", created_at=TODAY - 60 * DAY)])
    first, second = admin.retiring()
    assert (first.model, first.day, first.requests) == ("gpt-5-2025-08-07", date(2026, 12, 11), 1)
    assert first.instead == "gpt-5.5"
    assert (second.model, second.requests, second.instead) == ("gpt-4o", 2, None)
    assert second.days_left == (date(2027, 1, 14) - TODAY.date()).days


def test_doubts_about_costs_are_told(admin: LLMServicesAdminProvider) -> None:
    """What has no price, a price of yours, a guessed usage, or may have been paid for nothing."""
    insert_rows(
        [
            *(a_row(model="new", cost_estimate=None) for _ in range(2)),
            a_row(model="newer", cost_estimate=None),
            a_row(cost_estimate=0.1, cost_source="override"),
            a_row(cost_estimate=0.1, usage_source="estimated"),
            a_row(cost_estimate=0.1, status="failed", maybe_paid=True),
        ]
    )
    health = admin.cost_health()
    assert [(m.model, m.requests) for m in health.unpriced] == [("new", 2), ("newer", 1)]
    assert [(m.model, m.requests) for m in health.overridden] == [("gpt-5", 1)]
    assert (health.requests, health.estimated_usages, health.maybe_paid) == (6, 1, 1)
    assert health.price_table.startswith("genai-prices ")
    assert health.price_table_newest is not None
    assert (
        health.price_table_age_days == (datetime.now(UTC).date() - health.price_table_newest).days
    )


def test_a_table_without_dated_prices_has_no_age() -> None:
    """Nothing is made up."""
    assert newest_price(date(1990, 1, 1)) is None

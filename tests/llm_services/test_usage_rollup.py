"""What the daily sums say of users, the cache and failures: the same as the rows, for longer."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, text, update

from modules.llm_services.models import DailyUsage, LLMRequest
from modules.llm_services.public import (
    CacheStatistics,
    ErrorRow,
    LLMServicesAdminProvider,
    UsageRow,
    open_llm_services_admin,
)
from modules.shared.db import get_engine
from tests.support.ledger import daily_rows
from tests.support.overview import TODAY, USERS, a_row, insert_rows, varied_rows

DAY = timedelta(days=1)
DAYS = 6
SINCE = TODAY - DAYS * DAY
ANN, BOB, EVE = USERS[:3]


@pytest.fixture
def ledger(database_url: str) -> list[dict[str, Any]]:
    """Rows of six days, some of them from a cache or looked for there, and one of today."""
    made = [*varied_rows(90, DAYS, seed=3), _of_today()]
    for number, row in enumerate(made):
        row["cache_key"] = f"{number}" if number % 3 == 0 else None
        row["saved_cost"] = number / 7 if row["cached"] and number % 2 else None
    insert_rows(made)
    return made


def _of_today() -> dict[str, Any]:
    return a_row(user_id=ANN, cached=False, retry_attempt=1, operation="chat")


def sums_of_users() -> list[dict[str, Any]]:
    """What is stored of users, in order."""
    statement = text("SELECT * FROM llm_usage_daily_users ORDER BY 1, 2, 3")
    with get_engine().connect() as connection:
        return [dict(row._mapping) for row in connection.execute(statement)]


def forget_rows(days: int) -> None:
    """Delete all rows that are older than so many days before today."""
    with get_engine().begin() as connection:
        connection.execute(delete(LLMRequest).where(LLMRequest.created_at < TODAY - days * DAY))


def by_user(admin: LLMServicesAdminProvider) -> dict[Any, UsageRow]:
    """Sums of the window by user and tenant."""
    return {(row.user_id, row.tenant): row for row in admin.usage(("user", "tenant"), SINCE)}


def told(errors: Sequence[ErrorRow]) -> list[ErrorRow]:
    """Failures in an order that does not depend on where they come from."""
    return sorted(errors, key=lambda row: (row.error_type or "", row.model))


def rounded(found: CacheStatistics) -> Any:
    """Savings to a billionth of a dollar, groups in any order."""
    groups = sorted(found.groups, key=lambda use: (use.provider, use.model, use.feature or ""))
    said = [use.model_dump() | {"saved_cost": round(use.saved_cost, 8)} for use in groups]
    return found.hits, found.misses, round(found.saved_cost, 8), found.unpriced_hits, said


async def test_users_cache_and_failures_are_the_same_from_daily_sums(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """From rows, from daily sums, and from those of an earlier release, which lack some."""

    def read() -> Any:
        users = {row.user_id: row for row in admin.usage("user", SINCE)}
        errors = told(admin.errors(SINCE))
        return users, by_user(admin), rounded(admin.cache_statistics(SINCE)), errors

    from_rows = read()
    hits = [row for row in ledger if row["cached"]]
    known = [row["saved_cost"] for row in hits if row["saved_cost"] is not None]
    assert from_rows[2][:4] == (
        len(hits),
        sum(1 for row in ledger if row["cache_key"] and not row["cached"]),
        round(sum(known), 8),
        len(hits) - len(known),
    )
    assert len(from_rows[3]) == 6
    await admin.refresh_daily_usage()
    assert read() == from_rows
    with get_engine().begin() as connection:
        nothing = {"cache_misses": None, "unpriced_hits": None, "saved_nano_usd": None}
        day = (TODAY - 3 * DAY).date()
        connection.execute(update(DailyUsage).where(DailyUsage.day < day).values(nothing))
        connection.execute(text("DELETE FROM llm_usage_daily_users WHERE day < :day"), {"day": day})
    assert read() == from_rows


async def test_daily_sums_of_an_earlier_release_are_completed(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """By the next refresh, as long as the day's rows are all there; else they stay as they are."""
    await admin.refresh_daily_usage()
    users, days = sums_of_users(), daily_rows()
    with get_engine().begin() as connection:
        nothing = {"cache_misses": None, "unpriced_hits": None, "saved_nano_usd": None}
        connection.execute(update(DailyUsage).values(nothing))
        connection.execute(text("DELETE FROM llm_usage_daily_users"))
    assert await admin.refresh_daily_usage() == len({row["day"] for row in days})
    assert (sums_of_users(), daily_rows()) == (users, days)
    with get_engine().begin() as connection:
        connection.execute(update(DailyUsage).values(cache_misses=None))
        connection.execute(delete(LLMRequest).where(LLMRequest.id == _oldest(ledger)))
    assert await admin.refresh_daily_usage() == len({row["day"] for row in days}) - 1


def _oldest(ledger: Sequence[dict[str, Any]]) -> UUID:
    found: UUID = min(ledger, key=lambda row: row["created_at"])["id"]
    return found


async def test_the_largest_of_both_sources_are_found(admin: LLMServicesAdminProvider) -> None:
    """Who is first neither among closed days nor today may still be the first of all."""
    spent = {ANN: (5.0, 0.0), BOB: (0.0, 5.0), EVE: (4.0, 4.0)}
    insert_rows(
        [
            a_row(user_id=user, cost_estimate=usd, created_at=at)
            for user, costs in spent.items()
            for usd, at in zip(costs, (TODAY - 3 * DAY, TODAY), strict=True)
        ]
    )
    await admin.refresh_daily_usage()
    [first] = admin.usage("user", SINCE, TODAY + DAY, limit=1)
    assert (first.user_id, first.cost, first.requests) == (EVE, Decimal(8), 2)
    [most] = admin.usage("user", SINCE, TODAY + DAY, order="requests", limit=1)
    assert most.requests == 2
    assert admin.usage("user", SINCE, SINCE) == []


async def test_an_overview_is_what_its_parts_are(
    admin: LLMServicesAdminProvider, ledger: list[dict[str, Any]]
) -> None:
    """Whether a part is read by itself or with the others, from rows or from daily sums."""
    for _ in range(2):
        found = admin.overview(SINCE)
        assert found.totals == admin.totals(SINCE)
        assert found.totals.requests == len(ledger)
        days = admin.usage(("day", "provider", "model"), SINCE)
        assert sorted(found.days, key=repr) == sorted(days, key=repr)
        assert [row.day for row in found.days] == [row.day for row in days]
        assert found.models == (*admin.usage(("provider", "model"), SINCE),)
        assert found.features == (*admin.usage("feature", SINCE),)
        assert found.retiring == (*admin.retiring(SINCE),)
        await admin.refresh_daily_usage()
    assert admin.overview(SINCE, SINCE).totals.requests == 0


async def test_failures_are_counted_when_their_rows_are_gone(
    admin: LLMServicesAdminProvider,
) -> None:
    """Their number and last day stay; there is no example any more."""
    failed = {"status": "failed", "error_type": "Timeout", "error_message": "too slow"}
    insert_rows(
        [
            *(a_row(**failed, created_at=TODAY - n * DAY) for n in (5, 4)),
            a_row(**failed, model="o1", created_at=TODAY - 2 * DAY),
        ]
    )
    await admin.refresh_daily_usage()
    assert [row.last_message for row in admin.errors(SINCE)] == ["too slow", "too slow"]
    forget_rows(3)
    gone, there = admin.errors(SINCE)
    assert (gone.requests, gone.last_day) == (2, (TODAY - 4 * DAY).date())
    assert (gone.last_at, gone.last_request_id, gone.last_message) == (None, None, None)
    assert (there.requests, there.last_message) == (1, "too slow")
    assert there.last_day == (TODAY - 2 * DAY).date()
    insert_rows([a_row(**failed | {"error_message": "again"}, created_at=TODAY)])
    assert admin.errors(SINCE, TODAY + DAY)[0].last_message == "again"
    assert len(admin.errors(SINCE, TODAY + DAY, limit=1)) == 1


async def test_a_window_that_begins_within_a_day_has_its_part_of_it(
    admin: LLMServicesAdminProvider,
) -> None:
    """The last example is the last, whether it was counted by its day or with its row."""
    failed = {"status": "failed", "error_type": "Timeout", "user_id": ANN}
    at = [TODAY - n * DAY for n in (5.25, 4.75, 3)]
    insert_rows([a_row(**failed, created_at=when, error_message=f"{when}") for when in at])
    insert_rows([a_row(**failed | {"error_type": "Refused"}, created_at=TODAY - 3 * DAY)])
    await admin.refresh_daily_usage()
    since, until = TODAY - 5.5 * DAY, TODAY - 2 * DAY
    most, other = admin.errors(since, until)
    assert (most.requests, most.last_message) == (3, f"{at[2]}")
    assert (other.error_type, other.requests) == ("Refused", 1)
    [only] = admin.errors(since, until, limit=1)
    assert only.last_at == at[2]
    assert admin.usage("user", TODAY - 3 * DAY, until)[0].requests == 2


async def test_what_a_user_used_is_nobodys_after_the_erasure(
    admin: LLMServicesAdminProvider,
) -> None:
    """Sums of days keep their numbers and lose the user, also where nobody had some before."""
    user, day = uuid4(), TODAY - 3 * DAY
    insert_rows(
        [
            a_row(user_id=user, tenant="acme", created_at=day, cost_estimate=0.5),
            a_row(user_id=user, tenant="acme", created_at=day - DAY, cost_estimate=0.25),
            a_row(user_id=None, tenant="acme", created_at=day, cost_estimate=1.0),
            a_row(user_id=BOB, tenant="acme", created_at=day, cost_estimate=2.0),
        ]
    )
    await admin.refresh_daily_usage()
    assert str(user) in {row["user_id"] for row in sums_of_users()}
    assert (await admin.erase_user(user)).finished
    left = {(row["user_id"], row["requests"], row["cost_nano_usd"]) for row in sums_of_users()}
    assert left == {("", 1, 250_000_000), ("", 2, 1_500_000_000), (str(BOB), 1, 2_000_000_000)}
    costs = {key: row.cost for key, row in by_user(admin).items()}
    assert costs == {(None, "acme"): Decimal("1.75"), (BOB, "acme"): Decimal(2)}
    assert (await admin.erase_user(user)).erased == 0


async def test_who_used_what_goes_with_the_rows(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting a day's rows keeps its sums, and not those of its users."""
    monkeypatch.setenv("LLM_ROW_RETENTION_DAYS", "5")
    insert_rows([a_row(user_id=ANN, created_at=TODAY - n * DAY) for n in (9, 8, 2)])
    async with open_llm_services_admin() as admin:
        await admin.refresh_daily_usage()
        assert len(sums_of_users()) == 3
        assert (await admin.purge()).deleted == 2
        for _ in range(2):
            assert [row["requests"] for row in sums_of_users()] == [1]
            assert admin.totals(TODAY - 30 * DAY).requests == 3
            assert [row.requests for row in admin.usage("user", TODAY - 30 * DAY)] == [1]
            await admin.refresh_daily_usage()

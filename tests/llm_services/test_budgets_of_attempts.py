"""Budgets hold whatever is tried again: each attempt that may be paid is reserved before it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from modules.llm_services.exceptions import (
    LLMBudgetExceededError,
    LLMError,
    LLMProviderError,
    LLMRateLimitError,
    LLMRecordingError,
)
from modules.llm_services.pricing import PriceList, PriceOverride
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.recording import Budgets
from modules.llm_services.routing import with_fallback
from modules.llm_services.setting_types import Budget
from modules.llm_services.testing.prices import EVERYTHING
from modules.llm_services.types import Call, Candidate, Usage
from modules.shared.db import get_engine
from tests.llm_services.test_budgets import WORST, Road, books, roads, tokens  # noqa: F401
from tests.llm_services.test_recording import a_call
from tests.support.ledger import rows

ONE_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AT = datetime.now(UTC)
PAID = Usage(prompt_tokens=3, completion_tokens=7)


class Failing:
    """A vendor whose first answers are errors, and that says what was reserved meanwhile."""

    def __init__(self, *errors: LLMError) -> None:
        self._errors = list(errors)
        self.reserved: list[int] = []

    async def invoke(self, call: Call, attempt: Attempt) -> Reply:
        """One request."""
        del call, attempt
        self.reserved.append(books()[0]["reserved_tokens"] // WORST)
        if self._errors:
            raise self._errors.pop(0)
        return Reply(text="Yes.", model=None, finish_reason="stop", usage=PAID)


def paid(**facts: Any) -> LLMError:
    """A failure after which the request is sent again, and that may be charged."""
    return LLMProviderError("cut", retry_after=0.0, **facts)


def again(**changes: Any) -> Call:
    """A call that is tried three times."""
    return a_call(parameters={"max_tokens": 10}, max_retries=2, **changes)


def road_of(made: list[Road], calls: float, **options: Any) -> Road:
    """A road with a budget for so many requests."""
    made.append(Road(tokens(calls), **options))
    return made[-1]


async def test_each_attempt_after_a_paid_one_is_reserved(roads: list[Road]) -> None:  # noqa: F811
    """What failed and may be paid stays reserved, and so is the next; then all is given back."""
    road = road_of(roads, 3)
    vendor = Failing(paid(maybe_billed=True), paid(usage=PAID))
    await road.executor.run(again(), vendor.invoke)
    assert vendor.reserved == [1, 2, 3]
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, 20)]


@ONE_SQLITE
async def test_what_cost_nothing_needs_no_further_room(roads: list[Road]) -> None:  # noqa: F811
    """A 429 is not charged: the same reservation serves the next attempt."""
    road = road_of(roads, 1)
    vendor = Failing(LLMRateLimitError("wait", retry_after=0.0))
    await road.executor.run(again(), vendor.invoke)
    assert vendor.reserved == [1, 1]


@ONE_SQLITE
async def test_an_attempt_without_room_is_not_made(roads: list[Road]) -> None:  # noqa: F811
    """The call fails with what it met, whose cause is the budget; nothing stays reserved."""
    road = road_of(roads, 1.5)
    vendor = Failing(paid(usage=PAID))
    with pytest.raises(LLMProviderError, match="cut") as caught:
        await road.executor.run(again(), vendor.invoke)
    assert isinstance(caught.value.__cause__, LLMBudgetExceededError)
    assert vendor.reserved == [1]
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, 10)]


async def test_processes_together_do_not_overshoot(roads: list[Road]) -> None:  # noqa: F811
    """Many calls whose first answers are all paid and useless: never more than the budget."""
    made = [road_of(roads, 4) for _ in range(2)]
    worst = Usage(prompt_tokens=WORST - 10, completion_tokens=10)

    async def invoke(call: Call, attempt: Attempt) -> Reply:
        del call
        raise paid(usage=worst) if attempt.number < 3 else LLMProviderError("end", usage=worst)

    calls = [made[n % 2].executor.run(again(), invoke) for n in range(6)]
    await asyncio.gather(*calls, return_exceptions=True)
    [book] = books()
    assert book["reserved_tokens"] == 0
    assert 3 * WORST <= book["spent_tokens"] <= 4 * WORST


@ONE_SQLITE
@pytest.mark.parametrize("lenient", [False, True])
async def test_without_the_books_nobody_knows(roads: list[Road], lenient: bool) -> None:  # noqa: F811, FBT001
    """An attempt that cannot be reserved is not made, unless what nobody knows is allowed."""
    road = road_of(roads, 3, lenient=lenient, patience=2)

    async def invoke(call: Call, attempt: Attempt) -> Reply:
        del call
        if attempt.number > 1:
            return Reply(text="Yes.", model=None, finish_reason="stop", usage=PAID)
        with get_engine().begin() as connection:
            connection.execute(text("ALTER TABLE llm_budget_periods RENAME TO away"))
        raise paid(maybe_billed=True)

    async def back() -> None:
        with get_engine().begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO llm_budget_periods"))

    running = road.executor.run(again(), invoke)
    if lenient:
        await running
    else:
        with pytest.raises(LLMProviderError, match="cut") as caught:
            await running
        assert isinstance(caught.value.__cause__, LLMRecordingError)
    await back()
    await road.close()
    assert [(b["reserved_tokens"]) for b in books()] == [0]


@ONE_SQLITE
async def test_a_row_that_is_settled_holds_nothing_more(roads: list[Road]) -> None:  # noqa: F811
    """Whoever was taken for dead, and is not, reserves nothing that nobody would give back."""
    road = road_of(roads, 3)

    async def invoke(call: Call, attempt: Attempt) -> Reply:
        if attempt.number > 1:
            return Reply(text="Yes.", model=None, finish_reason="stop", usage=PAID)
        with get_engine().begin() as connection:
            interrupt = "UPDATE llm_requests SET status = 'failed', error_type = 'Interrupted'"
            connection.execute(text(interrupt))
        raise paid(maybe_billed=True)

    await road.executor.run(again(), invoke)
    assert books()[0]["reserved_tokens"] == WORST  # as whoever interrupted it has left it
    assert rows()[0]["status"] == "completed"


def test_the_dearest_candidate_is_reserved() -> None:
    """Which of several models will answer is not known: the most that one may take is reserved."""
    dear = PriceOverride(provider="b", model="*", input_per_mtok=100, output_per_mtok=100)
    budget = Budget.model_validate({"scope": "all", "period": "day", "usd": 5})
    budgets = Budgets([budget], PriceList([dear, EVERYTHING]))
    call = a_call(parameters={"max_tokens": 10})
    both = with_fallback(call, [Candidate(provider="b", model="claude")])
    alone = budgets.reservation(call, AT)
    assert budgets.reservation(both, AT).nano_usd > 90 * alone.nano_usd
    assert budgets.reservation(both, AT).tokens > alone.tokens
    unpriced = with_fallback(call, [Candidate(provider="c", model="x")])
    with pytest.raises(LLMBudgetExceededError, match="no price is known for c:x"):
        Budgets([budget], PriceList([dear])).reservation(unpriced, AT)

"""Budgets hold: what may be spent is reserved with the row, and booked with its outcome."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from modules.llm_services import repo
from modules.llm_services.exceptions import (
    LLMBudgetExceededError,
    LLMConfigurationError,
    LLMError,
    LLMRecordingError,
    LLMRefusedError,
)
from modules.llm_services.executor import Executor
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.public import (
    BatchRequest,
    BudgetThreshold,
    LLMMessageDTO,
    on_budget_threshold,
    open_llm_services,
)
from modules.llm_services.recording import (
    Budgets,
    Caretaker,
    GuardedOpening,
    LedgerWriter,
    Recorder,
    ledger_engine,
)
from modules.llm_services.recording.worst_case import worst_usage
from modules.llm_services.setting_types import Budget
from modules.llm_services.types import Attribution, AudioPart, Call, ToolSpec, Usage
from modules.llm_services.types.budgets import Reservation
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import a_call
from tests.support.ledger import rows, statuses

ROOT = Path(__file__).resolve().parents[2]
ASK = [LLMMessageDTO(role="user", content="Tell me about Mars and its moons.")]
LARGE = {"scope": "all", "period": "day", "usd": 5, "tokens": 1_000_000}


def configure(monkeypatch: pytest.MonkeyPatch, *budgets: dict[str, Any], **more: str) -> None:
    """Set budgets, and other settings by their names without LLM_."""
    monkeypatch.setenv("LLM_BUDGETS", json.dumps(budgets))
    for name, value in more.items():
        monkeypatch.setenv(f"LLM_{name}", value)


def books() -> list[dict[str, Any]]:
    """What the ledger's books say."""
    with get_engine().connect() as connection:
        found = connection.execute(text("SELECT * FROM llm_budget_periods ORDER BY scope, key"))
        return [dict(row._mapping) for row in found]


class Road:
    """The road under budgets in tokens, and a vendor that uses all that may be used."""

    def __init__(
        self, *budgets: Budget, patience: float = 20, lenient: bool = False, lease: int = 60
    ) -> None:
        engine = ledger_engine(get_engine(), patience)
        caretaker = self.caretaker = Caretaker(partial(ledger_engine, get_engine(), 5), lease)
        self.writer = LedgerWriter(engine, patience=patience, caretaker=caretaker)
        self.guarded = GuardedOpening(engine, caretaker)
        self.budgets = Budgets(budgets, PriceList(), lenient=lenient)
        recorder = Recorder(
            self.writer, patience=patience, guarded=self.guarded, budgets=self.budgets
        )
        self.executor = Executor(recorder, PriceList())
        self.sent = 0
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        self.usage: Usage | None = Usage(prompt_tokens=3, completion_tokens=7)

    async def invoke(self, call: Call, attempt: Attempt) -> Reply:
        """One request."""
        del call, attempt
        self.sent += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return Reply(text="Yes.", model=None, finish_reason="stop", usage=self.usage)

    async def run(self, **changes: Any) -> None:
        """Make a call."""
        await self.executor.run(a_call(parameters={"max_tokens": 10}, **changes), self.invoke)

    async def close(self) -> None:
        """Let everything be written."""
        await asyncio.to_thread(self.guarded.close)
        await asyncio.to_thread(self.writer.close)


WORST = worst_usage(a_call(parameters={"max_tokens": 10}), 10).total_tokens or 0


def tokens(calls: float, **changes: Any) -> Budget:
    """A budget for so many calls."""
    return Budget.model_validate(
        {"scope": "all", "period": "day", "tokens": round(calls * WORST), **changes}
    )


@pytest.fixture
async def roads(database_url: str) -> AsyncIterator[list[Road]]:
    """Roads to be closed."""
    made: list[Road] = []
    yield made
    for road in made:
        await road.close()


def a_road(roads: list[Road], *budgets: Budget, **options: Any) -> Road:
    """A road that is closed at the end."""
    roads.append(Road(*budgets, **options))
    return roads[-1]


async def test_a_call_spends_what_it_costs(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reserved while it is under way, then spent to the billionth; nothing stays reserved."""
    del database_url, vendor
    configure(monkeypatch, LARGE, {"scope": "user", "period": "month", "usd": "0.5"})
    user = uuid4()
    async with open_llm_services() as llm:
        response, _ = await llm.generate_response(ASK, user, model="gpt-4o", max_tokens=100)
        day, month = llm.budget_status(user_id=user)
        [alone] = llm.budget_status(user_id=None)
        [_, other] = llm.budget_status(user_id=uuid4(), tenant="t", feature="f")
    assert response.cost_estimate is not None
    assert day.spent_usd == month.spent_usd == pytest.approx(response.cost_estimate, abs=1e-9)
    assert (day.spent_tokens, day.reserved_tokens) == (response.tokens_used, 0)
    assert (day.reserved_usd, day.limit_usd, day.left_usd) == (0, 5, 5 - day.spent_usd)
    assert (month.scope, month.key, month.limit_tokens, month.left_tokens) == (
        *("user", str(user)),
        *(None, None),
    )
    assert day.resets_at > datetime.now(UTC)
    assert alone == day
    assert (other.spent_usd, other.left_usd) == (0, 0.5)
    said = rows()[0]["reservation"]
    said = json.loads(said) if isinstance(said, str) else said
    assert said["spent_tokens"] == response.tokens_used < said["tokens"]


async def test_what_a_budget_has_no_room_for_is_not_sent(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call has its row, and an error that says which budget, how full, and until when."""
    del database_url
    configure(monkeypatch, LARGE, {"scope": "feature", "key": "f", "period": "day", "usd": "1e-6"})
    async with open_llm_services() as llm:
        with pytest.raises(LLMBudgetExceededError, match="day's budget of feature f") as caught:
            await llm.generate_response(ASK, feature="f", model="gpt-4o")
        await llm.generate_response(ASK, feature="g", model="gpt-4o")
        with pytest.raises(LLMBudgetExceededError):
            async with llm.stream_response(ASK, feature="f", model="gpt-4o"):
                pass
        with pytest.raises(LLMBudgetExceededError, match="known hours later"):
            await llm.submit_batch([BatchRequest(messages=ASK)], model="gpt-4o")
    error = caught.value
    assert error.budget is not None
    assert (error.budget.unit, error.budget.limit, error.budget.used) == ("USD", 1e-6, 0)
    assert not error.retryable
    assert 0 <= (error.retry_after or 0) <= 86_400
    refused = [row for row in rows() if row["status"] == "failed"]
    assert {row["error_type"] for row in refused} == {"BudgetExceeded"}
    assert error.request_id in {UUID(str(row["id"])) for row in refused}
    assert len(vendor.journal()) == 1
    assert {book["reserved_nano_usd"] for book in books()} == {0}


async def test_an_unknown_price_is_refused_unless_allowed(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Money that cannot be counted cannot be limited; tokens can."""
    del database_url
    configure(monkeypatch, LARGE)
    async with open_llm_services() as llm:
        with pytest.raises(LLMBudgetExceededError, match="no price is known for openai:nobody"):
            await llm.generate_response(ASK, model="openai:nobody-knows")
        assert vendor.journal() == []
        configure(monkeypatch, LARGE, BUDGET_WHEN_UNKNOWN="allow")
    async with open_llm_services() as llm:
        response, _ = await llm.generate_response(ASK, model="openai:nobody-knows")
        [status] = llm.budget_status()
    assert status.spent_tokens == response.tokens_used
    assert status.spent_usd == 0


async def test_every_kind_of_call_reserves(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors, pictures, speech and searches are under budgets, too, and have prices."""
    del database_url, vendor
    configure(monkeypatch, LARGE)
    async with open_llm_services() as llm:
        await llm.generate_embeddings(["Mars"])
        await llm.generate_image("Mars")
        await llm.generate_audio("Mars.")
        await llm.search_web(["lava"])
        [status] = llm.budget_status()
    assert statuses() == ["completed"] * 4
    assert status.spent_usd == pytest.approx(sum(row["cost_estimate"] for row in rows()), abs=1e-8)


@pytest.mark.parametrize("how", ["failed", "cancelled", "unknown", "known"])
async def test_what_was_reserved_is_given_back(roads: list[Road], how: str) -> None:
    """However a call ends, nothing stays reserved; an answer that tells no tokens took them all."""
    road = a_road(roads, tokens(3))
    road.usage = Usage(prompt_tokens=3, completion_tokens=7) if how == "known" else None
    road.error = LLMRefusedError("no") if how == "failed" else None
    road.go.clear()
    task = asyncio.create_task(road.run())
    async with asyncio.timeout(30):
        while not road.sent:  # noqa: ASYNC110 - the row is opened in a thread
            await asyncio.sleep(0.01)
    assert books()[0]["reserved_tokens"] == WORST
    if how == "cancelled":
        task.cancel()
    road.go.set()
    await asyncio.gather(task, return_exceptions=True)
    spent = {"failed": 0, "cancelled": 0, "unknown": WORST, "known": 10}[how]
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, spent)]


async def test_all_budgets_of_a_call_or_none(roads: list[Road]) -> None:
    """When the last of several has no room, the others have reserved nothing."""
    road = a_road(roads, tokens(9), tokens(0.5, scope="user"))
    with pytest.raises(LLMBudgetExceededError, match="tokens, of which 0 are") as caught:
        await road.run(attribution=Attribution(user_id=uuid4()))
    assert caught.value.budget is not None
    assert caught.value.budget.scope == "user"
    assert all(book["reserved_tokens"] == 0 for book in books())
    await road.run()
    assert statuses() == ["completed", "failed"]


async def test_who_has_no_budget_pays_nothing(roads: list[Road]) -> None:
    """A call under no budget opens no books and reserves nothing."""
    road = a_road(roads, tokens(1, scope="tenant", key="a"))
    await road.run(attribution=Attribution(tenant="b"))
    await road.run()
    assert books() == []
    assert {row["reservation"] for row in rows()} == {None}


async def test_a_late_answer_books_its_cost_once(roads: list[Road]) -> None:
    """What a crash left reserved is given back by whoever interrupts the row; an answer that comes
    after all adds its cost, and gives nothing back again.
    """
    road = a_road(roads, tokens(3))
    road.go.clear()
    task = asyncio.create_task(road.run())
    async with asyncio.timeout(30):
        while not road.sent:  # noqa: ASYNC110 - the row is opened in a thread
            await asyncio.sleep(0.01)
    held = rows()[0]["reservation"]
    with get_engine().begin() as connection:
        interrupt = "UPDATE llm_requests SET status = 'failed', error_type = 'Interrupted'"
        connection.execute(text(interrupt))
        repo.release(connection, [json.loads(held) if isinstance(held, str) else held])
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, 0)]
    road.go.set()
    await task
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, 10)]


async def test_an_outcome_that_is_settled_already_books_nothing(roads: list[Road]) -> None:
    """A row is settled once, and so is its reservation."""
    road = a_road(roads, tokens(3))
    await road.run()
    [row] = rows()
    said = row["reservation"]
    outcome = dict.fromkeys(repo.SETTLED_COLUMNS) | {
        "row_id": UUID(str(row["id"])),
        "status": "failed",
        "reservation": json.loads(said) if isinstance(said, str) else said,
    }
    with get_engine().begin() as connection:
        repo.settle(connection, [outcome])
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, 10)]
    assert repo.bare_outcome(outcome, "no")["reservation"] == outcome["reservation"]


async def test_without_the_ledger_nobody_knows(roads: list[Road]) -> None:
    """A budget that cannot be looked at lets nothing pass, or all, as it is configured."""
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE llm_budget_periods RENAME TO away"))
    road = a_road(roads, tokens(3))
    with pytest.raises(LLMRecordingError, match="a budget has room"):
        await road.run()
    assert road.sent == 0
    assert rows() == []
    lenient = a_road(roads, tokens(3), lenient=True)
    await lenient.run()
    assert statuses() == ["completed"]


class StuckOpening(GuardedOpening):
    """The database neither takes a row nor refuses it, until it is told."""

    def open(
        self, row: Mapping[str, Any], reservation: Reservation | None = None
    ) -> "asyncio.Future[LLMError | None]":
        """A row that is not heard of again."""
        del row, reservation
        self.late: asyncio.Future[LLMError | None] = asyncio.get_running_loop().create_future()
        return self.late


async def test_a_database_that_says_nothing_is_not_waited_for(roads: list[Road]) -> None:
    """The call is refused within its patience, and a row that comes late is closed."""
    road = a_road(roads, tokens(3))
    stuck = StuckOpening(ledger_engine(get_engine(), 5), road.caretaker)
    road.executor._recorder._guarded = stuck
    road.executor._recorder._patience = 0.05
    with pytest.raises(LLMRecordingError, match="did not take the row within"):
        await road.run()
    stuck.late.set_result(None)
    await asyncio.sleep(0)
    assert road.sent == 0
    assert rows() == []


async def test_thresholds_are_told_once(
    roads: list[Road], caplog: pytest.LogCaptureFixture
) -> None:
    """At 50, 80 and 100 per cent, in one of all processes; a listener that fails harms nobody."""
    heard: list[BudgetThreshold] = []

    def stumble(_: BudgetThreshold) -> None:
        raise RuntimeError("no")

    endings = [on_budget_threshold(heard.append), on_budget_threshold(stumble)]
    one, two = (a_road(roads, tokens(10)) for _ in range(2))
    one.usage = two.usage = Usage(prompt_tokens=0, completion_tokens=WORST)
    for n in range(12):
        await asyncio.gather((one, two)[n % 2].run(), return_exceptions=True)
    for end in endings:
        end()
    assert [threshold.percent for threshold in heard] == [50, 80, 100]
    assert heard[0].scope == "all"
    assert "50 % of a budget (all, day) are spent or reserved" in caplog.text
    assert "a listener to budgets failed" in caplog.text
    assert len([status for status in statuses() if status == "completed"]) == 10


SCRIPT = """
    import asyncio
    from modules.llm_services.exceptions import LLMBudgetExceededError
    from modules.llm_services.types import Usage
    from tests.llm_services.test_budgets import Road, WORST, tokens

    async def main():
        road = Road(tokens(100), patience=60)
        road.usage = Usage(prompt_tokens=0, completion_tokens=WORST)
        ended = await asyncio.gather(*(road.run() for _ in range(100)), return_exceptions=True)
        await road.close()
        wrong = [one for one in ended if not isinstance(one, LLMBudgetExceededError | None)]
        print(road.sent, wrong)

    asyncio.run(main())
"""


def test_two_processes_cannot_overshoot(database_url: str) -> None:
    """200 calls in two processes on a budget for 100: 100 are sent, and all is booked."""
    del database_url  # the scripts find it in the environment
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'backend'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as two,
    ):
        said = [process.communicate(timeout=150)[0].split(maxsplit=1) for process in (one, two)]
    assert [wrong.strip() for _, wrong in said] == ["[]", "[]"]
    assert sum(int(sent) for sent, _ in said) == 100
    assert [(b["reserved_tokens"], b["spent_tokens"]) for b in books()] == [(0, 100 * WORST)]
    assert sorted(statuses()) == ["completed"] * 100 + ["failed"] * 100


@pytest.mark.parametrize(
    ("period", "at", "starts", "ends"),
    [
        ("day", "2026-12-31T23:59:59", "2026-12-31", "2027-01-01"),
        ("day", "2028-02-28T00:00:00", "2028-02-28", "2028-02-29"),
        ("month", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("month", "2026-02-01T00:00:00", "2026-02-01", "2026-03-01"),
    ],
)
def test_periods_begin_and_end_in_utc(period: str, at: str, starts: str, ends: str) -> None:
    """A day from midnight to midnight, a month from its first day to the next one's."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    account = tokens(1, period=period).account("*", moment)
    assert account.starts_on == date.fromisoformat(starts)
    assert account.resets_at == datetime.fromisoformat(ends).replace(tzinfo=UTC)


def test_a_name_of_its_own_goes_before_everybodys() -> None:
    """``*`` is for each by itself that has no budget under its own name."""
    budgets = Budgets(
        [tokens(1, scope="tenant"), tokens(2, scope="tenant", key="rich"), tokens(9)], PriceList()
    )

    def limits(tenant: str | None) -> Sequence[tuple[str, int | None]]:
        found = budgets.accounts(Attribution(tenant=tenant), datetime.now(UTC))
        return sorted((one.key, one.limit_tokens) for one in found)

    assert limits("rich") == [("*", 9 * WORST), ("rich", 2 * WORST)]
    assert limits("poor") == [("*", 9 * WORST), ("poor", WORST)]
    assert limits(None) == [("*", 9 * WORST)]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("{", "LLM_BUDGETS: must be a JSON list"),
        ('[{"scope": "all", "period": "day"}]', "needs usd, tokens or both"),
        ('[{"scope": "all", "key": "a", "period": "day", "usd": 1}]', "scope all has no key"),
        ('[{"scope": "team", "period": "day", "usd": 1}]', "LLM_BUDGETS"),
        ('[{"scope": "all", "period": "day", "usd": -1}]', "LLM_BUDGETS"),
        (json.dumps([LARGE, LARGE]), "two budgets have the same scope, key and period"),
    ],
)
async def test_budgets_that_make_no_sense_are_refused_at_start(
    database_url: str, monkeypatch: pytest.MonkeyPatch, said: str, wrong: str
) -> None:
    """The variable is named, and what is wrong with it."""
    del database_url
    monkeypatch.setenv("LLM_BUDGETS", said)
    with pytest.raises(LLMConfigurationError, match=wrong):
        async with open_llm_services():
            pass


def test_the_worst_case_of_each_kind() -> None:
    """Output as capped or configured; tools, sound and characters are counted."""
    call = a_call(parameters={})
    bare = worst_usage(call, 500)
    assert bare.completion_tokens == 500
    tool = ToolSpec(name="f", parameters={"type": "object", "properties": {}})
    tooled = worst_usage(replace(call, tools=(tool,)), 500)
    assert (tooled.prompt_tokens or 0) > (bare.prompt_tokens or 0)
    sound = LLMMessageDTO(role="user", content=(AudioPart(data=bytes(20_000)),))
    heard = worst_usage(replace(call, operation="transcription", messages=(sound,)), 500)
    assert (heard.audio_seconds, heard.audio_input_tokens) == (10, 100)
    spoken = worst_usage(replace(call, operation="speech"), 500)
    assert spoken.characters == len(call.messages[0].text)
    edited = worst_usage(
        replace(call, operation="image_edit", parameters={"images": [{}, {}]}), 500
    )
    assert edited.image_input_tokens == 2 * 6_240

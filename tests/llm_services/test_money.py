"""Operators' money: rows priced again at the price of their day, and held against the bill."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.formats.costs import costs_of
from modules.llm_services.public import (
    BatchRequest,
    LLMBadResponseError,
    LLMConfigurationError,
    LLMInputError,
    LLMMessageDTO,
    LLMPermissionError,
    LLMServicesAdminProvider,
    open_llm_services,
    open_llm_services_admin,
)
from modules.llm_services.recording import Books, Tally, ledger_engine
from modules.shared.db import get_engine
from sandbox import Sandbox
from sandbox.costs import CENT
from tests.support.ledger import rows

HELLO = [LLMMessageDTO(role="user", content="Name a river.")]
TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
TOMORROW = TODAY + timedelta(days=1)
DOLLAR = {"provider": "*", "model": "house-*", "input_per_mtok": "1", "output_per_mtok": "1"}
MONEY = ("cost_estimate", "cost_source", "price_ref")


@pytest.fixture
async def unpriced(database_url: str, vendor: Sandbox) -> None:
    """A ledger with a call that nobody knew the price of, one that was priced, and one refused."""
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model="openai:house-model")
        await llm.generate_response(HELLO, model="openai:gpt-4o")
        with pytest.raises(Exception, match="404"):
            await llm.generate_response(HELLO, model="openai:gpt-4o:status=404")


@pytest.fixture
def admin_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens the operators' door under a file of prices."""

    def opened(*entries: dict[str, Any]) -> Any:
        file = tmp_path / "prices.json"
        file.write_text(json.dumps(entries))
        monkeypatch.setenv("LLM_PRICE_OVERRIDES", str(file))
        return open_llm_services_admin()

    return opened


def change(statement: str, **values: Any) -> None:
    """Change the ledger by raw SQL."""
    with get_engine().begin() as connection:
        connection.execute(text(statement), values)


def money(model: str) -> tuple[Any, ...]:
    """What a row of a model holds of money."""
    [row] = rows(f"model = '{model}'")
    return tuple(row[name] for name in MONEY)


async def test_a_price_that_is_known_now_is_written(unpriced: None, admin_with: Any) -> None:
    """The row gets cost, source, place and breakdown; a second run finds nothing to do."""
    [row] = rows("model = 'house-model'")
    expected = Decimal(row["tokens_used"]) / 1_000_000
    async with admin_with(DOLLAR) as admin:
        admin._runtime.books._page = 1
        report = await admin.recost(YESTERDAY, TOMORROW)
        again = await admin.recost(YESTERDAY, TOMORROW)
    assert (report.looked_at, report.changed, report.still_unknown) == (1, 1, 0)
    assert (report.cost_before, report.cost_after, report.days) == (0, expected, (TODAY,))
    assert money("house-model") == (float(expected), "override", "override:prices.json#0")
    assert rows("model = 'house-model'")[0]["cost_details"] is not None
    assert (again.looked_at, again.changed) == (0, 0)


async def test_daily_sums_follow(unpriced: None, admin_with: Any) -> None:
    """The sums of a day whose rows were priced again are those of its rows now."""
    change("UPDATE llm_requests SET created_at = :at", at=_stored("2026-10-01 12:00:00"))
    day = date(2026, 10, 1)
    async with admin_with(DOLLAR) as admin:
        await admin.refresh_daily_usage(day, day)
        before = _daily()
        report = await admin.recost(day, day)
    assert report.changed == 1
    assert Decimal(_daily() - before) / 10**9 == report.cost_after


def _stored(moment: str) -> str:
    """A moment in UTC as the database writes it."""
    return moment if get_engine().dialect.name == "sqlite" else f"{moment}+00"


def _daily() -> int:
    with get_engine().connect() as connection:
        nano = connection.scalar(text("SELECT sum(cost_nano_usd) FROM llm_usage_daily"))
    return int(nano)


async def test_a_dry_run_only_tells(unpriced: None, admin_with: Any) -> None:
    """The report is the same, and the row is as it was."""
    async with admin_with(DOLLAR) as admin:
        report = await admin.recost(TODAY, TODAY, dry_run=True)
    assert (report.changed, report.dry_run) == (1, True)
    assert report.cost_after > 0
    assert money("house-model") == (None, "unknown", None)


async def test_all_rows_are_priced_anew_when_asked(unpriced: None, admin_with: Any) -> None:
    """Also those that have a cost; the one without tokens is none of them."""
    contract = {"provider": "openai", "model": "gpt-4o", "input_per_mtok": "0"}
    async with admin_with({**contract, "output_per_mtok": "0"}) as admin:
        report = await admin.recost(TODAY, TODAY, only_unknown=False)
    assert (report.looked_at, report.changed, report.still_unknown) == (2, 1, 1)
    assert (report.cost_before > 0, report.cost_after) == (True, 0)
    [answered, refused] = rows("model LIKE 'gpt-4o%'")
    assert (answered["cost_estimate"], answered["cost_source"]) == (0, "override")
    assert (refused["cost_estimate"], refused["cost_source"]) == (None, None)


async def test_a_known_cost_is_never_lost(unpriced: None, admin_with: Any) -> None:
    """A model that has no price any more keeps the cost that it had."""
    before = money("gpt-4o")
    unheard_of = {"provider": "openai", "model": "gpt-4o", "per_search": "1"}
    async with admin_with(unheard_of) as admin:
        report = await admin.recost(TODAY, TODAY, only_unknown=False)
    assert (report.changed, report.still_unknown) == (0, 1)
    assert report.cost_before == report.cost_after
    assert money("gpt-4o") == before


@pytest.mark.parametrize("source", ["provider", "cache"])
async def test_what_others_said_is_left_alone(unpriced: None, admin_with: Any, source: str) -> None:
    """Neither a provider's own word nor a cached answer is priced by us."""
    change("UPDATE llm_requests SET cost_source = :source", source=source)
    async with admin_with(DOLLAR) as admin:
        report = await admin.recost(TODAY, TODAY, only_unknown=False)
    assert report.looked_at == 0
    assert money("house-model") == (None, source, None)


async def test_each_row_has_the_price_of_its_day(unpriced: None, admin_with: Any) -> None:
    """An entry that ended yesterday prices what was called then, and days outside are left out."""
    change(
        "UPDATE llm_requests SET created_at = :at, attempts = NULL WHERE model = 'house-model'",
        at=_stored("2026-10-01 12:00:00"),
    )
    old = {**DOLLAR, "valid_until": "2026-10-01"}
    dear = {**DOLLAR, "input_per_mtok": "1000"}
    async with admin_with(old, dear) as admin:
        outside = await admin.recost(date(2026, 10, 2), date(2026, 10, 30))
        report = await admin.recost(date(2026, 10, 1), date(2026, 10, 1))
    assert (outside.looked_at, report.changed, report.days) == (0, 1, (date(2026, 10, 1),))
    assert money("house-model")[2] == "override:prices.json#0"


async def test_a_row_of_an_older_engine_is_priced_by_its_columns(
    database_url: str, admin_with: Any
) -> None:
    """It has no attempts, and perhaps an id without dashes: its tokens are all there is."""
    row_id = uuid4()
    sqlite = database_url.startswith("sqlite")
    change(
        "INSERT INTO llm_requests (id, provider, model, temperature, max_tokens, messages, status,"
        " retry_attempt, cached, prompt_tokens, completion_tokens, created_at) VALUES"
        " (:id, 'azure_openai', 'house-old', 1, 0, '[]', 'completed', 1, :no, 1000, 500, :at)",
        id=row_id.hex if sqlite else row_id,
        no=False,
        at=_stored("2026-10-01 12:00:00"),
    )
    async with admin_with(DOLLAR) as admin:
        report = await admin.recost(date(2026, 10, 1), date(2026, 10, 1))
    assert report.changed == 1
    assert money("house-old") == (0.0015, "override", "override:prices.json#0")


async def test_failed_attempts_and_batches_are_priced_as_they_were(
    database_url: str, vendor: Sandbox, admin_with: Any
) -> None:
    """Every attempt with tokens counts; a batch's rows cost the batch's price, a tier's its own."""
    async with open_llm_services() as llm:
        model = "openai:house-model:empty,times=1"
        await llm.generate_response(HELLO, model=model, service_tier="flex")
        await llm.generate_response(
            HELLO, model="openai:house-retried:status=500,retry_after=0,times=1"
        )
        batch = await llm.submit_batch([BatchRequest(messages=HELLO)], model="openai:house-batch")
        while not (await llm.batch_status(batch.id)).ended:
            pass
        async for _ in llm.collect_batch(batch.id):
            pass
    half = {**DOLLAR, "service_tier": "batch", "input_per_mtok": "0.5", "output_per_mtok": "0.5"}
    flex = {**DOLLAR, "service_tier": "flex", "input_per_mtok": "2", "output_per_mtok": "2"}
    async with admin_with(half, flex, DOLLAR) as admin:
        report = await admin.recost(TODAY, TODAY)
    assert report.changed == 3
    tried, retried, batched = rows()
    assert retried["cost_estimate"] == pytest.approx(retried["tokens_used"] / 1e6)
    assert tried["retry_attempt"] == 2
    assert tried["cost_estimate"] == pytest.approx(tried["tokens_used"] * 2 / 1e6)
    assert batched["cost_estimate"] == pytest.approx(batched["tokens_used"] * 0.5 / 1e6)


async def test_many_rows_go_page_by_page(unpriced: None) -> None:
    """Every row is looked at once, also where several have the same instant."""
    change("UPDATE llm_requests SET cost_estimate = NULL, cost_source = NULL")
    with get_engine().begin() as connection:
        columns = "provider, model, operation, temperature, max_tokens, messages, status"
        rest = "retry_attempt, cached, maybe_paid, stream, payload_state, prompt_tokens, created_at"
        for number in range(7):
            connection.execute(
                text(
                    f"INSERT INTO llm_requests (id, {columns}, {rest}) SELECT :id, {columns}, "  # noqa: S608
                    f"{rest} FROM llm_requests WHERE model = 'gpt-4o'" + " LIMIT 1"
                ),
                {
                    "id": str(uuid4())
                    if number >= 0 and connection.dialect.name == "sqlite"
                    else uuid4()
                },
            )
    engine = ledger_engine(get_engine(), 20)
    refreshed: list[date] = []
    books = Books(engine, PriceList(), lambda day, _to: refreshed.append(day), page=3)
    tally, after, pages = Tally(), None, 0
    window = (datetime.combine(TODAY, datetime.min.time(), UTC), datetime.now(UTC))
    while pages == 0 or after is not None:
        after = books.page(window, after, tally, only_unknown=True, dry_run=False)
        pages += 1
    books.refresh_days(tally)
    engine.dispose()
    assert (tally.looked_at, tally.changed, tally.still_unknown) == (9, 8, 1)
    assert (pages > 1, refreshed) == (True, [TODAY])


async def test_a_database_that_is_away_is_told(unpriced: None) -> None:
    """An error of ours that says what to do, and nothing of the SQL."""
    change("ALTER TABLE llm_requests RENAME TO elsewhere")
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMRecordingError, match="did not answer"):
            await admin.recost(TODAY, TODAY)


@pytest.mark.parametrize(
    ("days", "named"),
    [
        (("2026-01-01", TODAY), "from_day"),
        ((datetime.now(UTC), TODAY), "from_day"),
        ((TODAY, None), "to_day"),
        ((TODAY, YESTERDAY), "to_day"),
        ((TODAY, date.max), "to_day"),
    ],
)
async def test_days_that_make_no_sense_are_named(
    database_url: str, days: tuple[Any, Any], named: str
) -> None:
    """Before the database is asked."""
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMInputError, match=f"^{named}"):
            await admin.recost(*days)


@pytest.fixture
async def admin(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesAdminProvider]:
    """The operators' door with the key that sees the costs."""
    monkeypatch.setenv("LLM_OPENAI_ADMIN_KEY", "sk-admin-1")
    async with open_llm_services_admin() as opened:
        yield opened


async def test_a_day_is_held_against_its_bill(
    admin: LLMServicesAdminProvider, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of the bill against the rows of that day and provider, doubts counted."""
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model="openai:gpt-4o:cost=0.01")
        await llm.generate_response(HELLO, model="openai:house-model")
        await llm.generate_embeddings(["a river"], model="openai:text-embedding-3-small")
        await llm.generate_audio("A river.", model="openai:gpt-4o-mini-tts")
    change("UPDATE llm_requests SET maybe_paid = :yes WHERE model = 'house-model'", yes=True)
    known = sum(row["cost_estimate"] or 0 for row in rows())
    report = await admin.reconcile(TODAY)
    assert report.vendor_cost == sum(report.line_items.values()) == Decimal("0.04")
    assert set(report.line_items) == {"/v1/responses", "/v1/embeddings", "/v1/audio/speech"}
    assert (report.provider, report.day, report.requests) == ("openai", TODAY, 4)
    assert float(report.ledger_cost) == pytest.approx(known)
    assert report.drift == report.vendor_cost - report.ledger_cost
    assert report.drift_percent == pytest.approx(float(report.drift) / (4 * CENT) * 100)
    unknown = [row for row in rows() if row["cost_source"] == "unknown"]
    assert (report.unpriced, report.maybe_paid) == (len(unknown), 1)
    assert len(unknown) >= 1


async def test_a_day_without_costs_has_no_percentage(admin: LLMServicesAdminProvider) -> None:
    """Nothing billed and nothing known is no drift, and no division by it."""
    report = await admin.reconcile(YESTERDAY)
    assert report.vendor_cost == report.ledger_cost == report.drift == 0
    assert (report.drift_percent, report.line_items) == (None, {})


async def test_costs_need_their_own_key(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it nothing is asked; one that may not see them is told as such, and stays secret."""
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMConfigurationError, match="LLM_OPENAI_ADMIN_KEY is not set"):
            await admin.reconcile(TODAY)
    assert vendor.journal() == []
    monkeypatch.setenv("LLM_OPENAI_ADMIN_KEY", "sk-project-key")
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMPermissionError) as caught:
            await admin.reconcile(TODAY)
    assert "sk-project-key" not in repr(caught.value.__dict__)


def _page(**result: Any) -> dict[str, Any]:
    return {"data": [{"start_time": 86_400, "results": [result]}], "has_more": False}


def test_costs_are_read_exactly() -> None:
    """Amounts are numbers or text; other days, and results without an amount, add nothing."""
    wire = costs_of(86_400, "a&b")
    assert wire.path.endswith("&page=a%26b")
    read = [
        _page(amount={"value": 0.1, "currency": "usd"}, line_item="gpt-4o, input"),
        _page(amount={"value": "0.1307", "currency": "USD"}, line_item=None),
        _page(amount=None),
        {"data": [{"start_time": 0, "results": [{"amount": {"value": 9, "currency": "usd"}}]}]},
    ]
    found = [wire.reply(page).parsed.items for page in read]  # type: ignore[attr-defined]
    assert found == [{"gpt-4o, input": Decimal("0.1")}, {"": Decimal("0.1307")}, {"": 0}, {}]


@pytest.mark.parametrize(
    "result",
    [
        {"amount": {"value": 1, "currency": "eur"}},
        {"amount": {"value": "much", "currency": "usd"}},
        {"amount": {"value": "NaN", "currency": "usd"}},
    ],
)
def test_what_is_no_amount_in_dollars_is_an_error(result: dict[str, Any]) -> None:
    """A sum of euros and dollars would be a lie."""
    with pytest.raises(LLMBadResponseError):
        costs_of(86_400, None).reply(_page(**result))

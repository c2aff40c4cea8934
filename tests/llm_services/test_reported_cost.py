"""Who says what a call cost: the provider first, then our prices; unknown is said to be unknown."""

import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from pydantic import BaseModel

from modules.llm_services.pricing import TABLE_REF, PriceList, PriceOverride, newest_price
from modules.llm_services.providers.formats.reported import reported_cost
from modules.llm_services.public import LLMError, LLMMessageDTO, open_llm_services
from modules.llm_services.types import Usage
from sandbox import Sandbox
from tests.support.ledger import rows

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HELLO = [LLMMessageDTO(role="user", content="Name a river.")]
TOKENS = Usage(prompt_tokens=1_000, completion_tokens=100)


class River(BaseModel):
    """What is asked for."""

    name: str


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.00042}, "0.00042"),
        ({"cost": 0}, "0"),
        ({"cost": "0.5"}, "0.5"),
        ({"cost": 0.95, "cost_details": {"upstream_inference_cost": 19}}, "19.95"),
        ({"cost": 1, "is_byok": False, "cost_details": {"upstream_inference_cost": 1}}, "1"),
        ({"cost": 1, "cost_details": {"upstream_inference_cost": None}}, "1"),
        ({"cost_in_usd_ticks": 37756000}, "0.0037756"),
        ({}, None),
        ({"cost": None}, None),
        ({"cost": True}, None),
        ({"cost": -1}, None),
        ({"cost": "much"}, None),
        ({"cost": "NaN"}, None),
        ({"cost": [1]}, None),
        (None, None),
    ],
)
def test_a_providers_word_is_read_exactly(usage: Any, cost: str | None) -> None:
    """OpenRouter's and xAI's fields in USD; what is no amount counts as not told."""
    assert reported_cost(usage) == (None if cost is None else Decimal(cost))


def test_the_providers_word_goes_before_every_price() -> None:
    """Also a reported zero, which is not "missing", and also for a model that nobody knows."""
    override = PriceOverride(provider="*", model="*", input_per_mtok=Decimal(9))
    for cost in (Decimal("0.01"), Decimal(0)):
        usage = TOKENS + Usage(reported_cost=cost)
        price = PriceList([override]).price("house", "any", usage, NOW)
        assert (price.total, price.source, price.ref) == (cost, "provider", "usage")


def test_a_stored_usage_is_read_back() -> None:
    """What the row's attempts hold is the usage again; a unit of a later release is left out."""
    usage = TOKENS + Usage(reported_cost=Decimal("0.000000001"), audio_seconds=1.5)
    stored = usage.as_dict()
    assert stored["reported_cost"] == "0.000000001"
    assert Usage.from_dict({**stored, "of_tomorrow": 1}) == usage
    assert Usage.from_dict({}) == Usage()


def test_a_long_prompt_may_have_an_entry_of_its_own() -> None:
    """The entry above a number of tokens holds from the next token on."""
    long = PriceOverride(
        provider="*", model="*", above_prompt_tokens=1_000, input_per_mtok=Decimal(2)
    )
    plain = PriceOverride(provider="*", model="*", input_per_mtok=Decimal(1))
    prices = PriceList([long, plain])

    def total(prompt: int) -> Decimal | None:
        return prices.price("p", "m", Usage(prompt_tokens=prompt), NOW).total

    assert total(1_000) == Decimal("0.001")
    assert total(1_001) == Decimal("0.002002")


def test_the_table_says_how_new_it_is() -> None:
    """Its release as rows name it, and the last day on which a price in it changed."""
    assert f"genai-prices {genai_prices.__version__}" == TABLE_REF
    newest = newest_price(NOW.date())
    assert newest is not None
    assert date(2026, 9, 1) <= newest <= NOW.date()
    assert newest_price(date(1999, 1, 1)) is None


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_row_holds_what_the_provider_charged(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    """The reported cost is the row's, streamed or not, and the attempt keeps it for later."""
    monkeypatch.setenv("LLM_PROVIDERS__ROUTER__BASE_URL", vendor.base_url)
    monkeypatch.setenv("LLM_PROVIDERS__ROUTER__API_KEY", "sk-router")
    monkeypatch.setenv("LLM_PROVIDERS__ROUTER__API", api)
    model = "router:of-the-house:cost=0.0042"
    async with open_llm_services() as llm:
        response, _ = await llm.generate_response(HELLO, model=model)
        async with llm.stream_response(HELLO, model=model) as stream:
            async for _ in stream:
                pass
    assert response.cost_estimate == stream.response.cost_estimate == 0.0042
    for row in rows():
        assert (row["cost_estimate"], row["cost_source"]) == (0.0042, "provider")
        assert row["price_ref"] == "usage"


async def test_attempts_that_failed_are_paid_too(database_url: str, vendor: Sandbox) -> None:
    """An answer that did not fit is in the sum, a failed call that reported tokens has a cost."""
    async with open_llm_services() as llm:
        await llm.generate_structured_response(
            HELLO, River, model="openai:gpt-4o:invalid_json,times=1,cost=0.5"
        )
        with pytest.raises(LLMError) as caught:
            await llm.generate_structured_response(
                HELLO, River, model="openai:gpt-4o:invalid_json,cost=0.25", max_retries=1
            )
    assert caught.value.cost == Decimal("0.50")
    mended, failed = rows()
    assert mended["cost_estimate"] > 0.5
    assert mended["cost_source"] == "genai-prices"  # the attempt that was answered was priced so
    assert (failed["status"], failed["cost_estimate"]) == ("failed", 0.5)
    assert failed["cost_source"] == "provider"


async def test_an_unusable_answer_costs_what_its_tier_costs(
    database_url: str, vendor: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal does not say in which tier it was made: the one that was asked for is priced."""
    entry = {"provider": "openai", "model": "*", "output_per_mtok": "0"}
    flex_entry = {**entry, "service_tier": "flex", "input_per_mtok": "1"}
    file = tmp_path / "prices.json"
    file.write_text(json.dumps([flex_entry, {**entry, "input_per_mtok": "2"}]))
    monkeypatch.setenv("LLM_PRICE_OVERRIDES", str(file))
    async with open_llm_services() as llm:
        for tier in ("default", "flex"):
            with pytest.raises(LLMError):
                await llm.generate_response(HELLO, model="openai:gpt-5.4:refuse", service_tier=tier)
    plain, flex = (row["cost_estimate"] for row in rows())
    assert flex == pytest.approx(plain / 2)


async def test_an_unknown_price_is_said_to_be_unknown(
    database_url: str, vendor: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """No cost, the source `unknown`, one warning for the model; a call without tokens has none."""
    async with open_llm_services() as llm:
        with caplog.at_level(logging.WARNING, "modules.llm_services"):
            for _ in range(2):
                await llm.generate_response(HELLO, model="openai:nobodys-model")
        with pytest.raises(LLMError):
            await llm.generate_response(HELLO, model="openai:gpt-4o:status=400")
    unpriced, again, refused = rows()
    for row in (unpriced, again):
        assert (row["cost_estimate"], row["cost_source"]) == (None, "unknown")
        assert (row["price_ref"], row["cost_details"]) == (None, None)
    assert (refused["cost_estimate"], refused["cost_source"]) == (None, None)
    assert [r.getMessage() for r in caplog.records if "No price" in r.getMessage()] == [
        "No price for 'openai:nobodys-model': genai-prices does not have it"
    ]


async def test_an_override_goes_before_the_table(
    database_url: str, vendor: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the file to the row, which names the entry."""
    file = tmp_path / "prices.json"
    file.write_text(
        '[{"provider": "openai", "model": "gpt-4o", "input_per_mtok": "1", "output_per_mtok": "1"}]'
    )
    monkeypatch.setenv("LLM_PRICE_OVERRIDES", str(file))
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model="gpt-4o")
    [row] = rows()
    assert (row["cost_source"], row["price_ref"]) == ("override", "override:prices.json#0")

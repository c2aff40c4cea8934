"""What a call cost: exact, each token once, and unknown instead of wrong or free."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.pricing import Price, PriceList, PriceOverride, load_overrides, warm
from modules.llm_services.types import Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNKNOWN = Price(None, "unknown")
TABLE = f"genai-prices {genai_prices.__version__}"
MILLION = 1_000_000

counts = st.none() | st.integers(0, 2 * MILLION)
usages = st.builds(
    Usage,
    prompt_tokens=counts,
    completion_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
)
models = st.sampled_from(["gpt-6-sol", "gpt-5.4", "gpt-4o", "text-embedding-3-small"])
Entry = dict[str, Any]


@st.composite
def sound_usages(draw: st.DrawFn) -> Usage:
    """Usages that obey the subset rule."""
    prompt, completion = draw(st.integers(0, 400_000)), draw(st.integers(0, 100_000))
    cached = draw(st.integers(0, prompt))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=cached,
        cache_write_tokens=draw(st.integers(0, prompt - cached)),
        reasoning_tokens=draw(st.integers(0, completion)),
    )


def an_override(**changes: Any) -> PriceOverride:
    """One and two dollars per million for everything, changed by what a test is about."""
    entry: Entry = {"provider": "*", "model": "*", "input_per_mtok": "1", "output_per_mtok": "2"}
    return PriceOverride.model_validate(entry | changes)


def cost(model: str, usage: Usage, tier: str | None = None) -> Decimal | None:
    """USD by the table, at OpenAI."""
    return PriceList().price("openai", model, usage, NOW, service_tier=tier).total


# --- the table ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "per_million"),
    [
        ("gpt-6-astra", ("10", "1", "12.5", "50")),
        ("gpt-6.1-sol", ("2", ".10", "2.5", "10")),
        ("gpt-6-sol", ("2", ".20", "2.5", "10")),
        ("gpt-6.1-terra", ("1", ".05", "1.25", "5")),
        ("gpt-6-luna", (".10", ".01", ".125", ".50")),
        ("gpt-5.6-sol", ("4", ".40", "5", "20")),
        ("gpt-5.6-luna", (".20", ".02", ".25", "1.20")),
        ("gpt-5.5", ("5", ".50", "5", "30")),
        ("gpt-5.4-mini", (".75", ".075", ".75", "4.5")),
    ],
)
def test_list_prices(model: str, per_million: tuple[str, str, str, str]) -> None:
    """Each class of tokens costs what OpenAI publishes; writing without a price costs as input."""
    fresh, cached, written, output = (Decimal(usd) for usd in per_million)
    usage = Usage(
        prompt_tokens=100_000,
        cache_read_tokens=30_000,
        cache_write_tokens=10_000,
        completion_tokens=20_000,
        reasoning_tokens=5_000,
    )
    price = PriceList().price("openai", model, usage, NOW)
    shares = {
        "input": fresh * 60_000,
        "cached": cached * 30_000,
        "cache_write": written * 10_000,
        "output": output * 15_000,
        "reasoning": output * 5_000,
    }
    assert price.details is not None
    assert {name: Decimal(usd) for name, usd in price.details.items()} == {
        name: usd / MILLION for name, usd in shares.items()
    }
    assert (price.total, price.source, price.ref) == (
        sum(shares.values()) / MILLION,
        "genai-prices",
        TABLE,
    )


def test_details_are_plain_decimals() -> None:
    """Small amounts are written out, so that any reader of the row can parse them."""
    usage = Usage(prompt_tokens=3, cache_read_tokens=1, completion_tokens=0)
    details = PriceList().price("openai", "gpt-6-luna", usage, NOW).details
    assert details == {"input": "0.0000002", "cached": "0.00000001"}


def test_a_long_prompt_moves_everything_to_the_next_tier() -> None:
    """Above 272k the whole prompt costs double and the answer half as much again."""
    below, above = (Usage(prompt_tokens=n, completion_tokens=1000) for n in (272_000, 272_001))
    assert cost("gpt-6-sol", below) == Decimal("0.544") + Decimal("0.01")
    assert cost("gpt-6-sol", above) == Decimal("1.088004") + Decimal("0.015")


@pytest.mark.parametrize(
    ("tier", "factor"),
    [
        *((tier, "1") for tier in (None, "default", "auto", "standard", "on_demand")),
        *((tier, "0.5") for tier in ("flex", "batch", "Batch")),
        *((tier, "2") for tier in ("priority", "fast")),
    ],
)
def test_service_tiers_have_rates_of_their_own(tier: str | None, factor: str) -> None:
    """Flex and batch cost half, priority and fast double."""
    usage = Usage(prompt_tokens=1000, cache_read_tokens=500, completion_tokens=500)
    standard = cost("gpt-6-sol", usage)
    assert standard is not None
    assert cost("gpt-6-sol", usage, tier) == standard * Decimal(factor)


def test_anthropics_batch_and_fast_are_tiers_too() -> None:
    """What others file under processing or speed is found by the same name."""
    usage, prices = Usage(prompt_tokens=1000, completion_tokens=1000), PriceList()
    model = "claude-opus-4-8"
    standard = prices.price("anthropic", model, usage, NOW).total
    batch = prices.price("anthropic", model, usage, NOW, service_tier="batch").total
    fast = prices.price("anthropic", model, usage, NOW, service_tier="fast").total
    assert standard is not None
    assert batch == standard / 2
    assert fast is not None
    assert fast > standard


@pytest.mark.parametrize(
    ("provider", "model", "tier", "at"),
    [
        ("openai", "gpt-6.1-sol", "ultrafast", NOW),
        ("openai", "gpt-6.1-sol", "scale", NOW),
        ("openai", "gpt-6-sol", "flex", datetime(2026, 10, 11, tzinfo=UTC)),
        ("azure_openai", "gpt-6-sol", "priority", NOW),
        ("groq", "llama-3.3-70b-versatile", "flex", NOW),
    ],
)
def test_a_tier_without_rates_is_unknown(
    provider: str, model: str, tier: str, at: datetime
) -> None:
    """The list price would be wrong by up to six times, so it isn't taken for such a call."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    assert PriceList().price(provider, model, usage, at).total is not None
    assert PriceList().price(provider, model, usage, at, service_tier=tier) == UNKNOWN


def test_the_price_is_that_of_the_time_of_the_call() -> None:
    """A call from before a price change keeps its old price, whatever zone it is told in."""
    usage, midnight = Usage(prompt_tokens=MILLION), datetime(2025, 6, 10, tzinfo=UTC)
    before = midnight - timedelta(minutes=1)
    prices = PriceList()
    assert prices.price("openai", "o3", usage, midnight).total == 2
    assert prices.price("openai", "o3", usage, before).total == 10
    assert prices.price("openai", "o3", usage, before.replace(tzinfo=None)).total == 10
    in_tokyo = before.astimezone(timezone(timedelta(hours=9)))
    assert prices.price("openai", "o3", usage, in_tokyo).total == 10


def test_a_fee_per_request_is_part_of_the_price() -> None:
    """Perplexity charges for the request besides its tokens."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    price = PriceList().price("perplexity", "sonar", usage, NOW)
    assert price.total == Decimal("0.014")
    assert price.details == {"input": "0.001", "output": "0.001", "request": "0.012"}


def test_every_model_of_the_table_costs_what_the_table_says() -> None:
    """Our split by classes adds up to the library's own total, or the price is unknown."""
    usage = Usage(
        prompt_tokens=300_000,
        cache_read_tokens=20_000,
        cache_write_tokens=10_000,
        completion_tokens=5_000,
        reasoning_tokens=500,
    )
    theirs = genai_prices.Usage(
        input_tokens=300_000,
        cache_read_tokens=20_000,
        cache_write_tokens=10_000,
        output_tokens=5_000,
        output_reasoning_tokens=500,
    )
    prices, agreed = PriceList(), 0
    for vendor in get_snapshot().providers:
        for model in vendor.models:
            ours = prices.price(vendor.id, model.id, usage, NOW).total
            if ours is not None:
                total = genai_prices.calc_price(
                    theirs, model.id, provider_id=vendor.id, genai_request_timestamp=NOW
                ).total_price
                assert ours == total, (vendor.id, model.id)
                agreed += 1
    assert agreed > 1500


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["azure_openai", "azure", "OpenAI"])
def test_our_provider_names_are_known(name: str) -> None:
    """Azure's models cost as OpenAI's, and case does not matter."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    price = PriceList().price(name, "gpt-6-sol", usage, NOW)
    assert price.total == cost("gpt-6-sol", usage)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openrouter", "openai/gpt-6-sol"),
        ("gemini", "gemini-2.5-flash"),
        ("vertex", "gemini-2.5-flash"),
        ("bedrock", "amazon.nova-pro-v1:0"),
        ("xai", "grok-4"),
        ("x_ai", "grok-4"),
        ("groq", "llama-3.3-70b-versatile"),
        ("deepseek", "deepseek-chat"),
        ("mistral", "mistral-large-latest"),
    ],
)
def test_other_providers_are_in_the_table(provider: str, model: str) -> None:
    """The usual names of other vendors find their prices."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    assert PriceList().price(provider, model, usage, NOW).source == "genai-prices"


@pytest.mark.parametrize("provider", ["ollama", "vllm", "llamacpp", "lmstudio", "my_openai_proxy"])
def test_a_name_that_only_looks_like_a_vendors_is_unknown(provider: str) -> None:
    """A local engine or a proxy costs nothing we know of, whatever its models are called."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    assert PriceList().price(provider, "gpt-4o", usage, NOW) == UNKNOWN


def test_the_model_that_answered_sets_the_price() -> None:
    """An alias or a deployment costs as the model behind it."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    price = PriceList().price(
        "azure_openai", "our-deployment", usage, NOW, response_model="gpt-6-luna"
    )
    assert price.total == cost("gpt-6-luna", usage)


def test_a_dated_answer_is_not_taken_for_another_model() -> None:
    """The old snapshot keeps its own price though the alias has a newer one."""
    usage = Usage(prompt_tokens=MILLION, completion_tokens=0)
    price = PriceList().price("openai", "gpt-4o", usage, NOW, response_model="gpt-4o-2024-05-13")
    assert price.total == 5


@pytest.mark.parametrize("dated", ["gpt-5.4-2027-01-01", "gpt-5.4-20270101", "gpt-5.4@20270101"])
def test_an_unheard_of_snapshot_costs_as_its_family(dated: str) -> None:
    """The next dated release is priced before the table knows its date."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    assert cost(dated, usage) == cost("gpt-5.4", usage)


def test_an_unknown_answer_falls_back_on_the_asked_model() -> None:
    """A server that reports a name of its own does not make the price unknown."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000)
    price = PriceList().price("openai", "gpt-6-sol", usage, NOW, response_model="model-7f3a")
    assert price.total == cost("gpt-6-sol", usage)


# --- unknown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(cache_read_tokens=10),
        Usage(prompt_tokens=10, cache_read_tokens=11),
        Usage(prompt_tokens=10, cache_read_tokens=6, cache_write_tokens=6),
        Usage(prompt_tokens=10, completion_tokens=5, reasoning_tokens=6),
        Usage(prompt_tokens=-1, completion_tokens=5),
    ],
)
def test_a_usage_that_makes_no_sense_has_no_price(usage: Usage) -> None:
    """Nothing reported, or parts greater than the whole: unknown, and no error."""
    assert PriceList().price("openai", "gpt-6-sol", usage, NOW) == UNKNOWN
    assert PriceList([an_override()]).price("openai", "gpt-6-sol", usage, NOW) == UNKNOWN


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("tts-1", Usage(prompt_tokens=1000, completion_tokens=1000)),  # by the character
        ("gpt-transcribe", Usage(prompt_tokens=0, completion_tokens=0)),  # by the hour
        ("text-embedding-3-small", Usage(prompt_tokens=10, completion_tokens=1)),  # input only
        ("dall-e-3", Usage(prompt_tokens=10)),  # by the image, not in the table
        ("", Usage(prompt_tokens=10)),
    ],
)
def test_tokens_without_a_rate_are_not_free(model: str, usage: Usage) -> None:
    """genai-prices says 0 for units that a model isn't priced in; we say unknown."""
    assert cost(model, usage) is None


def test_a_reported_zero_is_a_price_of_zero() -> None:
    """No tokens cost nothing; that is known, unlike tokens that nobody counted."""
    assert cost("gpt-6-sol", Usage(prompt_tokens=0, completion_tokens=0)) == 0
    assert cost("text-embedding-3-small", Usage(prompt_tokens=MILLION)) == Decimal("0.02")


def test_an_unpriced_model_is_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """One warning per model, and a count of every call that has no price."""
    prices = PriceList()
    with caplog.at_level(logging.WARNING):
        for model in ("llama4", "llama4", "qwen4"):
            prices.price("ollama", model, Usage(prompt_tokens=1), NOW)
    assert [record.getMessage() for record in caplog.records] == [
        "No price for 'ollama:llama4': genai-prices does not have it",
        "No price for 'ollama:qwen4': genai-prices does not have it",
    ]
    assert prices.unpriced_models() == {"ollama:llama4": 2, "ollama:qwen4": 1}


def test_the_counter_is_a_copy() -> None:
    """Whoever reads the count can't change it."""
    prices = PriceList()
    prices.unpriced_models()["openai:gpt-6-sol"] += 1
    assert not prices.unpriced_models()


# --- promises for any input --------------------------------------------------------------------


@given(
    provider=st.text() | st.sampled_from(["openai", "azure_openai", "litellm"]),
    model=st.text() | models,
    usage=usages,
    at=st.datetimes() | st.datetimes(timezones=st.timezones()),
    answered=st.none() | st.text(),
    tier=st.none() | st.text() | st.sampled_from(["flex", "batch"]),
)
def test_pricing_never_raises(
    provider: str, model: str, usage: Usage, at: datetime, answered: str | None, tier: str | None
) -> None:
    """A call is never lost for its price: whatever comes in, a price or "unknown" comes out."""
    prices = PriceList([an_override(model="[!a-m]*", output_per_mtok=None)])
    price = prices.price(provider, model, usage, at, response_model=answered, service_tier=tier)
    assert (price.total is None) == (price.source == "unknown")


@given(model=models, usage=sound_usages(), tier=st.sampled_from([None, "flex"]))
def test_the_classes_sum_to_the_total(model: str, usage: Usage, tier: str | None) -> None:
    """No class overlaps another: the details of a price are exactly its total."""
    price = PriceList().price("openai", model, usage, NOW, service_tier=tier)
    if price.total is not None:
        assert sum(map(Decimal, (price.details or {}).values())) == price.total
        assert price.total >= 0


@given(
    model=models,
    usage=sound_usages(),
    more=st.integers(1, MILLION),
    field=st.sampled_from(["prompt_tokens", "completion_tokens"]),
)
def test_more_tokens_never_cost_less(model: str, usage: Usage, more: int, field: str) -> None:
    """Cost grows with either total, also over the edge of a tier."""
    larger = replace(usage, **{field: getattr(usage, field) + more})
    less, greater = cost(model, usage), cost(model, larger)
    assert less is None or greater is None or less <= greater


@given(usage=sound_usages())
def test_a_cached_token_never_costs_more_than_a_fresh_one(usage: Usage) -> None:
    """Cached tokens are part of the prompt: they make it cheaper and are not added to it."""
    fresh = replace(usage, cache_read_tokens=0)
    cached, plain = cost("gpt-6-sol", usage), cost("gpt-6-sol", fresh)
    assert cached is not None
    assert plain is not None
    assert cached <= plain


# --- overrides ---------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], Path]:
    """Writes a file of overrides."""

    def write(content: object) -> Path:
        path = tmp_path / "prices.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_an_override_goes_before_the_table(written: Callable[[object], Path]) -> None:
    """A contract's price holds, and the row says which entry of which file it came from."""
    entries = [
        {"provider": "ollama", "model": "*", "input_per_mtok": 0, "output_per_mtok": 0},
        {
            "provider": "Open*",
            "model": "gpt-6-*",
            "input_per_mtok": 1.1,
            "cached_input_per_mtok": "0.1",
            "cache_write_per_mtok": 1.5,
            "output_per_mtok": 8,
            "per_request": 0.01,
        },
    ]
    prices = PriceList(load_overrides(written(entries)))
    usage = Usage(
        prompt_tokens=MILLION,
        cache_read_tokens=200_000,
        cache_write_tokens=100_000,
        completion_tokens=MILLION,
        reasoning_tokens=500_000,
    )
    assert prices.price("openai", "GPT-6-Sol", usage, NOW, service_tier="ultrafast") == Price(
        Decimal("8.95"),
        "override",
        "override:prices.json#1",
        {
            "input": "0.77",
            "cached": "0.02",
            "cache_write": "0.15",
            "output": "4",
            "reasoning": "4",
            "request": "0.01",
        },
    )
    assert prices.price("openai", "gpt-5.4", usage, NOW).source == "genai-prices"
    free = prices.price("ollama", "llama4", usage, NOW)
    assert free == Price(Decimal(0), "override", "override:prices.json#0", {})


def test_classes_without_a_price_cost_as_the_class_they_are_part_of() -> None:
    """An entry with two prices charges each token once, by those two."""
    usage = Usage(
        prompt_tokens=1000, cache_read_tokens=400, completion_tokens=1000, reasoning_tokens=900
    )
    price = PriceList([an_override()]).price("vllm", "any", usage, NOW)
    assert (price.total, price.ref) == (Decimal("0.003"), "override")


def test_an_override_without_an_output_price_does_not_make_output_free() -> None:
    """Enough for embeddings; an answer's tokens stay unknown."""
    prices = PriceList([an_override(output_per_mtok=None)])
    assert prices.price("x", "y", Usage(prompt_tokens=MILLION), NOW).total == 1
    assert prices.price("x", "y", Usage(prompt_tokens=1, completion_tokens=1), NOW) == UNKNOWN


def test_the_first_entry_that_matches_wins() -> None:
    """The order of the file decides, for one name; the model that answered is looked up first."""
    prices = PriceList(
        [
            an_override(model="special", input_per_mtok=3),
            an_override(model="gpt-*", input_per_mtok=4),
            an_override(model="gpt-6-*", input_per_mtok=5),
        ]
    )
    usage = Usage(prompt_tokens=MILLION)
    assert prices.price("openai", "gpt-6-sol", usage, NOW).total == 4
    assert prices.price("openai", "special", usage, NOW).total == 3
    assert prices.price("openai", "special", usage, NOW, response_model="gpt-6-sol").total == 4


def test_an_entry_for_a_family_holds_for_its_snapshots() -> None:
    """Answers carry dated names, contracts do not."""
    prices, usage = PriceList([an_override(model="gpt-6-sol")]), Usage(prompt_tokens=MILLION)
    answered = prices.price("openai", "fast", usage, NOW, response_model="gpt-6-sol-2026-09-29")
    assert answered.total == 1


@pytest.mark.parametrize(
    ("at", "source"),
    [
        (datetime(2026, 9, 30, 23, 59, tzinfo=UTC), "genai-prices"),
        (datetime(2026, 10, 1, tzinfo=UTC), "override"),
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), "override"),
        (datetime(2026, 11, 1, tzinfo=UTC), "genai-prices"),
        (datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=2))), "override"),
    ],
)
def test_dates_are_inclusive_and_in_utc(at: datetime, source: str) -> None:
    """An entry for October holds on its first and its last day, by UTC."""
    october = an_override(valid_from=date(2026, 10, 1), valid_until=date(2026, 10, 31))
    price = PriceList([october]).price("openai", "gpt-6-sol", Usage(prompt_tokens=1), at)
    assert price.source == source


def test_an_entrys_place_fits_the_ledgers_column(tmp_path: Path) -> None:
    """However long the file's name is, the reference has at most 64 characters."""
    path = tmp_path / f"{'prices' * 20}.json"
    path.write_text('[{"provider": "*", "model": "*", "input_per_mtok": 1}]')
    ref = PriceList(load_overrides(path)).price("a", "b", Usage(prompt_tokens=1), NOW).ref
    assert ref is not None
    assert ref.endswith("prices.json#0")
    assert len(ref) <= 64


GOOD: Entry = {"provider": "*", "model": "*", "input_per_mtok": 1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "entry: Invalid JSON"),
        (GOOD, "entry: Input should be a valid array"),
        ([7], "entry 0: Input should be an object"),
        ([GOOD, {"provider": "*", "input_per_mtok": 1}], "entry 1 model: Field required"),
        ([GOOD | {"model": 4}], "entry 0 model: Input should be a valid string"),
        ([GOOD | {"input_per_mtok": -1}], "entry 0 input_per_mtok: Input should be greater"),
        ([GOOD | {"output_per_mtok": "NaN"}], "entry 0 output_per_mtok: Input should be a finite"),
        ([GOOD | {"per_request": True}], "entry 0 per_request: Decimal input should be"),
        ([GOOD | {"per_token": 1}], "entry 0 per_token: Extra inputs are not permitted"),
        ([GOOD | {"valid_from": 20261001}], "entry 0 valid_from: Input should be a valid date"),
        (
            [GOOD | {"valid_from": "2026-10-02", "valid_until": "2026-10-01"}],
            "entry 0: Value error, valid_until is before valid_from",
        ),
    ],
)
def test_a_faulty_entry_is_named(
    written: Callable[[object], Path], content: object, told: str
) -> None:
    """The error says which file, which entry (from 0) and which field is wrong."""
    path = written(content)
    with pytest.raises(LLMConfigurationError) as caught:
        load_overrides(path)
    assert f"price overrides {path}: {told}" in str(caught.value)


def test_every_fault_is_told_at_once(written: Callable[[object], Path]) -> None:
    """Nobody has to start the application once per mistake."""
    with pytest.raises(LLMConfigurationError, match=r"entry 0 model: .*; entry 1 input_per_mtok: "):
        load_overrides(written([GOOD | {"model": 1}, GOOD | {"input_per_mtok": "much"}]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which file could not be read."""
    with pytest.raises(LLMConfigurationError, match=r"No such file.*nowhere\.json"):
        load_overrides(tmp_path / "nowhere.json")


def test_an_override_is_frozen() -> None:
    """A price list can't change under the calls that it prices."""
    with pytest.raises(ValidationError, match="frozen"):
        an_override().model = "other"  # type: ignore[misc]


# --- loading -----------------------------------------------------------------------------------


def test_the_table_is_loaded_on_first_use() -> None:
    """Importing us is quick; `warm` or the first price loads the half second of genai-prices."""
    script = (
        "import sys; from modules.llm_services import pricing; "
        "assert 'genai_prices' not in sys.modules; pricing.warm(); "
        "assert 'genai_prices.data' in sys.modules"
    )
    backend = Path(__file__).resolve().parents[2] / "backend"
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(backend)})


def test_warming_again_does_no_harm() -> None:
    """Every loop of a process may warm up."""
    warm()
    warm()

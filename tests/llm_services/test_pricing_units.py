"""Pictures, sound, searches, characters, batches: each unit priced once, or the price unknown."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modules.llm_services.pricing import Price, PriceList, PriceOverride
from modules.llm_services.providers.formats import CHAT
from modules.llm_services.types import Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEFORE_BATCH_PRICES = datetime(2026, 10, 1, tzinfo=UTC)
UNKNOWN = Price(None, "unknown")
MILLION = 1_000_000
TEXT = Usage(prompt_tokens=1000, completion_tokens=1000)


def priced(model: str, usage: Usage, provider: str = "openai", tier: str | None = None) -> Price:
    """The price by the table."""
    return PriceList().price(provider, model, usage, NOW, service_tier=tier)


def overridden(usage: Usage, tier: str | None = None, **prices: Any) -> Price:
    """The price by one entry."""
    entry = PriceOverride.model_validate({"provider": "*", "model": "*", **prices})
    return PriceList([entry]).price("house", "m", usage, NOW, service_tier=tier)


# --- pictures ----------------------------------------------------------------------------------


def test_a_picture_costs_its_tokens_each_once() -> None:
    """Text in 5, picture in 8, picture out 32, text out 10: subsets, not additions."""
    usage = Usage(
        prompt_tokens=1_000,
        image_input_tokens=600,
        completion_tokens=5_000,
        image_output_tokens=4_000,
    )
    price = priced("gpt-image-1.5", usage)
    assert price.details == {
        "input": "0.002",
        "image_input": "0.0048",
        "output": "0.01",
        "image_output": "0.128",
    }
    assert price.total == Decimal("0.1448")


@pytest.mark.parametrize(
    ("model", "usd"), [("gpt-image-2", 30), ("gpt-image-2.5-flare", 30), ("gpt-image-1", 40)]
)
def test_pictures_of_image_models_cost_as_their_output(model: str, usd: int) -> None:
    """Where the table has one price for what an image model answers, that is the picture's."""
    usage = Usage(prompt_tokens=0, completion_tokens=MILLION, image_output_tokens=MILLION)
    assert priced(model, usage).details == {"image_output": str(usd)}


@pytest.mark.parametrize("model", ["gpt-5-image", "gpt-4o", "gpt-6-luna"])
def test_pictures_of_a_text_model_have_no_price(model: str) -> None:
    """The rate of text is not that of pictures: unknown, not four times too low."""
    usage = Usage(prompt_tokens=10, completion_tokens=10, image_output_tokens=1)
    assert priced(model, usage) == UNKNOWN


def test_pictures_shown_to_a_text_model_cost_as_text() -> None:
    """Models that only look at pictures charge them as input, cached ones as cached."""
    plain = Usage(prompt_tokens=1000, cache_read_tokens=900, completion_tokens=10)
    seen = replace(plain, image_input_tokens=950)
    assert priced("gpt-6-luna", seen) == priced("gpt-6-luna", plain)


def test_cached_pictures_have_a_rate_of_their_own() -> None:
    """Nobody says which cached tokens were text: the cheapest are taken to be."""
    usage = Usage(
        prompt_tokens=1_000, image_input_tokens=600, cache_read_tokens=500, completion_tokens=0
    )
    assert priced("gpt-image-2", usage).details == {
        "cached": "0.0005",  # all 400 of text
        "image_cached": "0.0002",  # 100 of pictures
        "image_input": "0.004",
    }


# --- sound -------------------------------------------------------------------------------------


def test_sound_costs_more_than_text() -> None:
    """Audio tokens are taken out of both totals and priced as sound."""
    usage = Usage(
        prompt_tokens=1_000,
        audio_input_tokens=800,
        completion_tokens=500,
        audio_output_tokens=400,
    )
    assert priced("gpt-audio", usage).details == {
        "input": "0.0005",
        "audio_input": "0.0256",
        "output": "0.001",
        "audio_output": "0.0256",
    }


def test_sound_in_a_conversation_is_told_apart() -> None:
    """Chat Completions says which tokens were sound: they are not priced as text."""
    wire = {
        "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1_000,
            "completion_tokens": 500,
            "prompt_tokens_details": {"audio_tokens": 800},
            "completion_tokens_details": {"audio_tokens": 400},
        },
    }
    usage = CHAT.reply(wire).usage
    assert usage is not None
    assert (usage.audio_input_tokens, usage.audio_output_tokens) == (800, 400)


def test_cached_sound_without_a_rate_costs_as_fresh() -> None:
    """A discount that nobody promised is not taken."""
    usage = Usage(
        prompt_tokens=100, audio_input_tokens=90, cache_read_tokens=50, completion_tokens=0
    )
    assert priced("gpt-audio", usage).details == {
        "cached": "0.000025",
        "audio_cached": "0.00128",
        "audio_input": "0.0016",
    }


@pytest.mark.parametrize(
    "usage",
    [
        replace(TEXT, audio_input_tokens=1),
        replace(TEXT, audio_output_tokens=1),
    ],
)
@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4o-audio-preview"])
def test_sound_without_a_price_is_unknown(model: str, usage: Usage) -> None:
    """Text's price would be too low by ten times."""
    assert priced(model, usage) == UNKNOWN


def test_speech_by_the_token() -> None:
    """A model that only speaks charges its output as sound, reported as such or not."""
    usage = Usage(prompt_tokens=1000, completion_tokens=1000, characters=5_000)
    spoken = replace(usage, audio_output_tokens=1000)
    assert priced("gpt-4o-mini-tts", usage).total == Decimal("0.0126")
    assert priced("gpt-4o-mini-tts", spoken).total == Decimal("0.0126")


@pytest.mark.parametrize(("model", "usd"), [("tts-1", "0.015"), ("tts-1-hd", "0.03")])
def test_speech_by_the_character(model: str, usd: str) -> None:
    """15 and 30 dollars for a million characters."""
    price = priced(model, Usage(characters=1000))
    assert (price.total, price.details) == (Decimal(usd), {"characters": usd})


def test_hearing_by_the_second() -> None:
    """gpt-transcribe is 0.0045 a minute; tokens told beside it are the same sound again."""
    heard = Usage(audio_seconds=90.0)
    assert priced("gpt-transcribe", heard).details == {"audio_seconds": "0.00675"}
    told = replace(heard, prompt_tokens=900, audio_input_tokens=900, completion_tokens=100)
    assert priced("gpt-transcribe", told) == priced("gpt-transcribe", heard)
    assert priced("whisper-1", Usage(audio_seconds=60)).total == Decimal("0.006")


def test_hearing_by_the_token() -> None:
    """Where tokens are the price, seconds are only another way to say how much it was."""
    usage = Usage(
        prompt_tokens=1000, audio_input_tokens=900, completion_tokens=100, audio_seconds=90.0
    )
    price = priced("gpt-4o-transcribe", usage)
    assert price.details == {"input": "0.00025", "audio_input": "0.0054", "output": "0.001"}


def test_groq_charges_ten_seconds_at_least() -> None:
    """A short clip costs as ten seconds, silence that was not sent costs nothing."""
    short, long = (
        priced("whisper-large-v3", Usage(audio_seconds=s), "groq").total for s in (1.5, 10.0)
    )
    assert short == long
    assert priced("whisper-large-v3", Usage(audio_seconds=0.0), "groq").total == 0


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("gpt-4o-mini-tts", Usage(characters=1000)),
        ("gpt-4o-transcribe", Usage(audio_seconds=3.0)),
        ("tts-1", Usage(audio_seconds=3.0)),
        ("gpt-transcribe", Usage(characters=3)),
        ("gpt-transcribe", Usage(prompt_tokens=900, completion_tokens=100)),
        ("tts-1", Usage(prompt_tokens=900)),
    ],
)
def test_the_unit_that_is_priced_must_be_told(model: str, usage: Usage) -> None:
    """Characters do not price a model that is sold by the token, nor the other way round."""
    assert priced(model, usage) == UNKNOWN


@pytest.mark.parametrize(
    "usage",
    [
        Usage(characters=-1),
        replace(TEXT, web_searches=-1),
        replace(TEXT, audio_seconds=float("nan")),
        replace(TEXT, audio_seconds=float("inf")),
        replace(TEXT, image_output_tokens=1001),
        replace(TEXT, audio_input_tokens=1001),
        replace(TEXT, audio_input_tokens=900, cache_read_tokens=1001),
    ],
)
def test_a_usage_that_contradicts_itself_has_no_price(usage: Usage) -> None:
    """Parts over the whole, counts below nothing and what is no number: unknown, and no error."""
    assert everything().price("openai", "m", usage, NOW) == UNKNOWN


# --- searches ----------------------------------------------------------------------------------


def test_searches_cost_besides_their_tokens() -> None:
    """Ten dollars for a thousand, at the full price also in a tier that halves tokens."""
    usage = replace(TEXT, web_searches=3)
    price = priced("gpt-6-luna", usage)
    assert price.details == {"input": "0.0001", "output": "0.0005", "web_search": "0.03"}
    assert priced("gpt-6-luna", usage, tier="batch").total == Decimal("0.0303")


def test_searches_without_a_price_are_unknown() -> None:
    """A model that the table has no price of searches for; none at all are free."""
    assert priced("gpt-5.3", replace(TEXT, web_searches=1)) == UNKNOWN
    assert priced("gpt-5.3", replace(TEXT, web_searches=0)) == priced("gpt-5.3", TEXT)


def test_searches_without_tokens_are_unknown() -> None:
    """The tokens cost something, too: the searches alone would be too low."""
    assert priced("gpt-6-luna", Usage(web_searches=1)) == UNKNOWN


# --- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "text-embedding-3-small"),
        ("openai", "gpt-5.3"),
        ("openai", "gpt-6-sol"),
        ("azure_openai", "gpt-6-sol"),
    ],
)
@pytest.mark.parametrize("prompt", [1_000, 300_000])
def test_a_batch_costs_half(provider: str, model: str, prompt: int) -> None:
    """For every model, in every step of its price, also where the table does not say so."""
    usage = Usage(prompt_tokens=prompt, cache_read_tokens=100)
    for at in (NOW, BEFORE_BATCH_PRICES):
        whole = PriceList().price(provider, model, usage, at).total
        half = PriceList().price(provider, model, usage, at, service_tier="batch").total
        assert whole is not None
        assert half == whole / 2


def test_no_other_vendors_batch_is_guessed() -> None:
    """Half is what OpenAI and Azure take."""
    assert priced("deepseek-chat", TEXT, "deepseek", tier="batch") == UNKNOWN


# --- overrides ---------------------------------------------------------------------------------


def test_an_entry_prices_every_unit() -> None:
    """Tokens of each medium, searches, characters, minutes, requests."""
    usage = Usage(
        prompt_tokens=3_000,
        image_input_tokens=1_000,
        audio_input_tokens=1_000,
        completion_tokens=3_000,
        image_output_tokens=1_000,
        audio_output_tokens=1_000,
        web_searches=2,
        characters=1_000,
        audio_seconds=30.0,
    )
    price = overridden(
        usage,
        input_per_mtok=1,
        image_input_per_mtok=2,
        audio_input_per_mtok=3,
        output_per_mtok=4,
        image_output_per_mtok=5,
        audio_output_per_mtok=6,
        per_search=0.01,
        per_mchar=7,
        per_audio_minute=0.5,
        per_request=0.25,
    )
    assert price.details == {
        "input": "0.001",
        "image_input": "0.002",
        "audio_input": "0.003",
        "output": "0.004",
        "image_output": "0.005",
        "audio_output": "0.006",
        "web_search": "0.02",
        "characters": "0.007",
        "audio_seconds": "0.25",
        "request": "0.25",
    }


@pytest.mark.parametrize(
    "unit", ["image_output_tokens", "audio_input_tokens", "audio_output_tokens", "web_searches"]
)
def test_what_an_entry_leaves_out_is_unknown(unit: str) -> None:
    """An entry for text does not make sound, pictures and searches free."""
    usage = Usage.from_dict(TEXT.as_dict() | {unit: 1})
    assert overridden(TEXT, input_per_mtok=1, output_per_mtok=1).total is not None
    assert overridden(usage, input_per_mtok=1, output_per_mtok=1) == UNKNOWN


def test_writing_media_to_a_cache_has_no_price() -> None:
    """No vendor has named one."""
    usage = Usage(prompt_tokens=100, image_input_tokens=90, cache_write_tokens=50)
    assert overridden(usage, input_per_mtok=1, image_input_per_mtok=2) == UNKNOWN


def test_an_entry_may_price_only_its_own_unit() -> None:
    """A local voice by the character, a picture at a flat price."""
    assert overridden(Usage(characters=10), per_mchar=5).total == Decimal("0.00005")
    flat: dict[str, Any] = {"per_request": "0.04", "input_per_mtok": 0, "image_output_per_mtok": 0}
    usage = Usage(prompt_tokens=9, completion_tokens=500, image_output_tokens=500)
    assert overridden(usage, **flat).details == {"request": "0.04"}


def test_an_entry_for_a_tier_holds_for_it_alone() -> None:
    """A batch's contract price beside the ordinary one; one without a tier holds for all."""
    entries = [
        PriceOverride(provider="*", model="*", service_tier="Batch", input_per_mtok=Decimal(1)),
        PriceOverride(provider="*", model="*", input_per_mtok=Decimal(3)),
    ]
    usage = Usage(prompt_tokens=MILLION)
    totals = [
        PriceList(entries).price("x", "m", usage, NOW, service_tier=tier).total
        for tier in ("batch", None, "flex")
    ]
    assert totals == [1, 3, 3]


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        ({}, "it has no price: give one of input_per_mtok"),
        ({"output_per_mtok": 1}, "output_per_mtok needs input_per_mtok beside it"),
        ({"audio_output_per_mtok": 1}, "audio_output_per_mtok needs input_per_mtok beside it"),
    ],
)
def test_an_entry_that_prices_nothing_is_refused(prices: dict[str, int], told: str) -> None:
    """It would only make the price unknown in silence."""
    with pytest.raises(ValidationError, match=told):
        PriceOverride.model_validate({"provider": "*", "model": "*", **prices})


# --- promises for any input --------------------------------------------------------------------

ANY_MODEL = st.sampled_from(
    ["gpt-6-luna", "gpt-image-2", "gpt-audio", "gpt-4o-mini-tts", "tts-1", "gpt-transcribe"]
)
MEDIA = ("image_input_tokens", "audio_input_tokens", "image_output_tokens", "audio_output_tokens")


@st.composite
def sound_usages(draw: st.DrawFn) -> Usage:
    """Usages of every unit that obey the subset rule."""
    prompt, completion = draw(st.integers(0, 400_000)), draw(st.integers(0, 100_000))
    image_in = draw(st.integers(0, prompt))
    image_out = draw(st.integers(0, completion))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=draw(st.integers(0, prompt)),
        image_input_tokens=image_in,
        audio_input_tokens=draw(st.integers(0, prompt - image_in)),
        image_output_tokens=image_out,
        audio_output_tokens=draw(st.integers(0, completion - image_out)),
        web_searches=draw(st.none() | st.integers(0, 50)),
        characters=draw(st.none() | st.integers(0, 10_000)),
        audio_seconds=draw(st.none() | st.floats(0, 10_000)),
    )


def everything(**changes: object) -> PriceList:
    """A list that prices each unit: two dollars, but for what a test is about."""
    names = [name for name in PriceOverride.model_fields if "per_" in name]
    entry = {"provider": "*", "model": "*", **dict.fromkeys(names, 2), **changes}
    return PriceList([PriceOverride.model_validate(entry)])


@given(model=ANY_MODEL, usage=sound_usages(), tier=st.sampled_from([None, "batch"]))
def test_the_classes_sum_to_the_total(model: str, usage: Usage, tier: str | None) -> None:
    """No class overlaps another, whatever the units."""
    for prices in (PriceList(), everything()):
        price = prices.price("openai", model, usage, NOW, service_tier=tier)
        if price.total is not None:
            assert sum(map(Decimal, (price.details or {}).values())) == price.total


@given(usage=sound_usages())
def test_media_are_subsets_of_their_totals(usage: Usage) -> None:
    """At one price for everything, it does not matter what the tokens were."""
    plain = replace(usage, cache_read_tokens=None, **dict.fromkeys(MEDIA))
    prices = everything()
    assert prices.price("x", "m", usage, NOW).total == prices.price("x", "m", plain, NOW).total


@given(
    usage=sound_usages(),
    unit=st.sampled_from(
        [
            ("web_searches", "per_search"),
            ("image_output_tokens", "image_output_per_mtok"),
            ("audio_input_tokens", "audio_input_per_mtok"),
            ("audio_output_tokens", "audio_output_per_mtok"),
        ]
    ),
)
def test_one_unit_without_a_price_makes_the_whole_unknown(
    usage: Usage, unit: tuple[str, str]
) -> None:
    """Known exactly when it was not used: never too low."""
    used, price = unit
    total = everything(**{price: None}).price("x", "m", usage, NOW).total
    assert (total is None) == bool(getattr(usage, used))


@given(
    model=ANY_MODEL,
    usage=st.builds(
        Usage,
        **dict.fromkeys(
            [
                "prompt_tokens",
                "completion_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                *MEDIA,
            ],
            st.none() | st.integers(-5, 50),
        ),
        web_searches=st.none() | st.integers(-5, 5),
        characters=st.none() | st.integers(-5, 5),
        audio_seconds=st.none() | st.floats(),
    ),
)
def test_nonsense_never_raises_and_never_costs_less_than_nothing(model: str, usage: Usage) -> None:
    """Negative counts, parts over the whole, NaN and infinity: a price or "unknown"."""
    for prices in (PriceList(), everything()):
        price = prices.price("openai", model, usage, NOW)
        assert (price.total is None) == (price.source == "unknown")
        assert price.total is None or price.total >= 0
        assert price.total is None or price.total.is_finite()

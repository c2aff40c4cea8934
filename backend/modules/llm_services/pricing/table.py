"""Rates out of the table of genai-prices: the only file that knows it, and its names.

A model's rates are USD by genai-prices' keys: ``input_mtok`` per million tokens,
``input_mchars`` per million characters, ``audio_hours`` per hour, ``web_searches_kcount`` and
``requests_kcount`` per thousand.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider, TieredPrices

Rate: TypeAlias = "Decimal | TieredPrices"
Rates: TypeAlias = Mapping[str, Any]

TABLE_REF = f"genai-prices {version('genai-prices')}"
LEAST_AUDIO_SECONDS = "least_audio_seconds"
# The tiers that plain list prices are for, as OpenAI, Anthropic and Groq report them.
_STANDARD_TIERS = frozenset({"auto", "default", "standard", "on_demand"})
# Only names that are equal to genai-prices', but for "-" and "_", or listed here are looked up:
# by itself it takes every provider whose name contains "openai" for openai.
_ALIASES = {"azureopenai": "azure", "bedrock": "aws", "gemini": "google", "vertex": "google"}
_NO_DASHES = str.maketrans("", "", "-_")
# These answer in one medium, and the table files its price as that of plain output.
_ANSWERS_IN = (("gpt-image", "output_image_mtok"), ("-tts", "output_audio_mtok"))
# OpenAI's Batch API, and Azure's, take half for every model; the table does not say so of all.
_HALVES_BATCHES = frozenset({"openai", "azure"})
_KNOWN_NAMES = 4_096


def warm() -> None:
    """Load genai-prices' table (0.3 to 0.6 s): in a worker thread, before the first call."""
    from genai_prices.data_snapshot import get_snapshot

    get_snapshot()


def table_rates(provider: str, names: tuple[str, ...], tier: str, at: datetime) -> Rates:
    """The rates that held at a time. Raises `LookupError` when the table has none."""
    vendor, model = _find(provider, names)
    rates = _for_tier(vendor, model, tier.lower(), at)
    for part, key in _ANSWERS_IN:
        if part in model.id and rates.get(key) is None:
            rates = {**rates, key: rates.get("output_mtok")}
    if vendor.id == "groq" and "audio_hours" in rates:
        return {**rates, LEAST_AUDIO_SECONDS: 10}  # what Groq charges for anything shorter
    return rates


def _for_tier(vendor: Provider, model: ModelInfo, tier: str, at: datetime) -> Rates:
    if tier in _STANDARD_TIERS:
        return vars(model.get_prices(at))
    # Vendors file a tier differently, but a name means the same wherever it occurs.
    context = dict.fromkeys(("service_tier", "processing", "speed"), tier)
    # Another vendor's model (Azure's gpt-*) keeps that vendor's list price, but not its tiers.
    own = any(model is listed for listed in vendor.models)
    for variant in (model.price_variants or ()) if own else ():
        active = variant.constraint is None or variant.constraint.active(at)
        if active and variant.when.items() <= context.items():
            return vars(model.get_prices(at, context))
    if tier == "batch" and vendor.id in _HALVES_BATCHES:
        return {key: _half(key, rate) for key, rate in vars(model.get_prices(at)).items()}
    raise LookupError(f"it has no rates for service tier {tier!r}")


def _half(key: str, rate: Rate | None) -> Rate | None:
    """Half of a price of tokens; what tools and audio cost does not change in a batch."""
    if rate is None or not key.endswith("_mtok"):
        return rate
    if isinstance(rate, Decimal):
        return rate / 2
    from genai_prices.types import Tier, TieredPrices

    return TieredPrices(rate.base / 2, [Tier(tier.start, tier.price / 2) for tier in rate.tiers])


def newest_price(today: date) -> date | None:
    """The latest day, up to today, on which a price of the table began: what vendors changed
    after the table was made is not in it. (genai-prices does not say when it was made.)
    """
    from genai_prices.data_snapshot import get_snapshot

    models = (model for vendor in get_snapshot().providers for model in vendor.models)
    dated = (price for m in models if isinstance(m.prices, list) for price in m.prices)
    starts = (getattr(price.constraint, "start_date", None) for price in dated)
    return max((start for start in starts if start and start <= today), default=None)


def context_window(provider: str, model: str) -> int | None:
    """How many tokens a model's prompt and answer may have together, if the table knows."""
    with suppress(LookupError):
        return _find(provider, (model,))[1].context_window
    return None


@lru_cache(_KNOWN_NAMES)
def _find(provider: str, names: tuple[str, ...]) -> tuple[Provider, ModelInfo]:
    from genai_prices.data_snapshot import get_snapshot

    snapshot, wanted = get_snapshot(), provider.lower().translate(_NO_DASHES)
    ids = {vendor.id.translate(_NO_DASHES): vendor.id for vendor in snapshot.providers}
    if table_id := ids.get(_ALIASES.get(wanted, wanted)):
        for name in names:
            with suppress(LookupError):
                return snapshot.find_provider_model(name, None, table_id, None)
    raise LookupError("genai-prices does not have it")

"""What a call cost: by an override of ours, else by the table of genai-prices, else unknown.

Two rules carry everything: an unknown price is ``None`` and never 0, and every token is priced
once (cached and written ones are part of the prompt, reasoning is part of the completion).
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError

from .exceptions import LLMConfigurationError
from .types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

logger = logging.getLogger(__name__)
_TABLE_REF = f"genai-prices {version('genai-prices')}"
_DATED = re.compile(r"(?P<family>.+?)[-@]20\d\d-?\d\d-?\d\d")
# The tiers that plain list prices are for, as OpenAI, Anthropic and Groq report them.
_STANDARD_TIERS = frozenset({"auto", "default", "standard", "on_demand"})
# Only names that are equal to genai-prices', but for "-" and "_", or listed here are looked up:
# by itself it takes every provider whose name contains "openai" for openai.
_ALIASES = {"azureopenai": "azure", "bedrock": "aws", "gemini": "google", "vertex": "google"}
_NO_DASHES = str.maketrans("", "", "-_")
# Token class -> its rate and, where there is none, the rate of the class that contains it.
_RATES = {
    "input": ("input_mtok",),
    "cached": ("cache_read_mtok", "input_mtok"),
    "cache_write": ("cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
    "reasoning": ("output_reasoning_mtok", "output_mtok"),
}
_Usd = Annotated[Decimal, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Price:
    """What one call cost: ``total`` in USD, where ``None`` means unknown, which is not free.

    ``source`` is who priced it ("override", "genai-prices" or "unknown"), ``ref`` where exactly
    (64 characters at most). ``details`` splits the total, in USD as decimal strings, over classes
    that do not overlap and are not 0: input, cached, cache_write, output, reasoning, request.
    """

    total: Decimal | None
    source: str
    ref: str | None = None
    details: dict[str, str] | None = None


class PriceOverride(BaseModel):
    """A price that goes before the table's: a contract, a local engine, a model it lacks.

    ``provider`` and ``model`` are globs, in any case; both dates are inclusive, in UTC. Prices are
    USD per million tokens (cached and written ones cost as input where they have none of their
    own), ``per_request`` is USD per call. They hold for every service tier.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    provider: str
    model: str
    valid_from: date | None = None
    valid_until: date | None = None
    input_per_mtok: _Usd
    cached_input_per_mtok: _Usd | None = None
    cache_write_per_mtok: _Usd | None = None
    output_per_mtok: _Usd | None = None
    per_request: _Usd = Decimal(0)
    _ref: str = PrivateAttr("override")  # no field: where an entry stands is not its own to say

    def model_post_init(self, context: Any, /) -> None:
        """Check the dates, and take the next number of the file that is being read."""
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise ValueError("valid_until is before valid_from")
        if context:
            self._ref = f"override:{context['file'][-45:]}#{next(context['index'])}"

    def matches(self, provider: str, model: str, day: date) -> bool:
        """Whether this entry prices that model on that (UTC) day."""
        globs = ((provider, self.provider), (model, self.model))
        named = all(fnmatchcase(name.lower(), glob.lower()) for name, glob in globs)
        return named and (self.valid_from or day) <= day <= (self.valid_until or day)

    def price(self, usage: Usage) -> Price:
        """What the entry charges for a usage; `LookupError` or `ValueError` when it cannot."""
        from genai_prices.types import ModelPrice

        rates = ModelPrice(
            input_mtok=self.input_per_mtok,
            cache_read_mtok=self.cached_input_per_mtok,
            cache_write_mtok=self.cache_write_per_mtok,
            output_mtok=self.output_per_mtok,
            requests_kcount=self.per_request * 1000,
        )
        return _charge(usage, rates, "override", self._ref)


def load_overrides(path: str | Path) -> tuple[PriceOverride, ...]:
    """Read a JSON list of `PriceOverride` entries; of several that match, the first wins.

    Raises `LLMConfigurationError` naming the file and each fault's entry (from 0) and field.
    """
    file, entries = Path(path), TypeAdapter(tuple[PriceOverride, ...])
    context = {"file": file.name, "index": count()}
    try:
        return entries.validate_json(file.read_bytes(), strict=True, context=context)
    except ValidationError as error:
        faults = [f"{' '.join(map(str, ('entry', *e['loc'])))}: {e['msg']}" for e in error.errors()]
        raise LLMConfigurationError(f"price overrides {file}: {'; '.join(faults)}") from error
    except OSError as error:
        raise LLMConfigurationError(f"price overrides: {error}") from error


class PriceList:
    """Prices calls. Make one per process: it remembers which models it has warned about."""

    def __init__(self, overrides: Sequence[PriceOverride] = ()) -> None:
        self._overrides = tuple(overrides)
        self._unpriced: Counter[str] = Counter()

    def price(
        self,
        provider: str,
        model: str,
        usage: Usage,
        at: datetime,
        *,
        response_model: str | None = None,
        service_tier: str | None = None,
    ) -> Price:
        """Price one call by the rates of ``at`` (naive means UTC). Never raises.

        The model that answered goes before the asked one, a dated name before its family. The
        ``service_tier`` is the response's; also "batch", and for Anthropic's speed "fast".
        """
        names = tuple(_names(model, response_model))
        try:
            if override := self._override(provider, names, at):
                return override.price(usage)
            rates = _table_rates(provider, names, service_tier or "default", at)
            return _charge(usage, rates, "genai-prices", _TABLE_REF)
        except (LookupError, ValueError, ArithmeticError) as reason:
            self._note_unpriced(provider, model, reason)
            return Price(None, "unknown")

    def unpriced_models(self) -> Counter[str]:
        """How many calls had no price, by ``provider:model`` as asked."""
        return self._unpriced.copy()

    def _override(self, provider: str, names: Sequence[str], at: datetime) -> PriceOverride | None:
        day = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).date()
        pairs = ((name, entry) for name in names for entry in self._overrides)
        return next((entry for name, entry in pairs if entry.matches(provider, name, day)), None)

    def _note_unpriced(self, provider: str, model: str, reason: Exception) -> None:
        key = f"{provider}:{model}"
        self._unpriced[key] += 1
        if self._unpriced[key] == 1:
            logger.warning("No price for %r of %r: %s", model, provider, reason)


def warm() -> None:
    """Load genai-prices' table (0.3 to 0.6 s): in a worker thread, before the first call."""
    from genai_prices.data_snapshot import get_snapshot

    get_snapshot()


def _names(model: str, response_model: str | None) -> Iterator[str]:
    for name in filter(None, (response_model, model)):
        yield name
        if dated := _DATED.fullmatch(name):
            yield dated["family"]


def _table_rates(provider: str, names: Iterable[str], tier: str, at: datetime) -> "ModelPrice":
    vendor, model = _find(provider, names)
    if tier.lower() in _STANDARD_TIERS:
        return model.get_prices(at)
    # Vendors file a tier differently, but a name means the same wherever it occurs.
    context = dict.fromkeys(("service_tier", "processing", "speed"), tier.lower())
    # Another vendor's model (Azure's gpt-*) keeps that vendor's list price, but not its tiers.
    own = any(model is listed for listed in vendor.models)
    for variant in (model.price_variants or ()) if own else ():
        active = variant.constraint is None or variant.constraint.active(at)
        if active and variant.when.items() <= context.items():
            return model.get_prices(at, context)
    raise LookupError(f"it has no rates for service tier {tier!r}")


def _find(provider: str, names: Iterable[str]) -> "tuple[Provider, ModelInfo]":
    from genai_prices.data_snapshot import get_snapshot

    snapshot, wanted = get_snapshot(), provider.lower().translate(_NO_DASHES)
    ids = {vendor.id.translate(_NO_DASHES): vendor.id for vendor in snapshot.providers}
    if table_id := ids.get(_ALIASES.get(wanted, wanted)):
        for name in names:
            with suppress(LookupError):
                return snapshot.find_provider_model(name, None, table_id, None)
    raise LookupError("genai-prices does not have it")


def _charge(usage: Usage, rates: "ModelPrice", source: str, ref: str) -> Price:
    from genai_prices.types import calc_unit_price

    if rates.input_mtok is None:
        # By the hour, by the character or not in the table at all: its tokens would cost 0.
        raise LookupError("it has no token prices")
    prompt, charges = usage.prompt_tokens or 0, {}
    for name, tokens in _token_classes(usage).items():
        if tokens:
            # The prompt's whole size chooses the tier of a rate, such as the one above 272k.
            charges[name] = calc_unit_price(_rate(rates, name), tokens, prompt, 1_000_000)
    charges["request"] = calc_unit_price(rates.requests_kcount, 1, prompt, 1000)
    details = {name: f"{usd.normalize():f}" for name, usd in charges.items() if usd}
    return Price(sum(charges.values(), Decimal(0)), source, ref, details)


def _rate(rates: "ModelPrice", name: str) -> "Decimal | TieredPrices":
    for key in _RATES[name]:
        rate: Decimal | TieredPrices | None = getattr(rates, key)
        if rate is not None:
            return rate
    raise LookupError(f"it has no price for {name} tokens")


def _token_classes(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if prompt is None and completion is None:
        raise ValueError("no token usage was reported")
    cached, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    reasoning = usage.reasoning_tokens or 0
    uncached, visible = (prompt or 0) - cached - written, (completion or 0) - reasoning
    counts = (uncached, cached, written, visible, reasoning)
    if min(counts) < 0:
        raise ValueError(f"the reported usage contradicts itself: {usage.as_dict()}")
    return dict(zip(_RATES, counts, strict=True))

"""The price of one call, and a count of those that have none."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from modules.llm_services.types import Usage

from .charging import charge
from .overrides import PriceOverride
from .table import TABLE_REF, Rates, table_rates

logger = logging.getLogger(__name__)
_DATED = re.compile(r"(?P<family>.+?)[-@]20\d\d-?\d\d-?\d\d")
_NO_TIER = "default"


@dataclass(frozen=True, slots=True)
class Price:
    """What one call cost: ``total`` in USD, where ``None`` means unknown, which is not free.

    ``source`` is who priced it ("provider" in its reply, "override", "genai-prices" or
    "unknown"), ``ref`` where exactly (64 characters at most). ``details`` splits the total, in
    USD as decimal strings, over classes that do not overlap and are not 0: input, cached,
    cache_write, output, reasoning, image_input, image_cached, image_output, audio_input,
    audio_cached, audio_output, web_search,
    characters, audio_seconds, request; a provider's own word is one sum, "reported".
    """

    total: Decimal | None
    source: str
    ref: str | None = None
    details: dict[str, str] | None = None


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
        """Price one call: as its provider says, else by the rates of ``at`` (naive means UTC).
        Never raises.

        The model that answered goes before the asked one, a dated name before its family. The
        ``service_tier`` is the response's; also "batch", and for Anthropic's speed "fast".
        """
        if usage.reported_cost is not None:
            return _reported(usage.reported_cost)
        names, tier = tuple(_names(model, response_model)), service_tier or _NO_TIER
        try:
            if override := self._override(provider, names, at, tier, usage.prompt_tokens or 0):
                return _priced(usage, override.rates, "override", override.ref)
            rates = table_rates(provider, names, tier, at)
            return _priced(usage, rates, "genai-prices", TABLE_REF)
        except (LookupError, ValueError, ArithmeticError) as reason:
            self._note_unpriced(provider, model, reason)
            return Price(None, "unknown")

    def unpriced_models(self) -> Counter[str]:
        """How many calls had no price, by ``provider:model`` as asked."""
        return self._unpriced.copy()

    def _override(
        self, provider: str, names: Sequence[str], at: datetime, tier: str, prompt: int
    ) -> PriceOverride | None:
        if not self._overrides:
            return None
        day = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).date()
        pairs = ((name, entry) for name in names for entry in self._overrides)
        return next((e for name, e in pairs if e.matches(provider, name, day, tier, prompt)), None)

    def _note_unpriced(self, provider: str, model: str, reason: Exception) -> None:
        key = f"{provider}:{model}"
        self._unpriced[key] += 1
        if self._unpriced[key] == 1:
            logger.warning("No price for %r: %s", key, reason)


def _names(model: str, response_model: str | None) -> Iterator[str]:
    for name in filter(None, (response_model, model)):
        yield name
        if dated := _DATED.fullmatch(name):
            yield dated["family"]


def _reported(cost: Decimal) -> Price:
    details = {"reported": f"{cost.normalize():f}"} if cost else {}
    return Price(cost, "provider", "usage", details)


def _priced(usage: Usage, rates: Rates, source: str, ref: str) -> Price:
    charges = charge(usage, rates)
    details = {name: f"{usd.normalize():f}" for name, usd in charges.items() if usd}
    return Price(sum(charges.values(), Decimal(0)), source, ref, details)

"""What the fake costs: what a test says, else a dollar for a million of anything."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from modules.llm_services.pricing import Price, PriceList, PriceOverride
from modules.llm_services.types import Usage

_A_DOLLAR = {
    name: Decimal(1)
    for name in PriceOverride.model_fields
    if name.endswith("_mtok") or name == "per_mchar"
}
_CENT = Decimal("0.01")
EVERYTHING = PriceOverride(
    provider="*",
    model="*",
    per_search=_CENT,
    per_audio_minute=_CENT,
    **_A_DOLLAR,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedUsage(Usage):
    """Tokens whose price a test has set: USD, or ``None`` for one that nobody knows."""

    usd: Decimal | None


class ScriptedPrices(PriceList):
    """Prices that no vendor's change can move under a test."""

    def __init__(self) -> None:
        super().__init__([EVERYTHING])

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
        """See `PriceList.price`."""
        if isinstance(usage, PricedUsage):
            return Price(usage.usd, "unknown" if usage.usd is None else "override")
        return super().price(
            provider,
            model,
            usage,
            at,
            response_model=response_model,
            service_tier=service_tier,
        )

"""What a provider itself says that an answer cost: it knows the discounts that no table knows."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_TICK = Decimal("1e-10")


def reported_cost(usage: object) -> Decimal | None:
    """USD by the ``usage`` of a reply; ``None`` when it names no cost, or one that is no amount.

    OpenRouter's ``cost`` is what its account is charged; with a key of one's own at the vendor
    (BYOK) the vendor's ``upstream_inference_cost`` comes on top
    (openrouter.ai/docs/use-cases/usage-accounting). xAI's ``cost_in_usd_ticks`` are 1e-10 USD.
    Perplexity's ``cost`` has parts and a ``total_cost`` (docs.perplexity.ai/api-reference).
    """
    if not isinstance(usage, Mapping):
        return None
    ticks = _amount(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * _TICK
    cost = usage.get("cost")
    cost = _amount(cost.get("total_cost") if isinstance(cost, Mapping) else cost)
    return None if cost is None else cost + _upstream(usage)


def _upstream(usage: Mapping[str, Any]) -> Decimal:
    details = usage.get("cost_details")
    if usage.get("is_byok") is False or not isinstance(details, Mapping):
        return Decimal(0)
    return _amount(details.get("upstream_inference_cost")) or Decimal(0)


def _amount(value: object) -> Decimal | None:
    """An odd amount is no reason to lose an answer: it counts as none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None

"""Who hears that a budget runs low."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from .types.budgets import BudgetThreshold

logger = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[BudgetThreshold], None]
_listeners: list[Listener] = []


def on_budget_threshold(listener: Listener) -> Callable[[], None]:
    """Have a function called when 50, 80 or 100 per cent of a budget are spent or reserved: once
    for each budget, period and threshold, in one of all processes. Returns what ends it.

    It is called in a thread of the module's while calls wait to be opened: keep it short.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def tell(thresholds: Sequence[BudgetThreshold]) -> None:
    """Log them, and call who asked to be called."""
    for one in thresholds:
        said = (one.percent, one.scope, one.period)
        logger.warning("%d %% of a budget (%s, %s) are spent or reserved", *said)
        for listener in tuple(_listeners):
            try:
                listener(one)
            except Exception:
                logger.exception("a listener to budgets failed")

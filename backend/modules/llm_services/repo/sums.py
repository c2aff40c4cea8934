"""What rows add up to: the same sums from the rows themselves and from the daily ones."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    and_,
    case,
    cast,
    func,
    literal_column,
    not_,
    or_,
)

from modules.llm_services.models import DailyUsage
from modules.llm_services.types import RequestStatus

from .writing import TABLE

DAILY: Table = DailyUsage.metadata.tables[DailyUsage.__tablename__]
Sums: TypeAlias = dict[str, int]
_ROW = TABLE.c
_NANO = 1e9

TOKENS = (
    *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    "reasoning_tokens",
)
_STORED = ("requests", "cached_requests", "unpriced_requests", "attempts", *TOKENS, "cost_nano_usd")

_SPENT = _ROW.replay_of.is_(None)  # what a replay costs is no use that was made of a model

UNPRICED: ColumnElement[bool] = and_(
    _SPENT,
    _ROW.cost_estimate.is_(None),
    or_(
        _ROW.status == RequestStatus.COMPLETED,
        _ROW.tokens_used.is_not(None),
        _ROW.cost_source == "unknown",
    ),
)
"""Something was used, and nobody knows what it cost."""


def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows fulfil the condition."""
    return total(case((condition, 1), else_=0))


def total(column: ColumnElement[Any]) -> ColumnElement[int]:
    """The column's sum, 0 for no rows."""
    return func.coalesce(func.sum(column), 0)


# Each cost is rounded before it is added: a sum of floats depends on its order.
_COST = total(cast(func.round(case((_SPENT, _ROW.cost_estimate)) * _NANO), BigInteger))

ROW_SUMS: Mapping[str, ColumnElement[int]] = {
    "requests": func.count(),
    "cached_requests": number(_ROW.cached),
    "unpriced_requests": number(UNPRICED),
    "attempts": total(_ROW.retry_attempt),
    **{name: total(_ROW[name]) for name in TOKENS},
    "cost_nano_usd": _COST,
}
"""The sums over rows of the ledger, by the names of the daily table's columns."""
CACHE_SUMS: Mapping[str, ColumnElement[int]] = {
    "cache_misses": number(and_(not_(_ROW.cached), _ROW.cache_key.is_not(None))),
    "unpriced_hits": number(and_(_ROW.cached, _ROW.saved_cost.is_(None))),
    "saved_nano_usd": total(cast(func.round(_ROW.saved_cost * _NANO), BigInteger)),
}
"""What the cache did beside ``cached_requests``, by the names of the daily table's columns."""
LACKS_CACHE_SUMS: ColumnElement[bool] = DAILY.c.cache_misses.is_(None)
"""Daily sums that an earlier release made: without what the cache did, and without users' sums."""
# A partial index serves a query only where SQLite finds its very condition in it.
IS_OPEN: ColumnElement[bool] = DAILY.c.status == literal_column("'pending'")
"""Daily sums that count requests which had not ended."""

OUTCOMES = tuple(RequestStatus)
USAGE_OF_ROWS = [
    *(value.label(name) for name, value in ROW_SUMS.items()),
    *(number(_ROW.status == status).label(status.value) for status in OUTCOMES),
]
USAGE_OF_DAYS = [
    *(total(DAILY.c[name]).label(name) for name in _STORED),
    *(
        total(case((DAILY.c.status == status, DAILY.c.requests), else_=0)).label(status.value)
        for status in OUTCOMES
    ),
]
SUM_NAMES = (*_STORED, *(status.value for status in OUTCOMES))


def or_empty(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column with an empty text for NULL, as the daily table's keys have it."""
    return func.coalesce(column, literal_column("''"))


ROW_KEYS: Mapping[str, ColumnElement[Any]] = {
    "provider": _ROW.provider,
    "model": _ROW.model,
    "operation": _ROW.operation,
    "feature": or_empty(_ROW.feature),
    "status": _ROW.status,
    "error_type": or_empty(_ROW.error_type),
}
"""The daily table's keys besides the day, taken from a row."""


def read_sums(values: Sequence[Any]) -> Sums:
    """Sums as the database adds them up, in the order of `SUM_NAMES`."""
    return {name: int(value) for name, value in zip(SUM_NAMES, values, strict=True)}


def add(sums: Sums, more: Sums) -> Sums:
    """Both together."""
    return {name: sums.get(name, 0) + value for name, value in more.items()}

"""The money on rows: settled ones that may be priced again, page by page, and sums of a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from modules.llm_services.types import RequestStatus

from .stored_id import StoredId
from .stored_time import CREATED, StoredTime, between, bound
from .writing import TABLE

MONEY = ("cost_estimate", "cost_source", "price_ref", "cost_details")
"""What pricing writes on a row."""

_ROW = TABLE.c
_PLACES = 12  # of a dollar: a float sum of a million costs is right so far
_PRICED = (
    *("provider", "model", "operation", "response_model", "service_tier", "batch_id", "status"),
    *("created_at", "prompt_tokens", "completion_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "additional_params", "attempts", *MONEY),
)


STORED_ID: ColumnElement[Any] = type_coerce(_ROW.id, StoredId)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPage:
    """Rows of a stretch of time, and where the next stretch begins (``None``: there is none)."""

    rows: Sequence[RowMapping]
    next: str | None


def priced_page(
    connection: Connection,
    window: tuple[datetime, datetime],
    after: str | None,
    size: int,
    *,
    only_unknown: bool,
) -> PricedPage:
    """The rows to be priced among the ``size`` next ones of the window, oldest first.

    Rows of one instant are never parted, so a page may be a little longer.
    """
    begin = bound(window[0]) <= CREATED if after is None else _at(after) < CREATED
    here = and_(begin, bound(window[1]) > CREATED)
    last = connection.scalar(
        select(CREATED).where(here).order_by(CREATED).limit(1).offset(size - 1)
    )
    stretch = here if last is None else and_(here, _at(last) >= CREATED)
    columns = [STORED_ID.label("id"), *(_ROW[name] for name in _PRICED)]
    found = connection.execute(select(*columns).where(stretch, *_repriceable(only_unknown)))
    return PricedPage(rows=found.mappings().all(), next=last)


def write_prices(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give rows their money, each with ``row_id`` and all of `MONEY`."""
    values: dict[str, Any] = {name: bindparam(name) for name in MONEY}
    here = bindparam("row_id", type_=StoredId()) == STORED_ID
    connection.execute(update(TABLE).where(here, _is_ours_to_price()).values(values), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """USD that is known, over ``requests`` rows; what makes it doubtful is counted beside it."""

    requests: int
    cost: Decimal
    unpriced: int
    maybe_paid: int


def sums(connection: Connection, provider: str, window: tuple[datetime, datetime]) -> Sums:
    """What the rows of a provider add up to that began in the window."""
    unknown = and_(
        _ROW.cost_estimate.is_(None),
        or_(_ROW.cost_source == "unknown", _ROW.tokens_used.is_not(None)),
    )
    asked = select(
        func.count().label("requests"),
        func.sum(_ROW.cost_estimate).label("cost"),
        func.count(case((unknown, 1))).label("unpriced"),
        func.count(case((_ROW.maybe_paid, 1))).label("maybe_paid"),
    )
    row = connection.execute(asked.where(between(*window), _ROW.provider == provider)).one()
    return Sums(
        requests=row.requests,
        cost=round(Decimal(str(row.cost or 0)), _PLACES),
        unpriced=row.unpriced,
        maybe_paid=row.maybe_paid,
    )


def _repriceable(only_unknown: bool) -> list[ColumnElement[bool]]:  # noqa: FBT001
    units = (_ROW.cost_source, _ROW.prompt_tokens, _ROW.completion_tokens)
    conditions = [_is_ours_to_price(), or_(*(column.is_not(None) for column in units))]
    return [*conditions, _ROW.cost_estimate.is_(None)] if only_unknown else conditions


def _is_ours_to_price() -> ColumnElement[bool]:
    """Settled, and not priced by the provider's own word or by an answer that was there already."""
    told = and_(_ROW.cost_source != "provider", _ROW.cost_source != "cache")
    ours = or_(_ROW.cost_source.is_(None), told)
    return and_(_ROW.status != RequestStatus.PENDING, _ROW.cached.is_(False), ours)


def _at(text: str) -> ColumnElement[str]:
    return literal(text, StoredTime)

"""What is told of money: what pricing anew has changed, and how we compare with a vendor."""

from datetime import date
from decimal import Decimal

from .frozen import Frozen


class RecostReport(Frozen):
    """What pricing rows again has come to; with ``dry_run`` what it would have.

    ``looked_at`` rows could be priced anew: ``changed`` of them have another cost now, of
    ``still_unknown`` ones nobody knows the price. Costs are USD over the rows looked at, as far as
    they are known. ``days`` (UTC) are those whose sums have changed.
    """

    looked_at: int
    changed: int
    still_unknown: int
    cost_before: Decimal
    cost_after: Decimal
    days: tuple[date, ...]
    dry_run: bool


class ReconcileReport(Frozen):
    """A day's costs (UTC) as the vendor bills them, and as the ledger knows them, in USD.

    ``drift`` is the vendor's sum less ours: positive when there is spending that we do not know
    of. ``drift_percent`` is of the vendor's sum, ``None`` when that is 0. ``line_items`` are the
    vendor's. Of the ledger's ``requests``, ``unpriced`` ones used something whose price is not
    known, and ``maybe_paid`` ones may have been billed for answers that never arrived: both are a
    reason for drift.
    """

    day: date
    provider: str
    vendor_cost: Decimal
    ledger_cost: Decimal
    drift: Decimal
    drift_percent: float | None
    requests: int
    unpriced: int
    maybe_paid: int
    line_items: dict[str, Decimal]

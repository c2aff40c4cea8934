"""What requests add up to. Money is USD as a `Decimal`, exact to a billionth of a dollar."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from .frozen import Frozen

UsageDimension: TypeAlias = Literal[
    "day",
    "provider",
    "model",
    "operation",
    "feature",
    "status",
    "error_type",
    "user",
    "tenant",
]
"""What usage can be split by. ``user`` and ``tenant`` have daily sums of their own, which are kept
as long as the rows; what splits by them and something else is added up from the rows.
"""
UsageOrder: TypeAlias = Literal["cost", "requests", "tokens"]


class UsageTotals(Frozen):
    """Sums over requests. Tokens are those that were reported, by the subset rule of `Usage`.

    ``cost`` holds what is known: ``unpriced`` requests used something whose price is not known and
    are not in it. It is ``None`` when nothing is known, and 0 only when nothing was charged.
    ``attempts`` are the HTTP requests that were sent.
    """

    requests: int
    completed: int
    failed: int
    cancelled: int
    pending: int
    cached: int
    unpriced: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Decimal | None

    @property
    def tokens(self) -> int:
        """Prompt plus completion."""
        return self.prompt_tokens + self.completion_tokens


class UsageRow(UsageTotals):
    """The sums of one kind of request. Only what was asked for in ``by`` is filled in; there,
    ``None`` means that the requests have none.
    """

    day: date | None = None
    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    feature: str | None = None
    status: str | None = None
    error_type: str | None = None
    user_id: UUID | None = None
    tenant: str | None = None


class UsageOverview(Frozen):
    """A window at a glance: its sums by day and model, by model and by feature, days in order and
    the largest cost first, and models in use that are to be shut down.
    """

    totals: UsageTotals
    days: tuple[UsageRow, ...]
    models: tuple[UsageRow, ...]
    features: tuple[UsageRow, ...]
    retiring: tuple["RetiringUse", ...]


class LatencyRow(Frozen):
    """How long a model's completed, not cached requests took, in milliseconds, retries included.

    With ``exact``, percentiles are true values (nearest rank). Else they come from counts within
    bounds that lie a factor of 1.41 apart and are off by less than that; of the time to the first
    token, which only streams have, the mean is known then, and no percentile.
    """

    provider: str
    model: str
    requests: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_token_requests: int
    first_token_mean_ms: float | None
    first_token_p50_ms: float | None
    first_token_p95_ms: float | None
    exact: bool


class ErrorRow(Frozen):
    """Failures of one kind at one model, with the last of them as the example; of requests whose
    rows are gone there is none.
    """

    error_type: str | None
    provider: str
    model: str
    requests: int
    last_day: date
    last_at: datetime | None
    last_request_id: UUID | None
    last_message: str | None


class CallerRow(Frozen):
    """Who calls a model: a feature on behalf of a user, how often, and when last."""

    feature: str | None
    user_id: UUID | None
    provider: str
    model: str
    requests: int
    last_at: datetime


class RetiringUse(Frozen):
    """A model in use that stops answering on ``day``, as its vendor has announced; ``days_left``
    are negative once it has. ``instead`` is what the vendor names.
    """

    provider: str
    model: str
    requests: int
    day: date
    days_left: int
    instead: str | None


class ModelCount(Frozen):
    """A model and how many requests it is about."""

    provider: str
    model: str
    requests: int


class CostHealth(Frozen):
    """How far the costs of a window can be believed.

    ``unpriced`` are models with requests whose price is not known, ``overridden`` those priced by
    your own file, most requests first. ``estimated_usages`` have tokens that we counted because
    the provider did not; ``maybe_paid`` may have been charged without an answer.
    ``price_table`` is the table and version that prices new requests, ``price_table_newest`` the
    latest day on which one of its prices began, and the age is counted from there: what vendors
    changed since the table was made is not in it.
    """

    requests: int
    unpriced: tuple[ModelCount, ...]
    overridden: tuple[ModelCount, ...]
    estimated_usages: int
    maybe_paid: int
    price_table: str
    price_table_newest: date | None
    price_table_age_days: int | None

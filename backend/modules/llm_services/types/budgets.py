"""Budgets: what may be spent by whom in which time, and what of it is left."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from .frozen import Frozen

BudgetScope = Literal["all", "user", "tenant", "feature"]
BudgetPeriod = Literal["day", "month"]
Unit = Literal["USD", "tokens"]
EVERYBODY = "*"
NANO = 1_000_000_000
"""Billionths of a dollar in one: sums of whole numbers do not depend on their order."""


class BudgetStatusDTO(Frozen):
    """How a budget stands in the period that is now. Money is USD; ``None`` means no limit.

    ``reserved`` is what calls under way may cost at most; ``left`` what a new one may. ``key`` is
    whose it is: a user's id, a tenant, a feature, or ``*`` for all together. The period begins on
    ``starts_on`` and ends at ``resets_at``, both in UTC.
    """

    scope: BudgetScope
    key: str
    period: BudgetPeriod
    starts_on: date
    resets_at: datetime
    limit_usd: float | None
    spent_usd: float
    reserved_usd: float
    left_usd: float | None
    limit_tokens: int | None
    spent_tokens: int
    reserved_tokens: int
    left_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetShortage:
    """A budget without room for a call; ``used`` is what is spent and reserved of ``limit``."""

    scope: BudgetScope
    key: str
    period: BudgetPeriod
    unit: Unit
    limit: float
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetThreshold:
    """A budget of which ``percent`` (50, 80 or 100) are spent or reserved; said once a period."""

    scope: BudgetScope
    key: str
    period: BudgetPeriod
    starts_on: date
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Account:
    """One budget in one period: whose books are kept in one row."""

    scope: BudgetScope
    key: str
    period: BudgetPeriod
    starts_on: date
    limit_nano_usd: int | None = field(default=None, compare=False)
    limit_tokens: int | None = field(default=None, compare=False)

    @property
    def resets_at(self) -> datetime:
        """The first moment of the next period."""
        days = 1 if self.period == "day" else 32
        following = self.starts_on + timedelta(days=days)
        first = following if self.period == "day" else following.replace(day=1)
        return datetime(first.year, first.month, first.day, tzinfo=UTC)

    def __str__(self) -> str:
        whose = "all calls" if self.scope == "all" else f"{self.scope} {self.key}"
        return f"{self.period}'s budget of {whose}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What a call has reserved of its budgets, and, when it is settled, what it has spent."""

    accounts: tuple[Account, ...]
    nano_usd: int
    tokens: int
    spent_nano_usd: int = 0
    spent_tokens: int = 0

    def spent(self, nano_usd: int, tokens: int) -> "Reservation":
        """The same when it is known what the call took."""
        return replace(self, spent_nano_usd=nano_usd, spent_tokens=tokens)

    def times(self, requests: int) -> "Reservation":
        """The same for so many requests."""
        return replace(self, nano_usd=self.nano_usd * requests, tokens=self.tokens * requests)

    def plus(self, other: "Reservation") -> "Reservation":
        """What both hold of the same budgets."""
        usd, tokens = self.nano_usd + other.nano_usd, self.tokens + other.tokens
        return replace(self, nano_usd=usd, tokens=tokens)

    def as_json(self) -> dict[str, Any]:
        """The row's ``reservation``."""
        return {
            "budgets": [
                [one.scope, one.key, one.period, one.starts_on.isoformat()] for one in self.accounts
            ],
            "nano_usd": self.nano_usd,
            "tokens": self.tokens,
            "spent_nano_usd": self.spent_nano_usd,
            "spent_tokens": self.spent_tokens,
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "Reservation":
        """What a row says, without the limits, which it does not know."""
        accounts = (
            Account(scope=scope, key=key, period=period, starts_on=date.fromisoformat(day))
            for scope, key, period, day in value["budgets"]
        )
        amounts = {name: value[name] for name in _AMOUNTS}
        return cls(accounts=tuple(accounts), **amounts)


_AMOUNTS = ("nano_usd", "tokens", "spent_nano_usd", "spent_tokens")

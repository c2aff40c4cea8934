"""Which budgets a call is under, what it reserves of them, and when they run low."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMBudgetExceededError
from modules.llm_services.pricing import PriceList
from modules.llm_services.routing import each_model
from modules.llm_services.types import Attribution, Call, RequestStatus
from modules.llm_services.types.budgets import (
    EVERYBODY,
    NANO,
    Account,
    BudgetShortage,
    BudgetStatusDTO,
    BudgetThreshold,
    Reservation,
    Unit,
)

from .record import CallRecord
from .worst_case import worst_cost, worst_usage

if TYPE_CHECKING:
    from modules.llm_services.setting_types import Budget, BudgetSettings

THRESHOLDS = (100, 80, 50)
"""Per cent of a budget, spent or reserved, that are told of."""


class Budgets:
    """The configured budgets. ``lenient``: what nobody can say is allowed."""

    def __init__(
        self,
        budgets: Sequence[Budget],
        prices: PriceList,
        *,
        default_output: int = 4_096,
        lenient: bool = False,
    ) -> None:
        self._budgets = {(one.scope, one.key, one.period): one for one in budgets}
        self._prices = prices
        self._default_output = default_output
        self.lenient = lenient

    def accounts(self, whose: Attribution, at: datetime) -> tuple[Account, ...]:
        """The books that somebody's call is under: a name's own budget goes before the one of
        everybody.
        """
        if not self._budgets:
            return ()
        return tuple(self._accounts(whose, at))

    def _accounts(self, whose: Attribution, at: datetime) -> Iterator[Account]:
        user = None if whose.user_id is None else str(whose.user_id)
        keys = {"all": EVERYBODY, "user": user, "tenant": whose.tenant, "feature": whose.feature}
        for (scope, name, period), budget in self._budgets.items():
            key = keys[scope]
            if key is None or name not in {EVERYBODY, key}:
                continue
            if name == key or (scope, key, period) not in self._budgets:
                yield budget.account(key, at)

    def reservation(self, call: Call, at: datetime) -> Reservation:
        """What a call that is under a budget reserves for a request: of its models the dearest.

        Raises `LLMBudgetExceededError` for a price that nobody knows under a limit in USD.
        """
        accounts = self.accounts(call.attribution, at)
        worst = [self._worst(one, accounts, at) for one in each_model(call)]
        return Reservation(
            accounts=accounts,
            nano_usd=_nano(max(cost for cost, _ in worst)),
            tokens=max(tokens for _, tokens in worst),
        )

    def _worst(self, call: Call, accounts: Sequence[Account], at: datetime) -> tuple[Decimal, int]:
        """USD and tokens that one model may take for one request."""
        usage = worst_usage(call, self._default_output)
        in_usd = next((one for one in accounts if one.limit_nano_usd is not None), None)
        cost = worst_cost(call, usage, self._prices, at) if in_usd else Decimal(0)
        if cost is None and in_usd and not self.lenient:
            raise _unknown(in_usd, f"no price is known for {call.provider}:{call.model}")
        return cost or Decimal(0), usage.total_tokens or 0

    def refuse_batch(self, whose: Attribution) -> None:
        """Raise `LLMBudgetExceededError` for a batch under a budget: what it costs is known hours
        later, perhaps in another period.
        """
        accounts = self.accounts(whose, datetime.now(UTC))
        if accounts and not self.lenient:
            raise _unknown(accounts[0], "what a batch costs is known hours later")


def configured_budgets(settings: BudgetSettings, prices: PriceList) -> Budgets:
    """The budgets of the settings."""
    return Budgets(
        settings.budgets,
        prices,
        default_output=settings.budget_default_output_tokens,
        lenient=settings.budget_when_unknown == "allow",
    )


def _unknown(account: Account, why: str) -> LLMBudgetExceededError:
    """What cannot be held against a budget is refused."""
    return LLMBudgetExceededError(
        f"the {account} cannot be kept: {why}; LLM_BUDGET_WHEN_UNKNOWN=allow lets such calls pass",
    )


def _nano(usd: Decimal) -> int:
    return round(usd * NANO)


def spent(record: CallRecord) -> Reservation | None:
    """The reservation of a call that has ended, with what it took. An answer whose cost or tokens
    nobody knows has spent what was reserved for it.
    """
    if record.reservation is None:
        return None
    held = record.reservation.times(record.requests_covered)
    answered = record.status == RequestStatus.COMPLETED
    cost, tokens = record.cost, record.usage.total_tokens if record.usage else None
    usd = (held.nano_usd if answered else 0) if cost is None else _nano(cost)
    return held.spent(usd, (held.tokens if answered else 0) if tokens is None else tokens)


def exceeded(account: Account, books: Row[Any], wanted: Reservation) -> LLMBudgetExceededError:
    """The error of a call for which a budget has no room."""
    used_usd = books.spent_nano_usd + books.reserved_nano_usd
    limit = account.limit_nano_usd
    if limit is not None and used_usd + wanted.nano_usd > limit:
        short = _shortage(account, "USD", limit / NANO, used_usd / NANO)
        may = wanted.nano_usd / NANO
    else:
        used = books.spent_tokens + books.reserved_tokens
        short = _shortage(account, "tokens", account.limit_tokens or 0, used)
        may = wanted.tokens
    return LLMBudgetExceededError(
        f"the {account} is {short.limit:.12g} {short.unit}, of which {short.used:.12g} are spent "
        f"or reserved; this call may take {may:.12g}",
        budget=short,
        retry_after=max((account.resets_at - datetime.now(UTC)).total_seconds(), 0),
    )


def _shortage(account: Account, unit: Unit, limit: float, used: float) -> BudgetShortage:
    return BudgetShortage(
        scope=account.scope,
        key=account.key,
        period=account.period,
        unit=unit,
        limit=limit,
        used=used,
    )


def status_of(account: Account, books: Row[Any] | None) -> BudgetStatusDTO:
    """How a budget stands."""
    usd, held_usd = (books.spent_nano_usd, books.reserved_nano_usd) if books else (0, 0)
    tokens, held = (books.spent_tokens, books.reserved_tokens) if books else (0, 0)
    limit, most = account.limit_nano_usd, account.limit_tokens
    return BudgetStatusDTO(
        scope=account.scope,
        key=account.key,
        period=account.period,
        starts_on=account.starts_on,
        resets_at=account.resets_at,
        limit_usd=None if limit is None else limit / NANO,
        spent_usd=usd / NANO,
        reserved_usd=held_usd / NANO,
        left_usd=None if limit is None else max(limit - usd - held_usd, 0) / NANO,
        limit_tokens=most,
        spent_tokens=tokens,
        reserved_tokens=held,
        left_tokens=None if most is None else max(most - tokens - held, 0),
    )


def crossed(
    connection: Connection, accounts: Sequence[Account], least: int = 0
) -> list[BudgetThreshold]:
    """Thresholds that nobody has told of; ``least`` per cent are taken to be used."""
    found = []
    for account in sorted(accounts):
        books = repo.state(connection, account)
        percent = max(_percent(account, books), least)
        reached = next((one for one in THRESHOLDS if percent >= one), None)
        if reached is not None and repo.warn_once(connection, account, reached):
            found.append(_threshold(account, reached))
    return found


def _percent(account: Account, books: Row[Any] | None) -> float:
    if books is None:
        return 0
    used = (
        (books.spent_nano_usd + books.reserved_nano_usd, account.limit_nano_usd),
        (books.spent_tokens + books.reserved_tokens, account.limit_tokens),
    )
    return max((100 * part / whole for part, whole in used if whole), default=0)


def _threshold(account: Account, percent: int) -> BudgetThreshold:
    return BudgetThreshold(
        scope=account.scope,
        key=account.key,
        period=account.period,
        starts_on=account.starts_on,
        percent=percent,
    )

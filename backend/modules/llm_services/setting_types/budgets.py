"""The settings of budgets: what may be spent by whom, and what holds when nobody can say."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode

from modules.llm_services.types.budgets import EVERYBODY, NANO, Account, BudgetPeriod, BudgetScope


class Budget(BaseModel):
    """A limit in USD, in tokens, or both. ``key`` is a name, or ``*`` for each one by itself that
    has no budget under its own name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: BudgetScope
    key: Annotated[str, Field(min_length=1, max_length=64)] = EVERYBODY
    period: BudgetPeriod
    usd: Annotated[Decimal, Field(ge=0, le=1_000_000_000)] | None = None
    tokens: Annotated[int, Field(ge=0, le=10**15)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Budget":
        if self.usd is None and self.tokens is None:
            raise ValueError("needs usd, tokens or both")
        if self.scope == "all" and self.key != EVERYBODY:
            raise ValueError("scope all has no key")
        return self

    def account(self, key: str, at: datetime) -> Account:
        """Its books for somebody in the period of a moment in UTC."""
        today = at.date()
        return Account(
            scope=self.scope,
            key=key,
            period=self.period,
            starts_on=today if self.period == "day" else today.replace(day=1),
            limit_nano_usd=None if self.usd is None else int(self.usd * NANO),
            limit_tokens=self.tokens,
        )


def _json_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "[]")
    except ValueError:
        raise ValueError("must be a JSON list of budgets") from None


class BudgetSettings(BaseModel):
    """Budgets by day and month, in UTC."""

    budgets: Annotated[tuple[Budget, ...], NoDecode, BeforeValidator(_json_list)] = Field(
        default=(),
        description="JSON list of budgets: `scope` (all, user, tenant, feature), `key` (a name, or "
        "`*` for each by itself), `period` (day, month; UTC), `usd`, `tokens`.",
    )
    budget_default_output_tokens: int = Field(
        4_096,
        description="Output that is reserved for a call without `max_tokens`.",
        ge=1,
        le=10_000_000,
    )
    budget_when_unknown: Literal["refuse", "allow"] = Field(
        "refuse",
        description="What becomes of a call under a budget when its price is not known, its budget "
        "cannot be looked at because the database is away, or it is a batch.",
    )

    @model_validator(mode="after")
    def _check_budgets(self) -> Any:
        names = [(one.scope, one.key, one.period) for one in self.budgets]
        if len(names) != len(set(names)):
            raise ValueError("LLM_BUDGETS: two budgets have the same scope, key and period")
        return self

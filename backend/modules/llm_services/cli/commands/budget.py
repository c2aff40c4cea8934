"""``llm-services budget``: how budgets stand."""

from typing import Any
from uuid import UUID

from modules.llm_services.cli.options import AsJson, Feature, Tenant, User
from modules.llm_services.cli.output import note, show_json, show_table
from modules.llm_services.cli.running import run

_COLUMNS = ("scope", "whose", "period", "limit", "spent", "reserved", "left", "until")


def budget(
    *,
    user: User = None,
    tenant: Tenant = None,
    feature: Feature = None,
    as_json: AsJson = False,
) -> None:
    """The budgets that a call of this user, tenant and feature is under, as they stand now.

    \b
    llm-services budget
    llm-services budget --tenant acme --json
    """
    run(lambda: _budget(user, tenant, feature, as_json=as_json), as_json=as_json)


async def _budget(
    user: UUID | None, tenant: str | None, feature: str | None, *, as_json: bool
) -> None:
    from modules.llm_services.public import open_llm_services

    async with open_llm_services() as llm:
        found = llm.budget_status(user, tenant, feature)
    if as_json:
        show_json("budgets", found)
        return
    show_table(_COLUMNS, [line for one in found for line in _lines(one)])
    if not found:
        note("no budget holds for such a call: see LLM_BUDGETS")


def _lines(one: Any) -> list[list[object]]:
    """A line for each limit: money, tokens."""
    units = [name for name in ("usd", "tokens") if getattr(one, f"limit_{name}") is not None]
    return [
        [
            one.scope,
            one.key,
            one.period,
            *(_amount(one, part, unit) for part in ("limit", "spent", "reserved", "left")),
            one.resets_at.date(),
        ]
        for unit in units
    ]


def _amount(one: Any, part: str, unit: str) -> str:
    from modules.llm_services.cli.as_json import usd

    value = getattr(one, f"{part}_{unit}")
    return f"{usd(value)} USD" if unit == "usd" else f"{value} tokens"

"""``llm-services usage`` and ``cost``: what requests add up to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modules.llm_services.cli.options import AsJson, Since, Until
from modules.llm_services.cli.output import note, show_json, show_table
from modules.llm_services.cli.running import run

if TYPE_CHECKING:
    from decimal import Decimal

    from modules.llm_services.public import UsageRow, UsageTotals

_DIMENSIONS = "day, provider, model, operation, feature, status, error_type, user, tenant"
_SUMS = ("requests", "failed", "cached", "tokens", "cost USD", "unpriced")

By = Annotated[
    list[str],
    typer.Option("--by", "-b", help=f"Split by {_DIMENSIONS}; may be there several times."),
]
Limit = Annotated[int, typer.Option("--limit", "-n", help="So many lines at most.")]


def usage(
    *,
    by: By = ["model"],  # noqa: B006 - typer reads it, nobody changes it
    since: Since = None,
    until: Until = None,
    order: Annotated[str, typer.Option(help="cost, requests or tokens.")] = "requests",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Requests, tokens and cost, split and in all; the last 30 days unless --since says more.

    \b
    llm-services usage
    llm-services usage --by day --by model --since 7d
    llm-services usage --by user --order cost --limit 10 --json
    """
    run(lambda: _usage(by, since, until, order, limit, as_json=as_json), as_json=as_json)


def cost(
    *,
    by: By = ["day", "model"],  # noqa: B006 - as above
    since: Since = None,
    until: Until = None,
    limit: Limit = 1_000,
    as_json: AsJson = False,
) -> None:
    """What was spent, and how far that can be believed; the last 30 days by default.

    \b
    llm-services cost --since 2026-11-01
    llm-services cost --by feature --json
    """
    run(lambda: _cost(by, since, until, limit, as_json=as_json), as_json=as_json)


async def _usage(
    by: Sequence[Any], since: Any, until: Any, order: Any, limit: int, *, as_json: bool
) -> None:
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        rows = admin.usage(tuple(by), since, until, order=order, limit=limit)
        totals = admin.totals(since, until)
    if as_json:
        show_json("usage", {"by": by, "groups": rows, "totals": totals})
        return
    lines = [[*_labels(by, row), *_sums(row)] for row in rows]
    all_of_it = ["all", *[None] * (len(by) - 1), *_sums(totals)]
    show_table([*by, *_SUMS], [*lines, all_of_it])


async def _cost(by: Sequence[Any], since: Any, until: Any, limit: int, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        rows = admin.usage(tuple(by), since, until, order="cost", limit=limit)
        totals, health = admin.totals(since, until), admin.cost_health(since, until)
    if as_json:
        show_json("cost", {"by": by, "groups": rows, "totals": totals, "health": health})
        return
    lines = [[*_labels(by, row), _usd(row.cost), row.requests, row.unpriced] for row in rows]
    empty = [None] * (len(by) - 1)
    all_of_it = ["all", *empty, _usd(totals.cost), totals.requests, totals.unpriced]
    show_table([*by, "cost USD", "requests", "unpriced"], [*lines, all_of_it])
    for model in health.unpriced:
        note(f"no price is known for {model.provider}:{model.model}: {model.requests} requests")
    if health.maybe_paid:
        note(f"{health.maybe_paid} requests may have been charged without an answer")
    if health.estimated_usages:
        note(f"{health.estimated_usages} requests have tokens that were counted here")
    note(f"prices: {health.price_table}, the newest of {health.price_table_newest}")


def _labels(by: Sequence[str], row: "UsageRow") -> list[object]:
    return [getattr(row, "user_id" if name == "user" else name) for name in by]


def _sums(row: "UsageTotals") -> list[object]:
    return [row.requests, row.failed, row.cached, row.tokens, _usd(row.cost), row.unpriced]


def _usd(cost: "Decimal | None") -> str | None:
    return None if cost is None else f"{cost:f}"

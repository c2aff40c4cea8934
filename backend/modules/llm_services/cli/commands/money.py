"""``llm-services recost`` and ``reconcile``: costs mended, and held against a bill."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from modules.llm_services.cli.options import AsJson, day
from modules.llm_services.cli.output import show_json, show_table, write
from modules.llm_services.cli.progress import progress
from modules.llm_services.cli.running import misuse, run

if TYPE_CHECKING:
    from modules.llm_services.public import RecostReport

_MOST_DAYS = 3_660


def recost(
    since: Annotated[
        date, typer.Option("--since", parser=day, metavar="DAY", help="The first day (UTC).")
    ],
    *,
    until: Annotated[
        date | None,
        typer.Option("--until", parser=day, metavar="DAY", help="The last day; today by default."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also rows that have a cost, not only those without.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Price rows again, each at the price of its day: after prices became known, or changed.

    \b
    llm-services recost --since 30d --dry-run
    llm-services recost --since 2026-11-01 --until 2026-11-30 --all
    """
    last = until or day("today")
    if not since <= last <= since + timedelta(days=_MOST_DAYS):
        raise misuse("--since must be a day before --until, ten years at most")
    days = [since + timedelta(days=n) for n in range((last - since).days + 1)]
    run(lambda: _recost(days, not everything, dry_run=dry_run, as_json=as_json), as_json=as_json)


def reconcile(
    of: Annotated[date, typer.Argument(metavar="DAY", parser=day, help="2026-11-21, yesterday.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Hold a day of the ledger against OpenAI's bill; needs LLM_OPENAI_ADMIN_KEY.

    \b
    llm-services reconcile yesterday
    llm-services reconcile 2026-11-21 --json
    """
    run(lambda: _reconcile(of, as_json=as_json), as_json=as_json)


async def _recost(days: list[date], only_unknown: bool, *, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 - as `recost` has it
    from modules.llm_services.public import open_llm_services_admin

    done: list[RecostReport] = []
    with progress("pricing") as tell:
        async with open_llm_services_admin() as admin:
            for one in days:
                done.append(await admin.recost(one, one, only_unknown, dry_run=dry_run))
                tell(len(done), len(days))
    whole = _together(done)
    if as_json:
        show_json("recost", whole)
        return
    would = "would change" if dry_run else "changed"
    write(
        f"{whole.looked_at} rows looked at, {whole.changed} {would}, {whole.still_unknown} unknown"
    )
    write(f"{whole.cost_before:f} USD before, {whole.cost_after:f} USD after")


def _together(done: "list[RecostReport]") -> "RecostReport":
    from decimal import Decimal

    from modules.llm_services.public import RecostReport

    return RecostReport(
        looked_at=sum(one.looked_at for one in done),
        changed=sum(one.changed for one in done),
        still_unknown=sum(one.still_unknown for one in done),
        cost_before=sum((one.cost_before for one in done), Decimal(0)),
        cost_after=sum((one.cost_after for one in done), Decimal(0)),
        days=tuple(changed for one in done for changed in one.days),
        dry_run=done[0].dry_run,
    )


async def _reconcile(of: date, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        report = await admin.reconcile(of)
    if as_json:
        show_json("reconciliation", report)
        return
    percent = None if report.drift_percent is None else f"{report.drift_percent:.2f} %"
    facts = (
        ("billed USD", f"{report.vendor_cost:f}"),
        ("ledger USD", f"{report.ledger_cost:f}"),
        ("drift USD", f"{report.drift:f}"),
        ("drift", percent),
        ("requests", report.requests),
        ("unpriced", report.unpriced),
        ("maybe paid", report.maybe_paid),
    )
    show_table(("what", str(report.day)), facts)

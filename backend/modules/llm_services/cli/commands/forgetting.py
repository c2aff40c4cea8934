"""``llm-services purge`` and ``erase-user``: the ledger forgets."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from modules.llm_services.cli.options import AsJson
from modules.llm_services.cli.output import note, show_json, write
from modules.llm_services.cli.progress import progress
from modules.llm_services.cli.running import FAILED, misuse, run

if TYPE_CHECKING:
    from modules.llm_services.public import ErasureReport, PurgeReport

R = TypeVar("R", "ErasureReport", "PurgeReport")
_SLICE = 2.0  # seconds after which somebody hears how far it is

Budget = Annotated[
    float, typer.Option("--budget", help="Seconds at most; what is left is for the next run.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def purge(*, budget: Budget = 600.0, as_json: AsJson = False) -> None:
    """Remove what is older than LLM_PAYLOAD_RETENTION_DAYS and LLM_ROW_RETENTION_DAYS allow.

    The exit code is 1 when something is left for the next run.

    \b
    llm-services purge
    llm-services purge --budget 60 --json
    """
    run(lambda: _purge(budget, as_json=as_json), as_json=as_json)


def erase_user(
    user: Annotated[UUID, typer.Argument(help="The user's id.")],
    *,
    yes: Yes = False,
    budget: Budget = 600.0,
    as_json: AsJson = False,
) -> None:
    """Take a user, and all that the user said and was told, out of the ledger. For good.

    Tokens and cost stay. The exit code is 1 when something is left for the next run.

    \b
    llm-services erase-user 0b6f2d0e-7a55-4d0c-9a43-1d5f0c7be001
    llm-services erase-user 0b6f2d0e-7a55-4d0c-9a43-1d5f0c7be001 --yes --json
    """
    if not yes and not typer.confirm(f"Erase user {user} for good?", default=False, err=True):
        raise misuse("not confirmed: nothing was erased")
    run(lambda: _erase(user, budget, as_json=as_json), as_json=as_json)


async def _purge(budget: float, *, as_json: bool) -> None:
    from modules.llm_services.public import PurgeReport, open_llm_services_admin

    async with open_llm_services_admin() as admin:
        done = await _in_slices("purging", budget, lambda seconds: admin.purge(budget=seconds))
    scrubbed, deleted = sum(one.scrubbed for one in done), sum(one.deleted for one in done)
    left = done[-1].remaining
    whole = PurgeReport(scrubbed=scrubbed, deleted=deleted, remaining=left, finished=left == 0)
    _show(
        "purge", whole, f"{scrubbed} rows lost their content, {deleted} are gone", as_json=as_json
    )


async def _erase(user: UUID, budget: float, *, as_json: bool) -> None:
    from dataclasses import replace

    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        done = await _in_slices(
            "erasing", budget, lambda seconds: admin.erase_user(user, budget=seconds)
        )
    whole = replace(done[-1], erased=sum(one.erased for one in done))
    if whole.spooled:
        note(f"{whole.spooled} rows wait on disk for the database and may be the user's")
    _show("erasure", whole, f"{whole.erased} rows lost content and user", as_json=as_json)


def _show(kind: str, whole: R, said: str, *, as_json: bool) -> None:
    if as_json:
        show_json(kind, whole)
    else:
        write(said if whole.finished else f"{said}, {whole.remaining} left: run it again")
    if not whole.finished:
        raise typer.Exit(FAILED)


async def _in_slices(what: str, budget: float, work: Callable[[float], Awaitable[R]]) -> list[R]:
    """The work's reports, one every few seconds, until it is done or the time is over."""
    reports: list[R] = []
    ends, done, seconds = time.monotonic() + budget, 0, min(_SLICE, budget)
    with progress(what) as tell:
        while True:
            report = await work(seconds)
            reports.append(report)
            done += getattr(report, "erased", 0) + getattr(report, "scrubbed", 0)
            done += getattr(report, "deleted", 0)
            tell(done, done + report.remaining)
            seconds = min(_SLICE, ends - time.monotonic())
            if report.finished or seconds <= 0:
                return reports

"""``llm-services cache``: what it saves, and emptying it."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from modules.llm_services.cli.options import (
    AsJson,
    Feature,
    Model,
    Since,
    Tenant,
    Until,
    User,
    moment,
)
from modules.llm_services.cli.output import show_json, show_table, write
from modules.llm_services.cli.running import misuse, run

app = typer.Typer(
    help="What the cache saves, and emptying it.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("stats")
def stats(*, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Hits, misses and what they saved, by model and feature; the last 30 days by default.

    \b
    llm-services cache stats --since 7d
    """
    run(lambda: _stats(since or moment("30d"), until, as_json=as_json), as_json=as_json)


@app.command("clear")
def clear(
    *,
    model: Model = None,
    feature: Feature = None,
    user: User = None,
    tenant: Tenant = None,
    older_than: Annotated[
        datetime | None,
        typer.Option("--older-than", parser=moment, metavar="WHEN", help="7d, 2026-11-01."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All answers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget answers: those that fit, or all. A cache in memory is that of each process.

    \b
    llm-services cache clear --tenant acme
    llm-services cache clear --older-than 7d
    llm-services cache clear --all
    """
    said = {"model": model, "feature": feature, "user_id": user, "tenant": tenant}
    if not everything and older_than is None and not any(said.values()):
        raise misuse("say which answers (--model, --tenant, …), or --all")
    age = None if older_than is None else moment("0m") - older_than
    run(lambda: _clear(said, age, as_json=as_json), as_json=as_json)


async def _stats(since: datetime, until: datetime | None, *, as_json: bool) -> None:
    from modules.llm_services.cli.as_json import usd
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        found = admin.cache_statistics(since, until)
    if as_json:
        show_json("cache", found)
        return
    lines = [
        (f"{one.provider}:{one.model}", one.feature, one.hits, one.misses, usd(one.saved_cost))
        for one in found.groups
    ]
    whole = ("all", None, found.hits, found.misses, usd(found.saved_cost))
    show_table(("model", "feature", "hits", "misses", "saved USD"), [*lines, whole])


async def _clear(said: dict[str, Any], age: timedelta | None, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        forgotten = await admin.clear_cache(**said, older_than=age)
    if as_json:
        show_json("cleared", {"answers": forgotten})
    else:
        write(f"{forgotten} answers forgotten")

"""``llm-services logs``: the ledger's rows, listed, shown and followed."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from modules.llm_services.cli.options import AsJson, Feature, Model, Since, Tenant, Until, User
from modules.llm_services.cli.output import cell, note, show_json, show_table, show_text, write
from modules.llm_services.cli.running import FAILED, run

if TYPE_CHECKING:
    from modules.llm_services.public import LLMRequestDTO, RequestFilter

app = typer.Typer(
    help="The ledger's rows: list, show, follow.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_PAGE = 200
_COLUMNS = ("time", "id", "status", "model", "feature", "user", "tokens", "cost", "ms")

Status = Annotated[
    str | None, typer.Option(help="pending, completed, failed or cancelled.", show_default=False)
]
ErrorType = Annotated[
    str | None, typer.Option("--error", help="RateLimited, Timeout, …", show_default=False)
]
Conversation = Annotated[str | None, typer.Option(help="Of a conversation.", show_default=False)]
Words = Annotated[str | None, typer.Option("--text", help="In the previews; give --since with it.")]


@app.command("list")
def list_rows(
    *,
    user: User = None,
    feature: Feature = None,
    tenant: Tenant = None,
    model: Model = None,
    status: Status = None,
    error: ErrorType = None,
    conversation: Conversation = None,
    text: Words = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="So many at most.", min=1)] = 20,
    after: Annotated[
        str | None, typer.Option(help="Go on from here: the cursor of the page before.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Requests that fit all that is given, newest first.

    \b
    llm-services logs list --error RateLimited --since 24h
    llm-services logs list --user 0b6f2d0e-7a55-4d0c-9a43-1d5f0c7be001 --json
    llm-services logs list -n 1000 | cut -f 4 | sort | uniq -c
    """
    wanted = _wanted(
        user=user,
        feature=feature,
        tenant=tenant,
        model=model,
        status=status,
        error=error,
        conversation=conversation,
        text=text,
        since=since,
        until=until,
    )
    run(lambda: _list(wanted, limit, after, as_json=as_json), as_json=as_json)


@app.command("show")
def show(
    request_id: Annotated[UUID, typer.Argument(help="The row's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """One request with its messages, its answer and its attempts.

    \b
    llm-services logs show 01990000-0000-7000-8000-000000000000
    llm-services logs show 01990000-0000-7000-8000-000000000000 --json | jq .data.attempts
    """
    run(lambda: _show(request_id, as_json=as_json), as_json=as_json)


@app.command("follow")
def follow(
    *,
    user: User = None,
    feature: Feature = None,
    tenant: Tenant = None,
    model: Model = None,
    status: Status = None,
    error: ErrorType = None,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.05)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Requests as they end, until Ctrl-C: those that begin from now on.

    One that takes longer than 15 minutes is not shown.

    \b
    llm-services logs follow
    llm-services logs follow --status failed --json
    """
    wanted = _wanted(user=user, feature=feature, tenant=tenant, model=model, error=None)
    fits = {"status": status, "error_type": error}
    run(lambda: _follow(wanted, fits, interval, as_json=as_json), as_json=as_json, interrupted=0)


def _wanted(*, user: UUID | None, error: str | None, **given: Any) -> "RequestFilter":
    from modules.llm_services.public import RequestFilter

    conversation = given.pop("conversation", None)
    return RequestFilter(user_id=user, error_type=error, conversation_id=conversation, **given)


async def _list(wanted: "RequestFilter", limit: int, after: str | None, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services_admin

    found: list[LLMRequestDTO] = []
    async with open_llm_services_admin() as admin:
        while True:
            page = admin.find(wanted, min(limit - len(found), _PAGE), after)
            found += page.items
            after = page.next_cursor
            if after is None or len(found) == limit:
                break
    if as_json:
        show_json("requests", found, next=after)
        return
    show_table(_COLUMNS, map(_cells, found))
    if after is not None:
        note(f"there are more: --after {after}")


async def _show(request_id: UUID, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        found = admin.request(request_id)
    if found is None:
        note(f"llm-services: there is no row {request_id}")
        raise typer.Exit(FAILED)
    if as_json:
        show_json("request", found)
    else:
        _show_whole(found)


async def _follow(
    wanted: "RequestFilter", fits: Mapping[str, Any], interval: float, *, as_json: bool
) -> None:
    """What it ends with can be looked at only when a row has ended: ``fits`` does that."""
    import asyncio

    from modules.llm_services.cli.following import Follower
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        admin.find(replace(wanted, **fits), limit=1)  # says what makes no sense
        note("following; Ctrl-C ends it")
        look = partial(admin.find, limit=_PAGE)
        follower = Follower(lambda since, at: look(replace(wanted, since=since), after=at))
        while True:
            for row in follower.ended():
                if all(value in {None, getattr(row, name)} for name, value in fits.items()):
                    _show_ended(row, as_json=as_json)
            await asyncio.sleep(interval)


def _show_ended(row: "LLMRequestDTO", *, as_json: bool) -> None:
    if as_json:
        show_json("request", row)
    else:
        write("\t".join(map(cell, _cells(row))))


def _cells(row: "LLMRequestDTO") -> tuple[object, ...]:
    from modules.llm_services.cli.as_json import plain, usd

    return (
        plain(row.created_at.replace(microsecond=0)),
        row.id,
        f"{row.status}: {row.error_type}" if row.error_type else row.status,
        f"{row.provider}:{row.model}",
        row.feature,
        row.user_id,
        row.tokens_used,
        None if row.cost_estimate is None else usd(row.cost_estimate),
        row.execution_time_ms,
    )


_WIDE = ("messages", "response_content", "response_raw", "attempts")


def _show_whole(row: "LLMRequestDTO") -> None:
    import json

    from modules.llm_services.cli.as_json import plain

    said = plain(row)
    facts = {name: value for name, value in said.items() if value is not None}
    for name, value in facts.items():
        if name not in _WIDE:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            show_text(f"{name}: {text}")
    for message in row.messages or ():
        show_text(f"\n--- {message.get('role')} ---\n{_content(message.get('content'))}")
    if row.response_content is not None:
        show_text(f"\n--- answer ---\n{row.response_content}")
    for attempt in said["attempts"] or ():
        show_text(f"\nattempt {json.dumps(attempt, ensure_ascii=False)}")


def _content(content: object) -> str:
    import json

    if isinstance(content, str):
        return content
    return json.dumps(content, ensure_ascii=False, indent=2)

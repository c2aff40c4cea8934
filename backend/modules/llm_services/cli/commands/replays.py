"""``llm-services replay`` and ``compare``: logged requests on other models."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from modules.llm_services.cli.options import AsJson, Feature, Model, Since, Until
from modules.llm_services.cli.output import note, show_json, show_table, show_text
from modules.llm_services.cli.running import misuse, run

if TYPE_CHECKING:
    from modules.llm_services.public import RequestFilter

_COLUMNS = ("model", "answered", "failed", "USD", "unpriced", "in", "out", "median ms", "agreement")


def replay(
    request_id: Annotated[UUID, typer.Argument(help="The row's id.")],
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="By default the one that was asked.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a logged conversation again, on another model. It costs money; it is a row of its own.

    \b
    llm-services replay 01990000-0000-7000-8000-000000000000 --model smart
    """
    run(lambda: _replay(request_id, model, as_json=as_json), as_json=as_json)


def compare(
    requests: Annotated[list[UUID] | None, typer.Argument(help="Rows; or say which below.")] = None,
    *,
    on: Annotated[list[str], typer.Option("--on", help="A model; may be there several times.")],
    feature: Feature = None,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="So many at most.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Send nothing, count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Logged conversations beside what other models make of them: cost, time, agreement.

    \b
    llm-services compare --feature quiz --since 7d --on smart --estimate
    llm-services compare --feature quiz -n 20 --on openai:gpt-6-luna --on anthropic:claude-haiku-5-5
    """
    chosen = any((feature, model, since, until))
    if bool(requests) == chosen:
        raise misuse(
            "give the ids of rows, or which rows (--feature, --model, --since): one of both"
        )
    wanted = requests or _wanted(feature=feature, model=model, since=since, until=until)
    work = _Comparing(wanted, on, limit, estimate=estimate, as_json=as_json)
    run(work.compare, as_json=as_json)


def _wanted(**given: object) -> "RequestFilter":
    from modules.llm_services.public import RequestFilter

    return RequestFilter(**given)  # type: ignore[arg-type]  # each is of its field's type


async def _replay(request_id: UUID, model: str | None, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services_admin

    async with open_llm_services_admin() as admin:
        response, row = await admin.replay(request_id, model)
    if as_json:
        show_json("answer", {"request_id": row, **response.model_dump()})
        return
    show_text(response.content)
    note(f"{response.provider}:{response.model}, row {row}")


class _Comparing:
    """Rows and models, and how to show what comes of them."""

    def __init__(
        self,
        wanted: "list[UUID] | RequestFilter",
        on: list[str],
        limit: int | None,
        *,
        estimate: bool,
        as_json: bool,
    ) -> None:
        self._wanted, self._on, self._limit = wanted, on, limit
        self._estimate, self._as_json = estimate, as_json

    async def compare(self) -> None:
        """Ask, and show."""
        from modules.llm_services.public import open_llm_services_admin

        async with open_llm_services_admin() as admin:
            found = await admin.compare(
                self._wanted, self._on, estimate_only=self._estimate, limit=self._limit
            )
        if self._as_json:
            show_json("comparison", found)
            return
        lines = [
            (
                one.model,
                one.answered,
                one.failed,
                None if one.cost is None else f"{one.cost:f}",
                one.unpriced,
                one.prompt_tokens,
                one.completion_tokens,
                one.median_ms,
                None if one.agreement is None else f"{one.agreement:.0%}",
            )
            for one in (found.logged, *found.models)
        ]
        show_table(_COLUMNS, lines)
        for left in found.left_out:
            note(f"left out: {left.request_id}: {left.reason}")
        if found.more:
            note("there are more that fit: --limit")

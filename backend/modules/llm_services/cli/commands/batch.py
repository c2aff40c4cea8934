"""``llm-services batch``: a file of requests, handed over at once, and a file of results."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modules.llm_services.cli.options import AsJson
from modules.llm_services.cli.output import note, show_json, show_table, write
from modules.llm_services.cli.progress import progress
from modules.llm_services.cli.running import FAILED, run

if TYPE_CHECKING:
    from modules.llm_services.cli.batch_files import Progress
    from modules.llm_services.public import BatchResult, LLMServicesProvider

app = typer.Typer(
    help="Many requests for half the price: run, status, collect.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Results = Annotated[Path, typer.Argument(help="The file of results, one JSON object a line.")]


@app.command("run")
def run_batch(
    requests: Annotated[Path, typer.Argument(help='One JSON object a line: {"prompt": "…"}.')],
    results: Results,
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model, or a role, for all of them.")
    ] = None,
    feature: Annotated[str, typer.Option(help="For what; on the rows.")] = "cli",
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.05)] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Hand over, wait, write the results. Interrupted, the same command goes on where it was.

    A line has a prompt (and perhaps a system), or messages; perhaps a key and parameters
    (temperature, max_tokens, …). What was handed over is kept in RESULTS.batch until all is there.

    \b
    llm-services batch run requests.jsonl results.jsonl --model fast
    """
    work = _Batch(results, as_json=as_json)
    run(lambda: work.run(requests, model, feature, interval), as_json=as_json)


@app.command("status")
def status(
    batch_id: Annotated[str, typer.Argument(help="The batch's id.")], *, as_json: AsJson = False
) -> None:
    """How far a batch is.

    \b
    llm-services batch status openai:batch_123
    """
    run(lambda: _status(batch_id, as_json=as_json), as_json=as_json)


@app.command("collect")
def collect(
    batch_id: Annotated[str, typer.Argument(help="The batch's id.")],
    results: Results,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the results of a batch that has ended; as often as you like.

    \b
    llm-services batch collect openai:batch_123 results.jsonl
    """
    work = _Batch(results, as_json=as_json)
    run(lambda: work.collect(batch_id), as_json=as_json)


async def _status(batch_id: str, *, as_json: bool) -> None:
    from modules.llm_services.public import open_llm_services

    async with open_llm_services() as llm:
        found = await llm.batch_status(batch_id)
    if as_json:
        show_json("batch", found)
        return
    columns = ("status", "total", "completed", "failed", "created")
    created = found.created_at.replace(microsecond=0)
    show_table(columns, [(found.status, found.total, found.completed, found.failed, created)])


class _Batch:
    """A batch on its way to a file of results."""

    def __init__(self, results: Path, *, as_json: bool) -> None:
        self._results, self._as_json = results, as_json

    async def run(self, given: Path, model: str | None, feature: str, interval: float) -> None:
        """All of it."""
        from modules.llm_services.cli.batch_files import Progress
        from modules.llm_services.public import open_llm_services

        kept = Progress(self._results)
        async with open_llm_services() as llm:
            batch_id = await _handed_over(llm, given, kept, model, feature)
            await _wait(llm, batch_id, interval)
            counts = await self._write(llm, batch_id)
        kept.end()
        self._told(batch_id, *counts)

    async def collect(self, batch_id: str) -> None:
        """The results alone."""
        from modules.llm_services.public import open_llm_services

        async with open_llm_services() as llm:
            counts = await self._write(llm, batch_id)
        self._told(batch_id, *counts)

    async def _write(self, llm: "LLMServicesProvider", batch_id: str) -> tuple[int, int]:
        """The results, whole or not at all; how many there are, and how many failed."""
        from modules.llm_services.cli.as_json import dumped

        part, failed, count = self._results.with_name(f"{self._results.name}.part"), 0, 0
        with part.open("w", encoding="utf-8") as file:
            async for result in llm.collect_batch(batch_id):
                file.write(f"{dumped(_line(result))}\n")
                count, failed = count + 1, failed + (result.error is not None)
        os.replace(part, self._results)
        return count, failed

    def _told(self, batch_id: str, count: int, failed: int) -> None:
        if self._as_json:
            said = {"id": batch_id, "results": self._results, "requests": count, "failed": failed}
            show_json("batch_results", said)
        else:
            write(f"{count} results, {failed} of them failed: {self._results}")
        if failed:
            raise typer.Exit(FAILED)


async def _handed_over(
    llm: "LLMServicesProvider", given: Path, kept: "Progress", model: str | None, feature: str
) -> str:
    """The batch's id: of one that is under way for this input, or of a new one."""
    from hashlib import sha256

    from modules.llm_services.cli.batch_files import read_requests

    requests = read_requests(given)
    digest = sha256(f"{model} {requests!r}".encode()).hexdigest()
    if known := kept.begun(digest):
        note(f"going on with batch {known}")
        return known
    batch = await llm.submit_batch(requests, model=model, feature=feature)
    kept.begin(digest, batch.id)
    note(f"batch {batch.id}: {len(requests)} requests; Ctrl-C and the same command goes on")
    return batch.id


async def _wait(llm: "LLMServicesProvider", batch_id: str, interval: float) -> None:
    with progress("waiting") as tell:
        while not (status := await llm.batch_status(batch_id)).ended:
            tell(status.completed + status.failed, status.total)
            await asyncio.sleep(interval)


def _line(result: "BatchResult") -> dict[str, Any]:
    answer = result.response
    return {
        "key": result.key,
        "request_id": result.request_id,
        "content": answer and answer.content,
        "tokens_used": answer and answer.tokens_used,
        "cost_estimate": answer and answer.cost_estimate,
        "error": result.error,
    }

"""All clients against one server, in alternation, each in a process of its own.

``python -m benchmarks.calls.run [--quick] [--clients sdk,module] [--modes text] [--at-once 1,10]
[--postgresql]``
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.support.postgres import PostgresServer

from .clients import CLIENTS, REFERENCE, makes
from .environments import ROOT, python_of
from .report import Cell, Figures, write

MODES = ("text", "stream", "structured", "cache")
CONCURRENCIES = (1, 10, 100)
CALLS = {"text": 600, "stream": 150, "structured": 400, "cache": 1_500}
QUICK = 4  # a quick run makes a quarter of the calls, in one round


@dataclass(frozen=True, slots=True)
class Run:
    """One client's turn."""

    client: str
    mode: str
    concurrency: int
    calls: int
    messages: int


@contextmanager
def server(latency: float = 0.0) -> Iterator[str]:
    """The server in a process of its own; its base URL."""
    command = [sys.executable, "-m", "benchmarks.calls.server", str(latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None  # noqa: S101, PT018
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.stdin.close()


def measured(run: Run, url: str, environment: Mapping[str, str]) -> Cell | None:
    """What a client says of itself, or nothing when it cannot be measured here."""
    numbers = (run.concurrency, run.calls, run.messages)
    command = [
        *(python_of(run.client), "-m", "benchmarks.calls.worker", run.client, url, run.mode),
        *map(str, numbers),
    ]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        print(f"  {run.client}: {done.stderr.strip().splitlines()[-1][:160]}", file=sys.stderr)
        return None
    return Cell(**json.loads(done.stdout.splitlines()[-1]))


def environment(folder: Path, url: str | None = None) -> dict[str, str]:
    """A fresh ledger, and nobody's telemetry or price lists from the network."""
    quiet = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LANGCHAIN_TRACING_V2": "false",
        "DATABASE_URL": url or f"sqlite:///{folder / 'ledger.db'}",
        "LLM_SPOOL_DIR": str(folder / "spool"),
        "PYTHONPATH": f"{ROOT / 'backend'}{os.pathsep}{ROOT}",
    }
    made = {**os.environ, **quiet}
    subprocess.run(
        [sys.executable, "-m", "alembic", "-q", "upgrade", "head"], cwd=ROOT, env=made, check=True
    )
    return made


def plan(
    clients: Sequence[str], modes: Sequence[str], at_once: Sequence[int], *, quick: bool
) -> list[Run]:
    """What is run in a round; all clients of a row one after the other, so that they share luck."""
    share = QUICK if quick else 1
    rows = [(mode, number, 2) for mode in modes for number in at_once]
    if "text" in modes:
        rows.append(("text", 100, 20))
    return [
        Run(client, mode, number, max(CALLS[mode] // share, number), messages)
        for mode, number, messages in rows
        for client in clients
        if makes(client, mode)
    ]


def main() -> None:
    """Run all rounds and write the table and the chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--at-once", default=",".join(map(str, CONCURRENCIES)))
    parser.add_argument(
        "--postgresql", action="store_true", help="the ledger on a server of its own"
    )
    parser.add_argument("--to", type=Path, default=ROOT / "benchmarks" / "results")
    said = parser.parse_args()
    at_once = [int(number) for number in said.at_once.split(",")]
    runs = plan(said.clients.split(","), said.modes.split(","), at_once, quick=said.quick)
    cells: dict[Run, list[Cell]] = {run: [] for run in runs}
    database = PostgresServer() if said.postgresql else nullcontext()
    with tempfile.TemporaryDirectory() as folder, server() as url, database as postgres:
        own = postgres.url(postgres.create_database()) if postgres else None
        environ = environment(Path(folder), own)
        for number in range(1 if said.quick else said.rounds):
            for run in runs:
                print(f"round {number + 1}: {run}", file=sys.stderr)
                cell = measured(run, url, environ)
                cells[run].extend([cell] if cell else [])
    write(_medians(cells), said.to)


def _medians(cells: Mapping[Run, Sequence[Cell]]) -> Figures:
    """Of each client's rounds the median of each figure, by row and client."""
    figures: Figures = {}
    for run, rounds in cells.items():
        if rounds:
            row = (run.mode, run.concurrency, run.messages)
            middle = {name: median(getattr(one, name) for one in rounds) for name in Cell.NAMES}
            figures.setdefault(row, {})[run.client] = Cell(**middle)
    return figures


if __name__ == "__main__":
    if REFERENCE not in CLIENTS:
        raise SystemExit("the reference client is missing")
    main()

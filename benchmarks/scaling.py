"""How a process, and several of them, bear more calls at once and more rows in the ledger.

``python -m benchmarks.scaling [--quick]`` prints what `docs/scaling.md` shows.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from benchmarks.calls.environments import ROOT
from benchmarks.calls.report import Cell
from benchmarks.calls.run import Run, environment, measured, server
from benchmarks.ledger_reads import fill
from modules.shared.db import engine_for
from tests.support.postgres import PostgresServer

AT_ONCE = (1, 10, 100, 1_000, 5_000)
PROCESSES = (1, 2, 4)
LATENCY = 0.3  # seconds that the vendor takes where many calls shall be in flight


def concurrency(environ: Mapping[str, str], share: int) -> None:
    """Calls a second, processor time and memory, by calls at once; the SDK on aiohttp beside us."""
    for at_once in AT_ONCE:
        with server(LATENCY if at_once >= 1_000 else 0.0) as url:
            for client in ("module_chat", "sdk_aiohttp"):
                run = Run(client, "text", at_once, max(2_000 // share, at_once), 2)
                _tell(f"{client}, {at_once} at once", measured(run, url, environ))


def rows(folder: Path, counts: list[int]) -> None:
    """The same with rows in the table, on SQLite."""
    for count in counts:
        environ = environment(folder / str(count))
        fill(environ["DATABASE_URL"], count)
        with server() as url:
            run = Run("module_chat", "text", 100, 1_000, 2)
            _tell(f"{count:,} rows", measured(run, url, environ))


def processes(environ: Mapping[str, str]) -> None:
    """Calls a second of several processes on one database."""
    for number in PROCESSES:
        with server() as url, ThreadPoolExecutor(number) as pool:
            run = Run("module_chat", "text", 100, 600, 2)
            cells = list(pool.map(lambda _, run=run: measured(run, url, environ), range(number)))
        each = [1000 / cell.wall_ms for cell in cells if cell]
        print(f"{number} processes on PostgreSQL: {sum(each):,.0f} calls/s together")


def _tell(what: str, cell: Cell | None) -> None:
    if cell:
        print(
            f"{what}: {1000 / cell.wall_ms:,.0f} calls/s, {cell.cpu_ms:.2f} ms of processor, "
            f"p50 {cell.p50_ms:,.0f} ms, p99 {cell.p99_ms:,.0f} ms, {cell.peak_mib:.0f} MiB",
            flush=True,
        )


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("calls", *map(str, (10_000, 100_000, 1_000_000))):
            (folder / part).mkdir()
        concurrency(environment(folder / "calls"), 4 if quick else 1)
        rows(folder, [10_000, 100_000] if quick else [10_000, 100_000, 1_000_000])
    with PostgresServer() as postgres:
        url = postgres.url(postgres.create_database())
        with tempfile.TemporaryDirectory() as name:
            environ = {**environment(Path(name)), "DATABASE_URL": url}
            migrate = [sys.executable, "-m", "alembic", "-q", "upgrade", "head"]
            subprocess.run(migrate, cwd=ROOT, env=environ, check=True)
            processes(environ)
            with engine_for(url).connect() as connection:
                counted = connection.execute(text("select count(*) from llm_requests")).scalar()
            print(f"{counted:,} rows, each written twice")


if __name__ == "__main__":
    main()

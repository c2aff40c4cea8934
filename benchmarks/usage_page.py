"""How fast the usage page is: ``PYTHONPATH=backend:. python benchmarks/usage_page.py``.

Fills a ledger of its own as ``ledger_reads`` does (or takes one that is there, with ``--url``; it
is only read), asks for every view as a browser does, and prints the median and the slowest of
fifteen answers in milliseconds: query, template and HTTP together, without the network. Beside
them the processor time of this process, in which SQLite works too: what is left of a median on a
machine that others use as well.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.ledger_reads import HEAVY, fill
from modules.llm_services.public import llm_services_admin_provider
from modules.llm_usage.public import create_usage_router
from modules.shared.db import engine_for, session_factory
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer

ROUNDS = 5
PANELS = ("savings", "users", "errors", "latency")
REQUESTS: Mapping[str, str] = {
    "newest": "",
    "failed with a timeout": "error_type=Timeout",
    "of a feature and model": "feature=lesson&model=gpt-5.3",
    "of a feature that is not there": "feature=none",
    "with a word that is not there": "text=basalt",
    "of the heavy user": f"user_id={HEAVY}",
}


def views() -> dict[str, str]:
    """Every view by what it is."""
    found = {}
    for days in (7, 30, 90):
        found[f"{days} days: overview"] = f"?days={days}"
        found |= {f"{days} days: {name}": f"/panels/{name}?days={days}" for name in PANELS}
    asked = {f"requests, {name}": f"/requests?{query}" for name, query in REQUESTS.items()}
    return {**found, **asked}


def prepare(url: str, rows: int) -> None:
    """A ledger with its daily sums."""
    os.environ["DATABASE_URL"] = url
    upgrade(url)
    fill(url, rows)
    with session_factory()() as session:
        asyncio.run(llm_services_admin_provider(session).refresh_daily_usage())


def measure(url: str) -> None:
    """Ask for each view, and print how long it took."""
    os.environ["DATABASE_URL"] = url
    app = FastAPI()
    app.include_router(create_usage_router(lambda: None))
    client = TestClient(app)
    print(
        f"\n{url.partition(':')[0]}\n{'milliseconds':44}{'median':>9}{'slowest':>9}{'processor':>11}"
    )
    for name, path in views().items():
        wall, work = zip(*[_milliseconds(client, path) for _ in range(ROUNDS + 2)][2:], strict=True)
        print(f"{name:44}{median(wall):9.0f}{max(wall):9.0f}{median(work):11.0f}", flush=True)
    engine_for(url).dispose()


def _milliseconds(client: TestClient, path: str) -> tuple[float, float]:
    start, work = time.perf_counter(), time.process_time()
    client.get(f"/llm-usage{path}", headers={"HX-Request": "true"}).raise_for_status()
    return (time.perf_counter() - start) * 1000, (time.process_time() - work) * 1000


def main() -> None:
    """Read the arguments, and go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--url", help="measure this ledger, which has its daily sums")
    given = parser.parse_args()
    if given.url:
        measure(given.url)
        return
    if given.database != "postgresql":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'ledger.db'}"
            prepare(url, given.rows)
            measure(url)
    if given.database != "sqlite":
        with PostgresServer() as server:
            url = server.url(server.create_database())
            prepare(url, given.rows)
            measure(url)


if __name__ == "__main__":
    main()

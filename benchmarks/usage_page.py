"""How fast the usage page is: ``PYTHONPATH=backend:. python benchmarks/usage_page.py``.

Fills a ledger of its own as ``ledger_reads`` does (or takes one that is there, with ``--url``; it
is only read), asks for every view as a browser does, and prints the fastest, the median and the
slowest of seven answers in milliseconds: query, template and HTTP together, without the network.
Beside them the median of the processor time of this process, in which SQLite works too, and of
PostgreSQL's backends where they run on this machine: what is left of a median on a machine that
others use as well.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.ledger_reads import HEAVY, fill
from modules.llm_services.public import RequestFilter, llm_services_admin_provider
from modules.llm_usage.public import create_usage_router
from modules.shared.db import engine_for, session_factory
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer

ROUNDS, WARMING = 7, 2
DAYS = (1, 7, 30, 90, 180)
PANELS = ("savings", "users", "errors", "latency")
RARE: Mapping[str, str] = {
    "feature": "none",
    "model": "none",
    "provider": "none",
    "operation": "none",
    "tenant": "none",
    "trace_id": "none",
    "status": "cancelled",
    "error_type": "none",
    "maybe_paid": "true",
    "text": "basalt",
    "user_id": f"{UUID(int=0)}",
    "conversation_id": "none",
}
"""What no request of the ledger has: the longest way for each filter."""
COMMON: Mapping[str, str] = {
    "feature": "lesson",
    "model": "gpt-5.3",
    "provider": "azure",
    "operation": "embedding",
    "tenant": "tenant-7",
    "status": "failed",
    "error_type": "BadRequest",
    "cached": "true",
    "text": "volcano",
    "user_id": f"{HEAVY}",
}


def views(session: Session) -> dict[str, str]:
    """Every view by what it is."""
    admin, found = llm_services_admin_provider(session), {}
    for days in DAYS:
        found[f"{days} days: overview"] = f"?days={days}"
        found |= {f"{days} days: {name}": f"/panels/{name}?days={days}" for name in PANELS}
    found |= {f"requests by {name}": f"/requests?{name}={value}" for name, value in COMMON.items()}
    for days in (7, 180):
        rare = ((name, f"/requests?{name}={value}&days={days}") for name, value in RARE.items())
        found |= {f"{days} days: requests, no such {name}": path for name, path in rare}
    middle = admin.find(RequestFilter(until=datetime.now(UTC) - timedelta(days=90)), 1)
    talk = next(row for row in admin.recent(200).items if row.conversation_id)
    return {
        **found,
        "requests, newest": "/requests",
        "requests, after 500,000": f"/requests?days=180&after={middle.next_cursor}",
        "one request": f"/requests/{middle.items[0].id}",
        "one of a conversation": f"/requests/{talk.id}",
        "its conversation": f"/requests?conversation_id={talk.conversation_id}",
    }


def prepare(url: str, rows: int) -> None:
    """A ledger with its daily sums."""
    os.environ["DATABASE_URL"] = url
    upgrade(url)
    fill(url, rows)
    with session_factory()() as session:
        asyncio.run(llm_services_admin_provider(session).refresh_daily_usage())
        session.rollback()
        session.execute(text("ANALYZE"))  # a server in use does so by itself
        session.commit()


def measure(url: str) -> None:
    """Ask for each view, and print how long it took."""
    os.environ["DATABASE_URL"] = url
    app = FastAPI()
    app.include_router(create_usage_router(lambda: None))
    client = TestClient(app)
    print(
        f"\n{url.partition(':')[0]}\n"
        f"{'milliseconds':44}{'fastest':>9}{'median':>9}{'slowest':>9}{'processor':>11}"
    )
    with session_factory()() as session:
        asked = views(session)
    for name, path in asked.items():
        taken = [_milliseconds(client, path) for _ in range(ROUNDS + WARMING)][WARMING:]
        wall, work = zip(*taken, strict=True)
        clock = f"{min(wall):9.0f}{median(wall):9.0f}{max(wall):9.0f}"
        print(f"{name:44}{clock}{median(work):11.0f}", flush=True)
    engine_for(url).dispose()


def _milliseconds(client: TestClient, path: str) -> tuple[float, float]:
    start, work = time.perf_counter(), _processor_seconds()
    client.get(f"/llm-usage{path}", headers={"HX-Request": "true"}).raise_for_status()
    return (time.perf_counter() - start) * 1000, (_processor_seconds() - work) * 1000


def _processor_seconds() -> float:
    """Of this process, and of the server's that work for it (Linux tells nanoseconds of each)."""
    with session_factory()() as session:
        if session.get_bind().dialect.name == "sqlite":
            return time.process_time()
        backends = session.scalars(
            text("SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL")
        )
        files = [Path(f"/proc/{pid}/schedstat") for pid in backends]
    ran = [int(file.read_text().split()[0]) for file in files if file.exists()]
    return time.process_time() + sum(ran) / 1e9


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

"""How fast the ledger answers: ``PYTHONPATH=backend:. python benchmarks/ledger_reads.py``.

Makes a ledger of its own in a temporary folder, on SQLite and on a PostgreSQL that it starts and
stops, and prints the median and the 99th percentile of each question: of its SQL alone (through
the bare driver, every row fetched) and of the whole method, objects included.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from modules.llm_services.public import (
    LLMServicesAdminProvider,
    RequestFilter,
    llm_services_admin_provider,
    llm_services_provider,
)
from modules.shared.db import engine_for, session_factory
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer

DAYS, USERS, HEAVY_SHARE = 180, 5_000, 0.05
HEAVY = UUID(int=1)
MODELS = [("openai", f"gpt-5.{n}") for n in range(7)] + [("azure", f"gpt-4.{n}") for n in range(5)]
FEATURES = ("lesson", "search", "summaries", "chat", None)
OPERATIONS = ("chat",) * 9 + ("embedding",)
ERRORS = ("Timeout",) * 6 + ("RateLimited",) * 3 + ("ProviderError", "Refused", "BadRequest")
CACHED_SHARE, TALKING_SHARE = 0.08, 0.25
COLUMNS = (
    *("id", "user_id", "created_at", "completed_at", "status", "provider", "model"),
    *("requested_model", "response_model", "operation", "temperature", "max_tokens"),
    *("prompt_tokens", "completion_tokens", "tokens_used", "cost_estimate", "cost_source"),
    *("price_ref", "execution_time_ms", "time_to_first_token_ms", "finish_reason", "error_type"),
    *("retry_attempt", "cached", "cache_key", "saved_cost", "feature", "tenant"),
    *("conversation_id", "trace_id", "input_preview", "output_preview", "error_message"),
    *("usage_details", "attempts", "response_content", "messages", "response_raw"),
)
_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgresql": "SELECT pg_total_relation_size('llm_requests')",
}
WORDS = ("lava", "flows", "from", "a", "volcano", "until", "it", "has", "cooled", "down")


def ledger(count: int, *, native: bool) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of time: 12 models, 5,000 users, one of whom has 5 % of them."""
    draw = random.Random(42)
    end = datetime.now(UTC)
    step = timedelta(days=DAYS) / count
    texts = [" ".join(draw.choices(WORDS, k=60)) for _ in range(500)]
    for number in range(count):
        at = end - step * (count - number)
        yield _row(draw, at, draw.choice(texts), native=native)


def _row(draw: random.Random, at: datetime, said: str, *, native: bool) -> tuple[Any, ...]:
    provider, model = draw.choice(MODELS)
    failed = draw.random() < 0.04
    cached = not failed and draw.random() < CACHED_SHARE
    talk = f"talk-{int(at.timestamp()) // 3600}" if draw.random() < TALKING_SHARE else None
    error = draw.choice(ERRORS) if failed else None
    user = HEAVY if draw.random() < HEAVY_SHARE else _user(draw)
    tokens, took = draw.randrange(50, 4_000), round(draw.lognormvariate(7.5, 0.9))
    started = at if native else at.replace(tzinfo=None).isoformat(" ", "microseconds")
    row_id = UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | draw.getrandbits(62))
    attempts = [{"n": 1, "model": model, "ms": took, "outcome": "answered", "http_status": 200}]
    return (
        *(row_id if native else str(row_id), user if native else str(user), started, started),
        *("failed" if failed else "completed", provider, model, "fast", f"{model}-2026-01-01"),
        *(draw.choice(OPERATIONS), 1.0, 0, tokens, tokens // 3, tokens + tokens // 3),
        *(None if failed else 0.0 if cached else tokens * 1.7e-6, "genai-prices"),
        *("genai-prices 0.2.3", took, took // 5, None if failed else "stop", error),
        *(int(not cached), cached, f"{row_id.int:032x}", tokens * 1.7e-6 if cached else None),
        *(draw.choice(FEATURES), f"tenant-{user.int % 20}", talk),
        *(f"{draw.getrandbits(128):032x}", said[:200], said[:200], "too slow" if failed else None),
        *(json.dumps({"total_tokens": tokens}), json.dumps(attempts), said),
        json.dumps([{"role": "user", "content": said}]),
        json.dumps({"id": "resp_1", "model": model, "usage": {"total_tokens": tokens}}),
    )


def _user(draw: random.Random) -> UUID:
    return UUID(int=2 + min(int(draw.paretovariate(0.5)), USERS))


def fill(url: str, count: int) -> None:
    """Write the rows the quickest way the database has, and let it count them."""
    raw = engine_for(url).raw_connection()
    names, cursor = ", ".join(COLUMNS), raw.cursor()
    if url.startswith("sqlite"):
        marks = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT INTO llm_requests ({names}) VALUES ({marks})"  # noqa: S608
        cursor.executemany(statement, ledger(count, native=False))
        cursor.execute("ANALYZE")
    else:
        with cursor.copy(f"COPY llm_requests ({names}) FROM STDIN") as copy:
            for row in ledger(count, native=True):
                copy.write_row(row)
        raw.commit()
        raw.driver_connection.autocommit = True
        cursor.execute("VACUUM ANALYZE llm_requests")
        raw.driver_connection.autocommit = False
    raw.commit()
    raw.close()


def questions(session: Session) -> dict[str, Callable[[], object]]:
    """What is asked, as a sibling or an operator asks it."""
    llm, admin = llm_services_provider(session), llm_services_admin_provider(session)
    cursor = llm.user_requests_page(HEAVY, limit=200).next_cursor
    for _ in range(49):
        cursor = llm.user_requests_page(HEAVY, limit=200, after=cursor).next_cursor
    light = UUID(int=102)
    since = datetime.now(UTC) - timedelta(days=1)
    return {
        "newest 50 of the heavy user": lambda: llm.get_user_requests(HEAVY),
        "newest 50 of a light user": lambda: llm.get_user_requests(light),
        "50 of the heavy user at 10,000, by cursor": lambda: llm.user_requests_page(
            HEAVY, after=cursor
        ),
        "the same by offset": lambda: llm.get_user_requests(HEAVY, offset=10_000),
        "newest 50 of everybody": admin.recent,
        "newest 50 failed with a timeout": lambda: admin.find(RequestFilter(error_type="Timeout")),
        "newest 50 of a feature and model": lambda: admin.find(
            RequestFilter(feature="lesson", model="gpt-5.3")
        ),
        "a word in the previews of a day": lambda: admin.find(
            RequestFilter(text="basalt", since=since)
        ),
        **_sums(admin),
    }


def _sums(admin: LLMServicesAdminProvider) -> dict[str, Callable[[], object]]:
    today = datetime.now(UTC).date()
    closed = (today - timedelta(days=30), today)
    return {
        "30 closed days: cost by model": lambda: admin.usage(("provider", "model"), *closed),
        "30 days until now: cost by model": lambda: admin.usage(("provider", "model")),
        "30 days until now: by day and model": lambda: admin.usage(("day", "model")),
        "30 days until now: totals": admin.totals,
        "30 days: top 20 users (rows)": lambda: admin.usage("user", limit=20),
        "30 days: errors": admin.errors,
        "30 days: latency, from counts": admin.latency,
        "30 days: callers of a model (rows)": lambda: admin.callers_of("gpt-4.1"),
        "30 days: cost health (rows)": admin.cost_health,
    }


def measure(session: Session, ask: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Milliseconds of a question's SQL, and of the whole of it."""
    asked: list[tuple[str, Any]] = []
    engine = session.get_bind().engine

    def keep(_c: object, _cursor: object, statement: str, given: Any, *_: object) -> None:
        asked.append((statement, given))

    event.listen(engine, "before_cursor_execute", keep)
    ask()
    event.remove(engine, "before_cursor_execute", keep)
    cursor: Any = session.connection().connection.cursor()

    def only_sql() -> None:
        for statement, given in asked:
            cursor.execute(statement, given).fetchall()

    return _times(only_sql), _times(ask)


def _times(work: Callable[[], object], *, seconds: float = 2.0, most: int = 400) -> list[float]:
    work()
    work()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < most and (time.perf_counter() < end or len(taken) < 5):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)


def run(name: str, url: str, count: int) -> None:
    """Fill a database and print its table."""
    os.environ["DATABASE_URL"] = url
    upgrade(url)
    took = _seconds(lambda: fill(url, count))
    with session_factory()() as session:
        size = session.execute(text(_SIZE[session.get_bind().dialect.name])).scalar_one() / count
        print(f"\n{name}: {count:,} rows of {size:,.0f} bytes, indexes included, in {took:.0f} s")
        admin = llm_services_admin_provider(session)
        days: list[int] = []
        took = _seconds(lambda: days.append(asyncio.run(admin.refresh_daily_usage())))
        print(
            f"daily sums of {days[0]} days in {took:.1f} s ({took / days[0] * 1000:.0f} ms a day)"
        )
        again = _seconds(lambda: asyncio.run(admin.refresh_daily_usage()))
        print(f"and brought up to date again in {again * 1000:.0f} ms\n")
        session.rollback()
        print(f"{'milliseconds':44}{'SQL p50':>9}{'p99':>9}{'method p50':>13}{'p99':>9}")
        for question, ask in questions(session).items():
            numbers = [
                _at(times, share) for times in measure(session, ask) for share in (0.5, 0.99)
            ]
            print(
                f"{question:44}{numbers[0]:9.2f}{numbers[1]:9.2f}{numbers[2]:13.2f}{numbers[3]:9.2f}"
            )
    engine_for(url).dispose()


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _at(ordered: list[float], share: float) -> float:
    if share == 0.5:
        return statistics.median(ordered)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> None:
    """Read the arguments, and go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    given = parser.parse_args()
    if given.database != "postgresql":
        with tempfile.TemporaryDirectory() as folder:
            run("SQLite", f"sqlite:///{Path(folder) / 'ledger.db'}", given.rows)
    if given.database != "sqlite":
        with PostgresServer() as server:
            run("PostgreSQL", server.url(server.create_database()), given.rows)


if __name__ == "__main__":
    main()

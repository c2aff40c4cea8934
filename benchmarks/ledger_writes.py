"""What the ledger costs, and how long an outage is felt. From the root, with a PostgreSQL:

    PYTHONPATH=backend:. python benchmarks/ledger_writes.py [cost] [drain] [outage] [kills]

``cost``: rows opened and settled, one and a hundred at once. ``drain``: 10,000 spooled rows while
calls go on. ``outage``: PostgreSQL stopped for ten seconds under a hundred calls a second, and how
late the loop is meanwhile. ``kills``: the same with one of 20 connections that is killed twice.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, text

from modules.llm_services.executor import Executor
from modules.llm_services.ids import uuid7
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.recording import (
    LedgerWriter,
    PayloadPolicy,
    Recorder,
    Spool,
    ledger_engine,
)
from modules.llm_services.recording.lines import SpooledRow, line_of
from modules.llm_services.recording.record import CallRecord
from modules.llm_services.recording.rows import opening_row, outcome
from modules.llm_services.types import Call, LLMMessageDTO, Usage
from modules.shared.db import engine_for
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer, StopMode

PATIENCE = 2.0
POLICY = PayloadPolicy()
LEFT_BEHIND = 5_000  # calls, of two rows each
OUTAGE = ((300, 1_300),)  # with which call the server goes and comes, a hundred a second
KILLS = ((300, 500), (1_300, 1_500))
AFTERWARDS = 300  # calls
FEW = 20  # connections that the server has in all


def a_call() -> Call:
    return Call(
        id=uuid7(),
        operation="chat",
        provider="openai",
        model="gpt-4o",
        requested_model=None,
        messages=(LLMMessageDTO(role="user", content="hello " * 300),),
        parameters={},
        timeout=20,
        max_retries=0,
    )


async def answer(_call: Call, _attempt: Attempt) -> Reply:
    usage = Usage(prompt_tokens=10, completion_tokens=2)
    return Reply(text="hi " * 200, model="gpt-4o", usage=usage)


class Bench:
    """A ledger on a database, and the calls that are made of it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine = engine_for(url)
        own = ledger_engine(self.engine, PATIENCE)
        self.writer = LedgerWriter(own, Spool(folder), patience=PATIENCE)
        self.executor = Executor(Recorder(self.writer, patience=PATIENCE), PriceList())
        self.took: list[float] = []

    async def call(self) -> None:
        began = time.perf_counter()
        await self.executor.run(a_call(), answer)
        self.took.append(time.perf_counter() - began)

    async def calls(self, count: int) -> None:
        for _ in range(count):
            await self.call()

    def rows(self) -> dict[str, int]:
        with self.engine.connect() as connection:
            statement = text("SELECT status, count(*) FROM llm_requests GROUP BY status")
            return {str(row[0]): int(row[1]) for row in connection.execute(statement)}

    def tell(self, what: str, seconds: float) -> None:
        took, count = sorted(self.took), len(self.took)
        self.took = []
        p50, p99, most = took[count // 2], took[count * 99 // 100], took[-1]
        say(f"{what}: {count / seconds:.0f}/s p50 {p50:.4f} p99 {p99:.4f} max {most:.4f} s")


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def bench(url: str, folder: Path | None = None) -> AsyncIterator[Bench]:
    made = Bench(url, folder or Path(tempfile.mkdtemp()))
    yield made
    say(f"left at the end: {await asyncio.to_thread(made.writer.close)}; {made.rows()}")


async def cost(url: str) -> None:
    async with bench(url) as ledger:
        await ledger.calls(50)
        ledger.took = []
        for at_once, each in ((1, 1000), (100, 40)):
            began = time.perf_counter()
            await asyncio.gather(*(ledger.calls(each) for _ in range(at_once)))
            ledger.tell(f"{at_once} at once", time.perf_counter() - began)


async def drain(url: str) -> None:
    folder = Path(tempfile.mkdtemp())
    lines: list[bytes] = []
    for _ in range(LEFT_BEHIND):
        record = CallRecord(a_call())
        lines.append(line_of(SpooledRow(opens=True, row=opening_row(record, POLICY))))
        record.cancelled()
        lines.append(line_of(SpooledRow(opens=False, row=outcome(record, POLICY))))
    (folder / "gone.jsonl").write_bytes(b"".join(lines))
    async with bench(url, folder) as ledger:
        began = time.perf_counter()
        ledger.writer.begin()
        while ledger.rows().get("cancelled", 0) < LEFT_BEHIND:
            await ledger.calls(20)
        ledger.tell("10,000 rows drained, calls beside it", time.perf_counter() - began)
        say(f"drained after {time.perf_counter() - began:.1f} s")


async def outage(
    server: PostgresServer, url: str, mode: StopMode, breaks: Sequence[tuple[int, int]]
) -> None:
    """A hundred calls a second; the server goes with the first call of each pair, and comes back
    with the second.
    """
    async with bench(url) as ledger:
        under_way: list[asyncio.Future[None]] = []
        goes, comes = (set(numbers) for numbers in zip(*breaks, strict=True))
        began = time.perf_counter()
        with lateness() as late:
            for number in range(breaks[-1][1] + AFTERWARDS):
                await asyncio.sleep(max(0.0, began + number / 100 - time.perf_counter()))
                under_way.append(asyncio.create_task(ledger.call()))
                if number in goes:
                    under_way.append(asyncio.ensure_future(asyncio.to_thread(server.stop, mode)))
                if number in comes:
                    back = time.perf_counter()
                    under_way.append(asyncio.ensure_future(asyncio.to_thread(server.start)))
            await asyncio.gather(*under_way)
        ledger.tell(f"{mode}, {len(breaks)} times", time.perf_counter() - began)
        await is_back(ledger.writer)
        say(f"back and drained {time.perf_counter() - back:.1f} s after the start of the server")
        late.sort()
        say(
            f"loop late by {late[len(late) * 999 // 1000]:.3f} s at p99.9, {late[-1]:.3f} s at most"
        )
        say(f"connections to the server, this question's included: {connections(ledger.engine)}")
        ledger.engine.dispose()


async def is_back(writer: LedgerWriter) -> None:
    while (await asyncio.to_thread(writer.status)).mode == "away":  # noqa: ASYNC110 - a thread's
        await asyncio.sleep(0.05)


@contextmanager
def lateness() -> Iterator[list[float]]:
    """By how many seconds a timer of 5 ms is late, each time."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - due)

    ticking = asyncio.create_task(tick())
    try:
        yield late
    finally:
        ticking.cancel()


def connections(engine: Engine) -> int:
    with engine.connect() as connection:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return int(connection.execute(text(statement)).scalar_one())


def with_few_connections(server: PostgresServer, url: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"ALTER SYSTEM SET max_connections = {FEW}"))
    engine.dispose()
    server.stop("fast")
    server.start()


def main() -> None:
    wanted = sys.argv[1:] or ["cost", "drain", "outage", "kills"]
    with PostgresServer() as server:
        urls = [f"sqlite:///{tempfile.mkdtemp()}/ledger.db", server.url(server.create_database())]
        for url in urls:
            upgrade(url)
            say(url.split(":")[0])
            if "cost" in wanted:
                asyncio.run(cost(url))
            if "drain" in wanted:
                asyncio.run(drain(url))
        if "outage" in wanted:
            asyncio.run(outage(server, urls[1], "immediate", OUTAGE))
        if "kills" in wanted:
            with_few_connections(server, urls[1])
            asyncio.run(outage(server, urls[1], "kill", KILLS))


if __name__ == "__main__":
    main()

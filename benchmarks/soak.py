"""Many calls, some of which go wrong: does the ledger agree with the vendor, and does nothing grow?

    PYTHONPATH=backend:. python benchmarks/soak.py [calls] [URL of an empty database]

Of ``calls`` (20,000) two in a hundred each meet a 429, a connection that closes, a body that is no
JSON, and a caller who leaves. The vendor is a process of its own and counts what it saw. Without
a URL it uses a fresh SQLite file. On a machine that is not overloaded, attempts and requests are
the same number; else some are cancelled, or meet a closed connection, on their way. Exits with 1
if a row is lost, doubled or open, if a call fails, if a request has no attempt, if memory,
descriptors, tasks or threads grow by more than a tenth, or if a library complains of what was
left behind (tasks, connections).
"""

import asyncio
import gc
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import sandbox
from modules.llm_services.public import (
    LLMError,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)
from tests.support.ledger import rows
from tests.support.migrations import upgrade

AT_ONCE = 50
FAULTS = {0: "status=429,retry_after_ms=1,times=1", 1: "drop,times=1", 2: "garbage,times=1"}
LEAVES = 3  # of each 50 calls; the others above, one each: two in a hundred
GROWTH = 1.1
PATIENCE = 2.0  # seconds of a caller who leaves: by then the request has left, too
WARM_UP = 49


class Size(NamedTuple):
    """What must not grow: MiB of memory, open descriptors, tasks and threads."""

    memory: float
    descriptors: int
    tasks: int
    threads: int


class Complaints(logging.Handler):
    """What asyncio and SQLAlchemy say of tasks and connections that nobody has ended."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is not the module's own."""
        if not record.name.startswith("modules."):
            self.said.append(f"{record.name}: {record.getMessage()[:200]}")


def size() -> Size:
    """What this process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Size(
        memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        descriptors=len(os.listdir("/proc/self/fd")),
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
    )


def vendor(ours: Connection) -> None:
    """The vendor's process: tells its URL, and at the end how many requests it saw."""
    with sandbox.running() as server:
        ours.send(server.base_url)
        ours.recv()
        ours.send(server.state.journal.as_json()["total"])  # it remembers the last 20,000


async def ask(llm: LLMServicesProvider, number: int) -> None:
    """One call, which may go wrong in its own way."""
    kind = number % 50
    slow = "slow=20" if kind == LEAVES else FAULTS.get(kind, "")
    message = LLMMessageDTO(role="user", content=f"Tell me about number {number}.")
    call = llm.generate_response([message], model=f"openai:gpt-4o{slow and ':'}{slow}")
    with suppress(LLMError, TimeoutError):
        await (asyncio.wait_for(call, PATIENCE) if kind == LEAVES else call)


async def soak(calls: int) -> list[Size]:
    """Make the calls; what the process holds at a quarter, at each further one, and at the end."""
    sizes = []
    async with open_llm_services() as llm:
        await ask(llm, WARM_UP)  # loads the SDK: who leaves before that has no row
        for quarter in range(4):
            numbers = iter(range(calls * quarter // 4, calls * (quarter + 1) // 4))

            async def work(numbers: Any = numbers) -> None:
                for number in numbers:
                    await ask(llm, number)

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
            sizes.append(size())
            print(f"{calls * (quarter + 1) // 4} calls: {sizes[-1]}", flush=True)
    return sizes


def faults(calls: int, asked: int, sizes: list[Size]) -> list[str]:
    """What is wrong with the ledger, or has grown."""
    kept = rows()
    attempts = [one for row in kept for one in _json(row["attempts"]) or ()]
    sent = [one for one in attempts if one["outcome"] != "Connection" or one["maybe_paid"]]
    sure = sum(one["http_status"] is not None for one in sent) + calls // 50  # those dropped
    print(f"{len(sent)} attempts that were sent, {sure} that surely arrived; {asked} requests seen")
    checks = {
        f"{len(kept)} rows for {calls} calls": len(kept) == calls,
        f"{len({str(row['id']) for row in kept})} different ids": len(kept) == calls,
        "attempts and requests differ": sure <= asked <= len(sent),
        "a row is pending": all(row["status"] != "pending" for row in kept),
        "calls have failed": all(row["status"] != "failed" for row in kept),
    }
    wrong = [said for said, fine in checks.items() if not fine]
    first, last = sizes[0], sizes[-1]
    grown = zip(Size._fields, first, last, strict=True)
    wrong += [f"{name} grew from {a} to {b}" for name, a, b in grown if b > a * GROWTH + 2]
    print(Counter((row["status"], row["error_message"]) for row in kept))
    return wrong


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def main(calls: int) -> int:
    """The whole story; returns the exit code."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=vendor, args=(theirs,))
    process.start()
    os.environ |= {"OPENAI_API_KEY": "sk-sandbox", "OPENAI_BASE_URL": ours.recv()}
    logging.getLogger().addHandler(complaints := Complaints())
    logging.captureWarnings(capture=True)
    began = time.monotonic()
    sizes = asyncio.run(soak(calls))
    seconds = time.monotonic() - began
    ours.send("enough")
    wrong = faults(calls + 1, ours.recv(), sizes) + complaints.said[:10]
    process.join()
    print(f"{calls} calls in {seconds:.0f} s; " + ("; ".join(wrong) or "all is as it should be"))
    return bool(wrong)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        url = arguments[1] if len(arguments) > 1 else f"sqlite:///{folder}/soak.db"
        os.environ |= {"DATABASE_URL": url, "LLM_SPOOL_DIR": f"{folder}/spool"}
        os.environ.setdefault("LLM_WRITE_TIMEOUT", "20")  # a busy disk's stalls are not measured
        upgrade(url)
        sys.exit(main(int(arguments[0]) if arguments else 20_000))

"""Many calls, some of which go wrong: does the ledger agree with the vendor, and does nothing grow?

    PYTHONPATH=backend:. python benchmarks/soak.py [calls] [URL of a migrated database]

Of ``calls`` (20,000) two in a hundred each meet a 429, a connection that closes, a body that is no
JSON, and a caller who leaves. The vendor is a process of its own and journals what it saw. Without
a URL it uses a fresh SQLite file. Exits with 1 if a row is lost, doubled or open, if attempts and
requests differ, or if memory, descriptors, tasks or threads grow by more than a tenth.
"""

import asyncio
import gc
import json
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
WARM_UP = 49


class Size(NamedTuple):
    """What must not grow: MiB of memory, open descriptors, tasks and threads."""

    memory: float
    descriptors: int
    tasks: int
    threads: int


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
        ours.send(len(server.journal()))


async def ask(llm: LLMServicesProvider, number: int) -> None:
    """One call, which may go wrong in its own way."""
    kind = number % 50
    slow = "slow=5" if kind == LEAVES else FAULTS.get(kind, "")
    message = LLMMessageDTO(role="user", content=f"Tell me about number {number}.")
    call = llm.generate_response([message], model=f"openai:gpt-4o{slow and ':'}{slow}")
    with suppress(LLMError, TimeoutError):
        await (asyncio.wait_for(call, 0.5) if kind == LEAVES else call)


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
    sent = sum(one["outcome"] != "Cancelled" or one["maybe_paid"] for one in attempts)
    checks = {
        f"{len(kept)} rows for {calls} calls": len(kept) == calls,
        f"{len({str(row['id']) for row in kept})} different ids": len(kept) == calls,
        f"{sent} attempts for {asked} requests": sent == asked,
        "a row is pending": all(row["status"] != "pending" for row in kept),
    }
    wrong = [said for said, fine in checks.items() if not fine]
    first, last = sizes[0], sizes[-1]
    grown = zip(Size._fields, first, last, strict=True)
    wrong += [f"{name} grew from {a} to {b}" for name, a, b in grown if b > a * GROWTH + 2]
    print(Counter((row["status"], row["error_type"]) for row in kept))
    return wrong


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def main(calls: int) -> int:
    """The whole story; returns the exit code."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=vendor, args=(theirs,))
    process.start()
    os.environ |= {"OPENAI_API_KEY": "sk-sandbox", "OPENAI_BASE_URL": ours.recv()}
    began = time.monotonic()
    sizes = asyncio.run(soak(calls))
    seconds = time.monotonic() - began
    ours.send("enough")
    wrong = faults(calls + 1, ours.recv(), sizes)
    process.join()
    print(f"{calls} calls in {seconds:.0f} s; " + ("; ".join(wrong) or "all is as it should be"))
    return bool(wrong)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        url = arguments[1] if len(arguments) > 1 else f"sqlite:///{folder}/soak.db"
        os.environ |= {"DATABASE_URL": url, "LLM_SPOOL_DIR": f"{folder}/spool"}
        upgrade(url)
        sys.exit(main(int(arguments[0]) if arguments else 20_000))

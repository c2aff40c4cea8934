"""`kill -9` with many calls in flight: are all requests rows, and does a restart settle them?

    PYTHONPATH=backend:. python benchmarks/kill_nine.py [calls] [URL of a migrated database]

A worker sends ``calls`` requests (1,000) to a slow vendor and is killed; a second process keeps
some of its own in flight all the while. Then this process opens the ledger, as a restart would.
Without a URL it uses a fresh SQLite file. Exits with 1 if a row is lost, doubled, left open or
mistaken.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import sandbox
from modules.llm_services.public import LLMMessageDTO, open_llm_services
from tests.support.ledger import rows
from tests.support.migrations import upgrade

LIVING = 20
LEASE = 20


async def work(calls: int, feature: str) -> None:
    """Keep requests in flight until somebody ends this process."""

    async def ask(number: int) -> None:
        await asyncio.sleep(number / 25)  # a busy machine cannot connect them all at once
        message = LLMMessageDTO(role="user", content=f"Tell me about number {number}.")
        await llm.generate_response(
            [message], model="openai:gpt-4o:slow=600", timeout=900, max_retries=0, feature=feature
        )

    async with open_llm_services() as llm:
        await asyncio.gather(*(ask(number) for number in range(calls)))


def start(calls: int, feature: str) -> "subprocess.Popen[bytes]":
    """A worker of its own."""
    return subprocess.Popen([sys.executable, __file__, "--work", str(calls), feature])


def wait_for(what: str, count: int, seconds: float) -> None:
    """Wait until so many rows are as ``what`` says."""
    deadline = time.monotonic() + seconds
    while (found := len(rows(what))) != count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{found} rows are {what}, not {count}")
        time.sleep(0.1)


async def restart(calls: int) -> float:
    """Seconds until nothing of the dead worker is open any more."""
    began = time.monotonic()
    async with open_llm_services():
        await asyncio.to_thread(wait_for, "error_type = 'Interrupted'", calls, 3 * LEASE)
    return time.monotonic() - began


def measure(calls: int) -> int:
    """The whole story; returns the exit code."""
    with sandbox.running() as vendor:
        os.environ |= {"OPENAI_API_KEY": "sk-sandbox", "OPENAI_BASE_URL": vendor.base_url}
        living, dying = start(LIVING, "living"), start(calls, "dying")
        while len(vendor.journal()) < calls + LIVING and dying.poll() is None:
            time.sleep(0.1)
        dying.kill()
        dying.wait()
        open_before = len(rows("status = 'pending'"))
        seconds = asyncio.run(restart(calls))
        settled = Counter((row["feature"], row["status"]) for row in rows())
        sent = Counter(entry.client_request_id for entry in vendor.journal())
        same = sent == Counter(str(row["id"]) for row in rows())
        living.kill()
        living.wait()
    print(f"requests {sent.total()}, pending after kill -9 {open_before}")
    print(f"settled {seconds:.1f} s after the restart (lease {LEASE} s): {dict(settled)}")
    print("each request is one row" if same else "requests and rows differ")
    expected = {("dying", "failed"): calls, ("living", "pending"): LIVING}
    return 0 if same and dict(settled) == expected else 1


def main() -> int:
    """As a worker, or as the one who starts and kills workers."""
    if sys.argv[1:2] == ["--work"]:
        asyncio.run(work(int(sys.argv[2]), sys.argv[3]))
        return 0
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{Path(folder) / 'ledger.db'}"
        os.environ |= {"DATABASE_URL": url, "LLM_SPOOL_DIR": f"{folder}/spool"}
        if len(sys.argv) <= 2:
            upgrade(url)
        return measure(calls)


if __name__ == "__main__":
    raise SystemExit(main())

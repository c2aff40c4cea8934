"""A provider that takes requests and says nothing: do others notice?

    PYTHONPATH=backend:. python benchmarks/silent_provider.py [calls]

``calls`` (1,000), three hundred a second, wait for it for their deadline of five seconds, so that
all of them do for a while; another provider is asked twenty times a second. And once more, to see
what grows. The circuit breaker is off: with it, nothing would be sent the second time. Exits with 1
when a call ends in another way or more than a second beside its deadline, when the other provider
fails, or when the second round needs a tenth more memory, descriptors, tasks or threads than the
first. Both providers are processes of their own.
"""

import asyncio
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection

import sandbox
from benchmarks.soak import GROWTH, Size, size
from modules.llm_services.public import (
    LLMMessageDTO,
    LLMServicesProvider,
    LLMTimeoutError,
    open_llm_services,
)
from tests.support.ledger import statuses
from tests.support.migrations import upgrade

DEADLINE, BESIDE = 5.0, 1.0  # seconds
A_SECOND = 300
ASKED = [LLMMessageDTO(role="user", content="Is there anybody?")]


async def silence(ours: Connection) -> None:
    """Take what comes, for ever."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(2**16):
            pass
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, backlog=4_096)
    ours.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    await server.serve_forever()


def silent(ours: Connection) -> None:
    """The process of the provider that says nothing."""
    asyncio.run(silence(ours))


def answering(ours: Connection) -> None:
    """The process of the other one."""
    with sandbox.running() as server:
        ours.send(server.base_url)
        ours.recv()


async def waits(llm: LLMServicesProvider, number: int) -> float:
    """Seconds until a call of the silent provider has failed."""
    await asyncio.sleep(number / A_SECOND)
    began = time.monotonic()
    try:
        await llm.generate_response(ASKED, model="openai:gpt-4o", timeout=DEADLINE)
    except LLMTimeoutError:
        return time.monotonic() - began
    raise SystemExit("a call was answered")


async def asks(llm: LLMServicesProvider, until: "asyncio.Future[list[float]]") -> list[float]:
    """Seconds that the other provider's answers take meanwhile."""
    took = []
    while not until.done():
        began = time.monotonic()
        await llm.generate_response(ASKED, model="house:gpt-4o")
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    return sorted(took)


async def one_round(llm: LLMServicesProvider, calls: int) -> tuple[list[str], Size]:
    """All of them; what is wrong, and what the process holds afterwards."""
    waiting = asyncio.gather(*(waits(llm, number) for number in range(calls)))
    others = await asks(llm, waiting)
    took = sorted(await waiting)
    print(
        f"{calls} calls failed after {took[0]:.2f} to {took[-1]:.2f} s; beside them {len(others)} "
        f"answers: p50 {others[len(others) // 2]:.3f}, max {others[-1]:.3f} s",
        flush=True,
    )
    fine = took[0] >= DEADLINE - BESIDE and took[-1] <= DEADLINE + BESIDE
    return [] if fine else ["calls do not end at their deadline"], size()


async def run(calls: int) -> list[str]:
    """Two rounds; what is wrong."""
    async with open_llm_services() as llm:
        await llm.generate_response(ASKED, model="house:gpt-4o")
        wrong, first = await one_round(llm, calls)
        again, second = await one_round(llm, calls)
    print(f"{first}\n{second}")
    grown = zip(Size._fields, first, second, strict=True)
    wrong += [f"{name} grew from {a} to {b}" for name, a, b in grown if b > a * GROWTH + 2]
    failed = statuses().count("failed")
    return [*wrong, *again] if failed == 2 * calls else [f"{failed} rows have failed"]


def main(calls: int) -> int:
    """The exit code."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context, urls, processes = multiprocessing.get_context("spawn"), [], []
    for target in (silent, answering):
        ours, theirs = multiprocessing.Pipe()
        processes.append(context.Process(target=target, args=(theirs,), daemon=True))
        processes[-1].start()
        urls.append(ours.recv())
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/silence.db"
        os.environ |= {"DATABASE_URL": url, "LLM_SPOOL_DIR": f"{folder}/spool"}
        os.environ |= {"OPENAI_API_KEY": "sk-sandbox", "OPENAI_BASE_URL": urls[0]}
        os.environ |= {"LLM_PROVIDERS__HOUSE__API_KEY": "sk-sandbox"}
        os.environ |= {"LLM_PROVIDERS__HOUSE__BASE_URL": urls[1]}
        os.environ |= {"LLM_CIRCUIT_FAILURES": "0", "LLM_WRITE_TIMEOUT": "20"}
        upgrade(url)
        wrong = asyncio.run(run(calls))
    for process in processes:
        process.terminate()
    print("; ".join(wrong) or "all is as it should be")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))

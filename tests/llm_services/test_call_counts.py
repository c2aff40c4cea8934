"""A ratchet on what a call costs: function calls of the loop's thread, which no noise changes.

Times belong to benchmarks; a count is the same on any machine. Whoever makes a call cheaper lowers
the number, whoever makes it dearer by more than a few in a hundred sees it here first. Newer
libraries may move it: then the profile (docs/profile.md) says where.
"""

import asyncio
import gc
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from statistics import median

import pytest

from benchmarks.calls.invoice import Invoice
from benchmarks.calls.server import Connection
from modules.llm_services.public import LLMMessageDTO, LLMServicesProvider, open_llm_services

CALLS = 15
MOST = {"text": 1_420, "stream": 7_000, "structured": 1_580, "cache hit": 775}
"""Function calls, Python's and C's, that one call may take on the loop's thread."""
KEPT = 120
"""Blocks of memory that a call may leave behind, on average: what caches learn, and no more."""
SAID = [
    LLMMessageDTO(role="system", content="You are a geologist."),
    LLMMessageDTO(role="user", content="What is lava, in two sentences?"),
]
Make = Callable[[LLMServicesProvider], Awaitable[None]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The benchmarks' server, on a loop in a thread of its own."""
    ready: list[str] = []
    begun, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await loop.create_server(lambda: Connection(0.0), "127.0.0.1", 0)
        ready.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        begun.set()
        async with server:
            await ended.wait()

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    begun.wait()
    yield ready[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


async def text(llm: LLMServicesProvider) -> None:
    """An answer as text."""
    await llm.generate_response(SAID, model="gpt-4o-mini")


async def stream(llm: LLMServicesProvider) -> None:
    """An answer in a hundred pieces."""
    async with llm.stream_response(SAID, model="gpt-4o-mini") as pieces:
        assert len([piece async for piece in pieces.text()]) == 100


async def structured(llm: LLMServicesProvider) -> None:
    """An answer as an object."""
    await llm.generate_structured_response(SAID, Invoice, model="gpt-4o-mini")


async def cache_hit(llm: LLMServicesProvider) -> None:
    """An answer that was given before, with a row of its own."""
    await llm.generate_response(SAID, model="gpt-4o-mini", cache=True)


async def _counted(make: Callable[[], Awaitable[None]]) -> int:
    """Function calls of this thread until ``make`` is done."""
    seen = count()

    def note(_frame: object, event: str, _arg: object) -> None:
        if event.endswith("call"):
            next(seen)

    sys.setprofile(note)
    try:
        await make()
    finally:
        sys.setprofile(None)
    return next(seen)


@pytest.mark.parametrize(
    ("kind", "make"),
    [("text", text), ("stream", stream), ("structured", structured), ("cache hit", cache_hit)],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_call_takes_no_more_than_it_did(
    kind: str, make: Make, database_url: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Function calls of one call, its two rows included, and what it leaves in memory."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-bench")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    async with open_llm_services() as llm:
        for _ in range(5):
            await make(llm)
        gc.collect()
        before = sys.getallocatedblocks()
        taken = [await _counted(lambda: make(llm)) for _ in range(CALLS)]
        await asyncio.sleep(0.2)  # until the ledger's lookout forgets rows that are written
        gc.collect()
        left = (sys.getallocatedblocks() - before) / CALLS
    assert median(taken) <= MOST[kind]
    assert left <= KEPT

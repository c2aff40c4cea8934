"""For how long does a call with megabytes hold up the event loop?

    PYTHONPATH=backend:. python benchmarks/loop_stalls.py [part of a name]

For each case the best of three runs, so that a busy machine does not count: the longest piece of
processor time that the loop's thread spent in one go, and the longest time for which a task that
sleeps a millisecond was kept waiting (which other threads can do, too, by holding the
interpreter). Exits with 1 when either is over 50 ms. The vendor is a process of its own.
"""

import asyncio
import gc
import os
import sys
import tempfile
import time
from asyncio import events
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from benchmarks.large_vendor import LINES, MB, TEXTS, Catalogue, serving
from modules.llm_services.public import (
    BatchRequest,
    LLMError,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)
from tests.support.migrations import upgrade

LIMIT_MS = 50.0
RUNS = 3


@dataclass
class Seen:
    """The longest piece of work on the loop, and the longest wait, in milliseconds."""

    work: float = 0.0
    what: str = ""
    wait: float = 0.0


@contextmanager
def watching_work(seen: Seen) -> Iterator[None]:
    """Measure the processor time of every callback of the loop."""
    run = events.Handle._run  # type: ignore[attr-defined]  # noqa: SLF001 - the one place where all pass

    def timed(handle: Any) -> None:
        began = time.thread_time()
        run(handle)
        took = (time.thread_time() - began) * 1000
        if took > seen.work:
            seen.work, seen.what = took, where(handle)

    events.Handle._run = timed  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        yield
    finally:
        events.Handle._run = run  # type: ignore[attr-defined]  # noqa: SLF001


def where(handle: Any) -> str:
    """Where the task of a callback has stopped."""
    task = getattr(handle._callback, "__self__", None)  # noqa: SLF001
    coro: Any = task.get_coro() if isinstance(task, asyncio.Task) else None
    deep = []
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "ag_frame", None)
        if frame is not None:
            deep.append(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")
        coro = getattr(coro, "cr_await", None) or getattr(coro, "ag_await", None)
    return " > ".join(deep[-5:]) or type(handle).__name__


@asynccontextmanager
async def watching_waits(seen: Seen) -> AsyncIterator[None]:
    """Measure how long a task that wants to run is kept from it."""

    async def tick() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            seen.wait = max(seen.wait, (time.monotonic() - began - 0.001) * 1000)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()


Case = Callable[[LLMServicesProvider], Awaitable[object]]


def says(text: str) -> list[LLMMessageDTO]:
    """A conversation."""
    return [LLMMessageDTO(role="user", content=text)]


def asks(prompt: list[LLMMessageDTO], model: str = "short", **options: Any) -> Case:
    """A call of text."""
    return lambda llm: llm.generate_response(prompt, model=f"openai:{model}", **options)


def reads(prompt: list[LLMMessageDTO], model: str) -> Case:
    """A stream that is read to its end."""

    async def run(llm: LLMServicesProvider) -> None:
        async with llm.stream_response(prompt, model=f"openai:{model}") as stream:
            async for _ in stream:
                pass

    return run


def leaves(prompt: list[LLMMessageDTO], model: str) -> Case:
    """A stream whose reader goes after the first piece."""

    async def run(llm: LLMServicesProvider) -> None:
        async with llm.stream_response(prompt, model=f"openai:{model}") as stream:
            await anext(aiter(stream))

    return run


def grows(model: str) -> Case:
    """An object that grows."""

    async def run(llm: LLMServicesProvider) -> None:
        asked = says("List them.")
        async with llm.stream_structured_response(
            asked, Catalogue, model=f"openai:{model}"
        ) as stream:
            async for _ in stream:
                pass

    return run


def collects(model: type[BaseModel] | None) -> Case:
    """A batch, sent and collected."""

    async def run(llm: LLMServicesProvider) -> None:
        requests = [
            BatchRequest(key=f"k{n}", messages=says(f"List {n}."), response_model=model)
            for n in range(LINES)
        ]
        batch = await llm.submit_batch(requests, model="openai:short")
        known = [model] if model else []
        async for _ in llm.collect_batch(batch.id, known):
            pass

    return run


ENGLISH = says(TEXTS["text"])
CHINESE = says(TEXTS["cjk"])
ENCODED = says(TEXTS["base64"][: 10 * MB])
MANY = says("Rivers carry sand.") * 10_000
SHORT = says("Where does sand go?")

CASES: dict[str, Case] = {
    "prompt of 10 MB": asks(ENGLISH),
    "prompt of 10M Chinese characters": asks(CHINESE),
    "the same under a budget": asks(CHINESE, tenant="thrifty"),
    "the same from the cache": asks(CHINESE, cache=True),
    "the same with a key": asks(CHINESE, idempotency_key="k"),
    "the same, streamed": reads(CHINESE, "cjk-4000"),
    "the same, streamed and left": leaves(CHINESE, "cjk-4000"),
    "prompt of 10 MB of base64": asks(ENCODED),
    "10,000 messages": asks(MANY),
    "answer of 10 MB": asks(SHORT, "text"),
    "answer of 10M Chinese characters": asks(SHORT, "cjk"),
    "answer with 13 MB of base64": asks(SHORT, "base64"),
    "answer of 10 MB from the cache": asks(SHORT, "text", cache=True),
    "stream of 10 MB": reads(SHORT, "text-1000"),
    "object of 1 MB": lambda llm: llm.generate_structured_response(
        SHORT, Catalogue, model="openai:object"
    ),
    "stream of an object of 1 MB": grows("object-2000"),
    "2,000 vectors of 3072": lambda llm: llm.generate_embeddings(
        ["sand"] * 2_000, model="openai:text-embedding-3-large"
    ),
    "image of 20 MB": lambda llm: llm.generate_image("Mars", model="openai:gpt-image-1"),
    "batch of 2,000 texts": collects(None),
    "batch of 2,000 objects": collects(Catalogue),
}


async def run(case: Case) -> Seen:
    """One run; the first call of a process is another's (it loads the SDK)."""
    seen = Seen()
    async with open_llm_services() as llm:
        with suppress(LLMError):
            await llm.generate_structured_response(SHORT, Catalogue, model="openai:short")
        gc.collect()
        gc.disable()  # a collection of this script's megabytes is none of the module's
        async with watching_waits(seen):
            await asyncio.sleep(0.01)
            with watching_work(seen):
                try:
                    await case(llm)
                except LLMError as error:
                    print("  ", type(error).__name__, str(error)[:150])
        gc.enable()
    return seen


def main(wanted: str) -> int:
    """Every case; the exit code."""
    over = 0
    for name, case in CASES.items():
        if wanted not in name:
            continue
        runs = [asyncio.run(run(case)) for _ in range(RUNS)]
        work, wait = min(runs, key=lambda one: one.work), min(one.wait for one in runs)
        over += max(work.work, wait) > LIMIT_MS
        told = work.what if work.work > LIMIT_MS / 4 else ""
        print(
            f"{name:36} {work.work:7.1f} ms of work {wait:7.1f} ms of waiting  {told}", flush=True
        )
    return bool(over)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, serving() as vendor:
        url = f"sqlite:///{folder}/stalls.db"
        budget = '[{"scope": "tenant", "period": "day", "tokens": 1000000000000}]'
        os.environ |= {"DATABASE_URL": url, "LLM_SPOOL_DIR": f"{folder}/spool"}
        os.environ |= {"OPENAI_API_KEY": "sk-sandbox-key", "OPENAI_BASE_URL": vendor}
        os.environ |= {"LLM_BUDGETS": budget, "LLM_WRITE_TIMEOUT": "30"}
        upgrade(url)
        code = main(" ".join(sys.argv[1:]))
    sys.exit(code)

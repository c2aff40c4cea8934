"""One client in a process of its own: makes calls, measures itself, prints one line of JSON.

``python -m benchmarks.calls.worker CLIENT URL MODE CONCURRENCY CALLS MESSAGES``
"""

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import islice, repeat
from typing import Any

from .answers import EVENTS
from .clients import Client, Messages, connect

WARM_UP = 60


def conversation(length: int) -> Messages:
    """That many short messages, the user's last."""
    roles = islice(repeat(("user", "assistant")), length // 2)
    turns = [role for pair in roles for role in pair]
    said = [
        {"role": role, "content": f"What do you know about lava, part {n}?"}
        for n, role in enumerate(turns)
    ]
    return [{"role": "system", "content": "You are a geologist."}, *said[: length - 2], _QUESTION]


_QUESTION = {"role": "user", "content": "What is lava, in two sentences?"}


def _call(client: Client, mode: str, messages: Messages) -> Callable[[], Awaitable[None]]:
    async def text() -> None:
        _require(bool(await client.text(messages)))

    async def stream() -> None:
        _require(await client.stream(messages) in {1, EVENTS, EVENTS + 1})

    async def structured() -> None:
        _require((await client.structured(messages)).number == "17")

    async def cache() -> None:
        _require(bool(await client.cached(messages)))

    calls: dict[str, Callable[[], Awaitable[None]]] = {
        "text": text,
        "stream": stream,
        "structured": structured,
        "cache": cache,
    }
    return calls[mode]


def _require(fine: bool) -> None:  # noqa: FBT001 - reads as an assertion
    if not fine:
        raise RuntimeError("the client gave no answer")


async def _run(call: Callable[[], Awaitable[None]], concurrency: int, count: int) -> list[float]:
    """``count`` calls, so many at a time; the seconds that each took."""
    left = iter(range(count))
    took: list[float] = []

    async def work() -> None:
        for _ in left:
            started = time.perf_counter()
            await call()
            took.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return took


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(name: str, url: str, mode: str, concurrency: int, count: int, length: int) -> Any:
    """Milliseconds of processor time for each call, of wall time by percentile, peak memory."""
    client = await connect(name, url)
    call = _call(client, mode, conversation(length))
    await _run(call, min(concurrency, WARM_UP), max(WARM_UP, concurrency))
    gc.collect()
    cpu, wall = _cpu(), time.perf_counter()
    took = sorted(await _run(call, concurrency, count))
    cpu, wall = _cpu() - cpu, time.perf_counter() - wall
    await client.close()
    return {
        "cpu_ms": cpu / count * 1000,
        "wall_ms": wall / count * 1000,
        "p50_ms": took[len(took) // 2] * 1000,
        "p95_ms": took[int(len(took) * 0.95)] * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    client_name, base_url, what, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(client_name, base_url, what, *map(int, numbers)))))

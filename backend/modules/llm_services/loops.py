"""Where calls run: on an event loop of asyncio's, and nowhere else."""

import asyncio

from modules.llm_services.exceptions import LLMInputError


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop that the caller awaits us on. Raises `LLMInputError` when there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise LLMInputError(
            "no asyncio event loop is running here: await the call inside asyncio.run(), or hand "
            "it to a running loop by anyio.from_thread.run() or asyncio.run_coroutine_threadsafe()"
        ) from None

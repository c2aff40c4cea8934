"""This module, with its ledger: two durable writes for every call."""

import os
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.calls.invoice import Invoice
from modules.llm_services.public import (
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)

from . import Messages
from .sdk import MODEL


class Module:
    """One `LLMServicesProvider`, as a worker would hold it."""

    def __init__(self, llm: LLMServicesProvider, stack: AsyncExitStack) -> None:
        self._llm = llm
        self._stack = stack

    async def text(self, messages: Messages) -> str:
        """`generate_response`."""
        answer, _ = await self._llm.generate_response(_said(messages), model=MODEL)
        return answer.content

    async def stream(self, messages: Messages) -> int:
        """`stream_response`."""
        pieces = 0
        async with self._llm.stream_response(_said(messages), model=MODEL) as stream:
            async for _piece in stream.text():
                pieces += 1
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """`generate_structured_response`."""
        made, _ = await self._llm.generate_structured_response(
            _said(messages), Invoice, model=MODEL
        )
        return made

    async def cached(self, messages: Messages) -> str:
        """`generate_response` of what was asked before: a row of its own, two writes."""
        answer, _ = await self._llm.generate_response(_said(messages), model=MODEL, cache=True)
        return answer.content

    async def close(self) -> None:
        """Write what waits and close."""
        await self._stack.aclose()


def _said(messages: Messages) -> list[LLMMessageDTO]:
    return [LLMMessageDTO(role=one["role"], content=one["content"]) for one in messages]


async def connect(base_url: str) -> Module:
    """`open_llm_services` on the database of the environment."""
    os.environ.update(OPENAI_API_KEY="sk-bench", OPENAI_BASE_URL=base_url)
    stack = AsyncExitStack()
    return Module(await stack.enter_async_context(open_llm_services()), stack)

"""instructor over the SDK, without retries of its own."""

from typing import Any

import instructor
from openai import AsyncOpenAI

from benchmarks.calls.invoice import Invoice

from . import Messages
from .sdk import MODEL, Sdk


class Instructor(Sdk):
    """Text and streams go through instructor's patched client as its users' do."""

    def __init__(self, client: AsyncOpenAI) -> None:
        super().__init__(client)
        self._patched: Any = instructor.from_openai(client)

    async def text(self, messages: Messages) -> str:
        """Without a response model."""
        answer = await self._patched.chat.completions.create(
            model=MODEL, messages=list(messages), response_model=None
        )
        return str(answer.choices[0].message.content)

    async def structured(self, messages: Messages) -> Any:
        """With a response model, in its default mode (tools)."""
        return await self._patched.chat.completions.create(
            model=MODEL, messages=list(messages), response_model=Invoice, max_retries=1
        )


async def connect(base_url: str) -> Instructor:
    """One patched client for all calls."""
    return Instructor(AsyncOpenAI(api_key="sk-bench", base_url=base_url))

"""The bare SDK: Chat Completions, default transport."""

from typing import Any

from openai import AsyncOpenAI

from benchmarks.calls.invoice import Invoice

from . import Messages

MODEL = "gpt-4o-mini"


class Sdk:
    """One `AsyncOpenAI` for all calls."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def text(self, messages: Messages) -> str:
        """`chat.completions.create`."""
        said: Any = list(messages)
        answer = await self._client.chat.completions.create(model=MODEL, messages=said)
        return answer.choices[0].message.content or ""

    async def stream(self, messages: Messages) -> int:
        """`chat.completions.create(stream=True)`."""
        said: Any = list(messages)
        pieces = 0
        answer = await self._client.chat.completions.create(
            model=MODEL, messages=said, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in answer:
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """`chat.completions.parse`."""
        said: Any = list(messages)
        answer = await self._client.chat.completions.parse(
            model=MODEL, messages=said, response_format=Invoice
        )
        return answer.choices[0].message.parsed

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def connect(base_url: str) -> Sdk:
    """The SDK as its README shows it."""
    return Sdk(AsyncOpenAI(api_key="sk-bench", base_url=base_url))

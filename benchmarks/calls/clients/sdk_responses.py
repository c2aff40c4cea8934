"""The bare SDK: the Responses API, default transport."""

from typing import Any

from openai import AsyncOpenAI

from benchmarks.calls.invoice import Invoice

from . import Messages
from .sdk import MODEL


class SdkResponses:
    """One `AsyncOpenAI` for all calls."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def text(self, messages: Messages) -> str:
        """`responses.create`."""
        said: Any = list(messages)
        answer = await self._client.responses.create(model=MODEL, input=said)
        return answer.output_text

    async def stream(self, messages: Messages) -> int:
        """`responses.create(stream=True)`."""
        said: Any = list(messages)
        answer = await self._client.responses.create(model=MODEL, input=said, stream=True)
        pieces = 0
        async for event in answer:
            pieces += event.type == "response.output_text.delta"
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """`responses.parse`."""
        said: Any = list(messages)
        answer = await self._client.responses.parse(model=MODEL, input=said, text_format=Invoice)
        return answer.output_parsed

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def connect(base_url: str) -> SdkResponses:
    """The SDK as its README shows it."""
    return SdkResponses(AsyncOpenAI(api_key="sk-bench", base_url=base_url))

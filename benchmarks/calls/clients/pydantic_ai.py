"""pydantic-ai: an `Agent` on OpenAI's chat model."""

from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.calls.invoice import Invoice

from . import Messages
from .sdk import MODEL


class PydanticAI:
    """One agent for text and one for objects."""

    def __init__(self, base_url: str) -> None:
        client = AsyncOpenAI(api_key="sk-bench", base_url=base_url)
        model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
        self._text: Any = Agent(model)
        self._object: Any = Agent(model, output_type=Invoice)

    async def text(self, messages: Messages) -> str:
        """`run`."""
        return str((await self._text.run(messages[-1]["content"])).output)

    async def stream(self, messages: Messages) -> int:
        """`run_stream`, piece by piece."""
        pieces = 0
        async with self._text.run_stream(messages[-1]["content"]) as answer:
            async for _piece in answer.stream_text(delta=True, debounce_by=None):
                pieces += 1
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """`run` with an output type."""
        return (await self._object.run(messages[-1]["content"])).output

    async def close(self) -> None:
        """It has nothing to close."""


async def connect(base_url: str) -> PydanticAI:
    """As its documentation shows it."""
    return PydanticAI(base_url)

"""langchain-openai: `ChatOpenAI`."""

from typing import Any

from langchain_core.caches import InMemoryCache
from langchain_openai import ChatOpenAI

from benchmarks.calls.invoice import Invoice

from . import Messages
from .sdk import MODEL


class LangChain:
    """One model object, and one runnable for objects."""

    def __init__(self, base_url: str) -> None:
        self._model: Any = ChatOpenAI(
            model=MODEL, api_key="sk-bench", base_url=base_url, stream_usage=True
        )
        self._object: Any = self._model.with_structured_output(Invoice)
        self._cached: Any = ChatOpenAI(
            model=MODEL, api_key="sk-bench", base_url=base_url, cache=InMemoryCache()
        )

    async def text(self, messages: Messages) -> str:
        """`ainvoke`."""
        answer = await self._model.ainvoke(list(messages))
        return str(answer.content)

    async def stream(self, messages: Messages) -> int:
        """`astream`."""
        pieces = 0
        async for chunk in self._model.astream(list(messages)):
            pieces += bool(chunk.content)
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """`with_structured_output`."""
        return await self._object.ainvoke(list(messages))

    async def cached(self, messages: Messages) -> str:
        """`ainvoke` with an `InMemoryCache`."""
        answer = await self._cached.ainvoke(list(messages))
        return str(answer.content)

    async def close(self) -> None:
        """It has nothing to close."""


async def connect(base_url: str) -> LangChain:
    """As its documentation shows it."""
    return LangChain(base_url)

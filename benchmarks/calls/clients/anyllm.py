"""any-llm: one kept instance."""

from typing import Any

from any_llm import AnyLLM

from benchmarks.calls.invoice import Invoice

from . import Messages
from .sdk import MODEL


class AnyLlm:
    """One instance for all calls."""

    def __init__(self, base_url: str) -> None:
        self._llm: Any = AnyLLM.create("openai", api_key="sk-bench", api_base=base_url)

    async def text(self, messages: Messages) -> str:
        """`acompletion`."""
        answer = await self._llm.acompletion(model=MODEL, messages=list(messages))
        return str(answer.choices[0].message.content)

    async def stream(self, messages: Messages) -> int:
        """`acompletion(stream=True)`."""
        pieces = 0
        answer = await self._llm.acompletion(model=MODEL, messages=list(messages), stream=True)
        async for chunk in answer:
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """A response format, validated as its users do."""
        answer = await self._llm.acompletion(
            model=MODEL, messages=list(messages), response_format=Invoice
        )
        return Invoice.model_validate_json(answer.choices[0].message.content)

    async def close(self) -> None:
        """It has nothing to close."""


async def connect(base_url: str) -> AnyLlm:
    """As its documentation shows it."""
    return AnyLlm(base_url)

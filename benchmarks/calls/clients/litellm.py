"""litellm: `acompletion`, its telemetry off."""

from typing import Any

import litellm

from benchmarks.calls.invoice import Invoice

from . import Messages
from .sdk import MODEL


class LiteLLM:
    """The module's functions; it keeps its clients itself."""

    def __init__(self, base_url: str) -> None:
        litellm.telemetry = False
        self._to = {"api_base": base_url, "api_key": "sk-bench"}

    async def text(self, messages: Messages) -> str:
        """`acompletion`."""
        answer: Any = await litellm.acompletion(
            model=f"openai/{MODEL}", messages=list(messages), **self._to
        )
        return str(answer.choices[0].message.content)

    async def stream(self, messages: Messages) -> int:
        """`acompletion(stream=True)`."""
        pieces = 0
        answer: Any = await litellm.acompletion(
            model=f"openai/{MODEL}",
            messages=list(messages),
            stream=True,
            stream_options={"include_usage": True},
            **self._to,
        )
        async for chunk in answer:
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
        return pieces

    async def structured(self, messages: Messages) -> Any:
        """A response format, validated as its users do."""
        answer: Any = await litellm.acompletion(
            model=f"openai/{MODEL}", messages=list(messages), response_format=Invoice, **self._to
        )
        return Invoice.model_validate_json(answer.choices[0].message.content)

    async def close(self) -> None:
        """It closes its clients itself."""


async def connect(base_url: str) -> LiteLLM:
    """As its documentation shows it."""
    return LiteLLM(base_url)

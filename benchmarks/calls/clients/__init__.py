"""One file a client: how somebody who knows it well would call it, with everything kept that can
be kept between calls.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

Messages = Sequence[Mapping[str, str]]

CLIENTS: Mapping[str, str] = {
    "module": "modules.llm_services (Responses)",
    "module_chat": "modules.llm_services (Chat)",
    "sdk": "openai SDK, chat",
    "sdk_responses": "openai SDK, responses",
    "sdk_aiohttp": "openai SDK, chat, aiohttp",
    "instructor": "instructor",
    "anyllm": "any-llm",
    "langchain": "langchain-openai",
    "litellm": "litellm",
    "pydantic_ai": "pydantic-ai",
    "floor": "aiohttp, JSON and two commits, nothing else",
}
"""The file of each client, and what the tables call it."""

REFERENCE = "sdk"
_CACHING = frozenset({"module", "langchain"})  # litellm's cache needs its proxy's dependencies


def makes(client: str, mode: str) -> bool:
    """Whether a client makes calls of that kind."""
    if client == "floor":
        return mode == "text"
    return mode != "cache" or client in _CACHING


class Client(Protocol):
    """What is measured. Each method makes one call and checks that an answer came."""

    async def text(self, messages: Messages) -> str:
        """An answer as text."""
        ...

    async def stream(self, messages: Messages) -> int:
        """Read a stream to its end; how many pieces came."""
        ...

    async def structured(self, messages: Messages) -> Any:
        """An answer as an `Invoice`."""
        ...

    async def cached(self, messages: Messages) -> str:
        """The answer to what was asked before. Not every client has a cache."""
        ...

    async def close(self) -> None:
        """Let go of connections, and finish what is under way."""
        ...


async def connect(name: str, base_url: str) -> Client:
    """The client of that name; loading its library is part of nothing that is measured."""
    made = await import_module(f"{__name__}.{name}").connect(base_url)
    return cast("Client", made)

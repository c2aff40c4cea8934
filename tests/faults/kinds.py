"""Every kind of call that a network can break, as a table: a new kind is one row."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.public import LLMMessageDTO, LLMServicesProvider
from sandbox.audio import to_wav
from sandbox.images import draw

Ask = Callable[[LLMServicesProvider], Awaitable[UUID]]


class Planet(BaseModel):
    """What is asked for."""

    name: str
    moons: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A call that gives the id of its row. ``costly`` ones are not sent again when they may have
    been paid for; ``streamed`` ones are read to their end; ``binary`` ones answer with bytes. What
    may be asked ``in_words``, too, is asked once more when it is refused.
    """

    name: str
    ask: Ask
    costly: bool = False
    streamed: bool = False
    binary: bool = False
    in_words: bool = False


RIVERS = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea, and end in deltas.")]
SILENCE = to_wav(bytes(4_800))
PICTURE = draw("Mars", 1, 64, 64)
HOUSE = "house:gpt-4o"
"""A model of the provider that speaks Chat Completions."""


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


async def _id(asked: Awaitable[tuple[Any, UUID]]) -> UUID:
    return (await asked)[1]


async def _read(opened: AbstractAsyncContextManager[Any]) -> UUID:
    async with opened as stream:
        async for _ in stream:
            pass
    found: UUID = stream.request_id
    return found


KINDS = (
    Kind(name="text", ask=lambda llm: _id(llm.generate_response(RIVERS, model="gpt-4o"))),
    Kind(name="text of chat", ask=lambda llm: _id(llm.generate_response(RIVERS, model=HOUSE))),
    Kind(
        name="object",
        ask=lambda llm: _id(llm.generate_structured_response(RIVERS, Planet, model="gpt-4o")),
    ),
    Kind(
        name="object of chat",
        ask=lambda llm: _id(llm.generate_structured_response(RIVERS, Planet, model=HOUSE)),
        in_words=True,
    ),
    Kind(name="tools", ask=lambda llm: _id(llm.run_tools(RIVERS, [get_weather]))),
    Kind(
        name="stream",
        ask=lambda llm: _read(llm.stream_response(RIVERS, model="gpt-4o")),
        streamed=True,
    ),
    Kind(
        name="stream of chat",
        ask=lambda llm: _read(llm.stream_response(RIVERS, model=HOUSE)),
        streamed=True,
    ),
    Kind(
        name="stream of an object",
        ask=lambda llm: _read(llm.stream_structured_response(RIVERS, Planet, model="gpt-4o")),
        streamed=True,
    ),
    Kind(name="image", ask=lambda llm: _id(llm.generate_image("Mars")), costly=True),
    Kind(name="edit", ask=lambda llm: _id(llm.edit_image("Mars", PICTURE)), costly=True),
    Kind(name="search", ask=lambda llm: _id(llm.search_web(["moons of Mars"])), costly=True),
    Kind(name="embeddings", ask=lambda llm: _id(llm.generate_embeddings(["Mars"]))),
    Kind(name="speech", ask=lambda llm: _id(llm.generate_audio("Mars.")), binary=True),
    Kind(name="transcript", ask=lambda llm: _id(llm.transcribe_audio(SILENCE))),
)
STREAMS = tuple(kind for kind in KINDS if kind.streamed)
WHOLE = tuple(kind for kind in KINDS if not kind.streamed)

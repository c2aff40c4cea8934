"""What every adapter offers, and what it answers with."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from modules.llm_services.types import Call, JsonObject, Usage
from modules.llm_services.types.stream import StreamEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The last answer and what was wrong with it, for the model to do better."""

    text: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP request to make: its number in the call, seconds left, and what to correct."""

    number: int
    seconds_left: float
    correction: Correction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a provider answered, in our words.

    ``model`` is the one that answered. ``usage_details`` and ``raw`` are the provider's own JSON,
    ``raw`` without the text, which is kept once. ``parsed`` is what the use case asked for beyond
    text: an instance of the call's ``output_type``, images, vectors, audio, search results.
    """

    text: str
    model: str | None
    finish_reason: str | None = None
    usage: Usage | None = None
    usage_details: JsonObject | None = None
    service_tier: str | None = None
    http_status: int | None = None
    provider_request_id: str | None = None
    raw: JsonObject | None = None
    dropped_params: Sequence[str] = field(default=())
    parsed: object = None


class GeneratesText(Protocol):
    """Answers messages with text, or with an object when the call has an ``output_type``."""

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else."""
        ...


class AnswerStream(Protocol):
    """An answer that comes piece by piece. ``text`` is what was said so far; ``reply`` is there
    once the stream ended as it should. A broken one raises `LLMError` from `__anext__`.
    """

    reply: Reply | None

    @property
    def text(self) -> str:
        """What was said so far."""
        ...

    def __aiter__(self) -> AsyncIterator[StreamEvent]: ...

    async def __anext__(self) -> StreamEvent:
        """The next piece."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection."""
        ...


OpenStream: TypeAlias = Callable[[Call, Attempt], Awaitable[AnswerStream]]


class StreamsText(Protocol):
    """Answers messages with text that comes piece by piece."""

    async def stream_text(self, call: Call, attempt: Attempt) -> AnswerStream:
        """Make exactly one HTTP request; it stays open until the stream is closed."""
        ...


class LLMProvider(GeneratesText, StreamsText, Protocol):
    """An adapter: a name, what it offers, and a way to let go of its connections."""

    name: str

    async def aclose(self) -> None:
        """Close connections. Calls under way may fail."""
        ...

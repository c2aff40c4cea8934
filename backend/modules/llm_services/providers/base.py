"""What every adapter offers, and what it answers with."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import IO, Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from modules.llm_services.exceptions import LLMError
from modules.llm_services.types import Call, GivenImages, JsonObject, ToolCall, Usage
from modules.llm_services.types.audio import Recording
from modules.llm_services.types.batch import BatchStatusDTO
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
    ``tool_calls`` are what the model asks to have called, ``reasoning`` what it thought: sealed
    items, each with its place (see `ReasoningItem`).
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
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[tuple[int, JsonObject], ...] = ()


class GeneratesText(Protocol):
    """Answers messages with text, or with an object when the call has an ``output_type``."""

    def check(self, call: Call) -> None:
        """Raise `LLMInputError` for what this endpoint is known not to take. Sends nothing."""
        ...

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else."""
        ...


@runtime_checkable
class HasPieces(Protocol):
    """A stream that knows what has come already."""

    def ready(self) -> StreamEvent | None:
        """A piece that has come already, if there is one. What is broken waits for its turn."""
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


Heard: TypeAlias = Callable[[Call, Mapping[str, str]], None]
"""Is told the headers of every answer, for what they say about limits."""


def deaf(_call: Call, _headers: Mapping[str, str]) -> None:
    """Learns nothing."""


OpenStream: TypeAlias = Callable[[Call, Attempt], Awaitable[AnswerStream]]


class StreamsText(Protocol):
    """Answers messages with text that comes piece by piece."""

    async def stream_text(self, call: Call, attempt: Attempt) -> AnswerStream:
        """Make exactly one HTTP request; it stays open until the stream is closed."""
        ...


@runtime_checkable
class GeneratesImages(Protocol):
    """Makes a picture of a prompt; ``parsed`` is a `GeneratedImage` or the provider's URL."""

    async def generate_image(self, call: Call, attempt: Attempt) -> Reply:
        """Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else."""
        ...

    async def edit_image(self, call: Call, attempt: Attempt, given: GivenImages) -> Reply:
        """The same with pictures to start from."""
        ...


@runtime_checkable
class EmbedsTexts(Protocol):
    """Turns texts into vectors; ``parsed`` is a list of ``array('f')``, one for each text."""

    async def embed(self, call: Call, attempt: Attempt, texts: Sequence[str]) -> Reply:
        """Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else."""
        ...


@runtime_checkable
class SpeaksAndHears(Protocol):
    """Turns text into sound and back; ``parsed`` is the sound's bytes, or a `Transcript`."""

    async def speak(self, call: Call, attempt: Attempt, text: str) -> Reply:
        """Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else."""
        ...

    async def transcribe(self, call: Call, attempt: Attempt, recording: Recording) -> Reply:
        """The same for a recording."""
        ...


@runtime_checkable
class SearchesWeb(Protocol):
    """Searches the web. Not every endpoint can: ask with `isinstance`."""

    async def search_web(self, call: Call, attempt: Attempt) -> Reply:
        """Search for what the call's last message asks; ``parsed`` is a `Findings`.

        Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBatch:
    """A file of requests: the path of the API they are for, and parameters that were left out of
    some of them, by the ids of their rows.
    """

    path: str
    dropped: Mapping[UUID, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAtVendor:
    """A batch as its vendor sees it: its ``files`` of results, the ``problem`` (code and message)
    for which it was refused, and the id of ``ours`` that its rows carry.
    """

    status: BatchStatusDTO
    path: str
    files: Sequence[str]
    problem: tuple[str | None, str]
    ours: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """One result of a batch, not yet checked. Without ``http_status`` the request was not made."""

    custom_id: str
    call_id: UUID | None
    http_status: int | None
    provider_request_id: str | None
    body: object
    code: str | None
    message: str


class HandlesBatches(Protocol):
    """Takes many requests in a file and gives their answers in files, later.

    Whatever has an attempt makes exactly one HTTP request, and raises `LLMError` subclasses only.
    """

    async def write(self, calls: Sequence[Call], file: IO[bytes]) -> WrittenBatch:
        """Write the calls to a file. Raises `LLMInputError` when they are more than may be sent."""
        ...

    async def upload(self, call: Call, attempt: Attempt, file: IO[bytes]) -> str:
        """Send the file; gives the provider's id of it."""
        ...

    async def order(self, call: Call, attempt: Attempt, file_id: str, path: str) -> BatchAtVendor:
        """Have an uploaded file processed."""
        ...

    async def look(self, call: Call, attempt: Attempt, batch_id: str) -> BatchAtVendor:
        """How far a batch is."""
        ...

    async def lines(self, call: Call, attempt: Attempt, file_id: str) -> AsyncIterator[BatchLine]:
        """The lines of a file of results, as they come."""
        ...

    def reply(self, call: Call, line: BatchLine, path: str) -> Reply:
        """The answer in a line, checked like any other. Raises `LLMError` for anything else."""
        ...

    def unanswered(self, batch: BatchAtVendor) -> LLMError:
        """Why a request of a batch that has ended has no line; a new error for each."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsPage:
    """A part of what a vendor bills for a day: USD by line item, and the cursor of the next."""

    items: Mapping[str, Decimal]
    next: str | None


class ReadsCosts(Protocol):
    """Reads what the vendor bills; needs a key that may see it."""

    async def costs(self, call: Call, attempt: Attempt, start: int, page: str | None) -> CostsPage:
        """A page of the costs of the day that begins at ``start`` (Unix seconds).

        Make exactly one HTTP request. Raises `LLMError` subclasses and nothing else.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@runtime_checkable
class TakesBatches(Protocol):
    """Has a desk for batches."""

    @property
    def batches(self) -> HandlesBatches:
        """The desk."""
        ...


class LLMProvider(GeneratesText, StreamsText, Protocol):
    """An adapter: a name, what every one offers, and a way to let go of its connections.

    What only some can is asked for with `isinstance`: `GeneratesImages`, `EmbedsTexts`,
    `SpeaksAndHears`, `SearchesWeb`, `TakesBatches`.
    """

    name: str

    async def aclose(self) -> None:
        """Close connections. Calls under way may fail."""
        ...

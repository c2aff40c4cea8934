"""Answers that come piece by piece."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar, Unpack
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.types import GenerationOptions, LLMMessageDTO, LLMResponseDTO
from modules.llm_services.types.stream import StreamEvent

T = TypeVar("T", bound=BaseModel)
T_co = TypeVar("T_co", bound=BaseModel, covariant=True)


class TextStream(Protocol):
    """An answer on its way. Iterate it for typed pieces, or ``text()`` for the plain case."""

    request_id: UUID

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """`TextDelta`, `ReasoningDelta` and `ToolCallDelta`, as they come."""
        ...

    def text(self) -> AsyncIterator[str]:
        """The answer's text alone, piece by piece."""
        ...

    @property
    def response(self) -> LLMResponseDTO:
        """The whole answer with its tokens and cost, once the stream was read to its end."""
        ...


class ObjectStream(Protocol[T_co]):
    """An object on its way. Iterating it gives the object as far as it is known."""

    request_id: UUID

    def __aiter__(self) -> AsyncIterator[T_co]:
        """The object each time that more of it is known; fields to come are ``None``."""
        ...

    @property
    def result(self) -> T_co:
        """The whole, validated object, once the stream was read to its end."""
        ...

    @property
    def response(self) -> LLMResponseDTO:
        """What the answer took: tokens, cost, time."""
        ...


class StreamsText(Protocol):
    """Streams text for a conversation."""

    def stream_response(
        self,
        messages: Sequence[LLMMessageDTO],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AbstractAsyncContextManager[TextStream]:
        """``async with llm.stream_response(messages) as stream: async for piece in stream: ...``

        The row is there before the first byte. It is settled when the context is left: completed
        when the stream was read to its end, failed when it broke, else cancelled, with the text so
        far and the tokens that it probably took. Only what happens before the first piece is tried
        again. ``timeout`` counts the time that the provider is waited for, not yours. Arguments as
        for `GeneratesText.generate_response`.

        Raises:
            LLMStreamCutError: the stream ended before the answer did.
            LLMError: as for `GeneratesText.generate_response`; ``partial_text`` is what had come.

        """
        ...


class StreamsStructured(Protocol):
    """Streams an object for a conversation."""

    def stream_structured_response(
        self,
        messages: Sequence[LLMMessageDTO],
        response_model: type[T],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AbstractAsyncContextManager[ObjectStream[T]]:
        """As `StreamsText.stream_response`, for an instance of ``response_model``.

        The pieces are the object as far as it is known; the last word has ``result``, which is
        validated (in a worker thread; the pieces on the event loop, so that validators must not
        wait for anything). What was streamed cannot be taken back, so a misfit is not asked for
        again.

        Raises:
            LLMValidationError: the whole answer does not fit.
            LLMError: as for `StreamsText.stream_response`.

        """
        ...

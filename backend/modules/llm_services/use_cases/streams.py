"""Answers that come piece by piece: text, or an object that grows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Generic, TypeVar, Unpack, cast
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.calls import CallArguments
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.providers.base import AnswerStream
from modules.llm_services.providers.structured import partial_reader
from modules.llm_services.recorded_stream import RecordedStream
from modules.llm_services.recording import Outcome
from modules.llm_services.types import Call, GenerationOptions, LLMMessageDTO, LLMResponseDTO
from modules.llm_services.types.stream import StreamEvent, TextDelta

from .base import UseCases
from .routed import Asks
from .text import response_dto

T = TypeVar("T", bound=BaseModel)

_LONG, _WORTH_READING = 20_000, 1.02
"""Characters from which on an object is read again only when it is two per cent longer: else the
whole would be read a thousand times."""


class ResponseStream:
    """Implements `TextStream`."""

    def __init__(self, call: Call, recorded: RecordedStream) -> None:
        self._call = call
        self._recorded = recorded
        self.request_id: UUID = call.id

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return aiter(self._recorded)

    async def text(self) -> AsyncIterator[str]:
        """The answer's text alone, piece by piece."""
        async for piece in self._recorded:
            if isinstance(piece, TextDelta):
                yield piece.text

    @property
    def response(self) -> LLMResponseDTO:
        """The whole answer, once the stream was read to its end."""
        record, reply = self._recorded.record, self._recorded.reply
        if reply is None:
            raise LLMInputError("the stream was not read to its end: there is no response yet")
        whole = response_dto(self._call, Outcome.of(record, reply))
        return whole.model_copy(update={"time_to_first_token_ms": record.first_token_ms})


class StructuredResponseStream(Generic[T]):
    """Implements `ObjectStream`."""

    def __init__(self, stream: ResponseStream, recorded: RecordedStream, model: type[T]) -> None:
        self._stream = stream
        self._recorded = recorded
        self._model = model
        self.request_id: UUID = stream.request_id

    async def __aiter__(self) -> AsyncIterator[T]:
        """The object as far as it is known, each time that more of it is. It is read in a thread:
        validators are a caller's.
        """
        read, text, last = await partial_reader(self._model), "", None
        known = 0
        async for piece in self._stream.text():
            text += piece
            if len(text) < known * _WORTH_READING:
                continue
            known = len(text) if len(text) > _LONG else 0
            grown = await asyncio.to_thread(read, text)
            if grown is not None and grown != last:
                last = grown
                yield cast("T", grown)

    @property
    def result(self) -> T:
        """The whole, validated object, once the stream was read to its end."""
        reply = self._recorded.reply
        if reply is None:
            raise LLMInputError("the stream was not read to its end: there is no result yet")
        return cast("T", reply.parsed)

    @property
    def response(self) -> LLMResponseDTO:
        """What the answer took: tokens, cost, time."""
        return self._stream.response


class StreamUseCases(UseCases):
    """Implements `StreamsText` and `StreamsStructured`."""

    @asynccontextmanager
    async def stream_response(
        self,
        messages: Sequence[LLMMessageDTO],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AsyncIterator[ResponseStream]:
        """Text piece by piece. See `StreamsText.stream_response`."""
        asked = CallArguments(messages, user_id, model, temperature, max_tokens, options)
        async with self._stream("chat", asked) as (call, recorded):
            yield ResponseStream(call, recorded)

    @asynccontextmanager
    async def stream_structured_response(
        self,
        messages: Sequence[LLMMessageDTO],
        response_model: type[T],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AsyncIterator[StructuredResponseStream[T]]:
        """An object that grows. See `StreamsStructured.stream_structured_response`."""
        asked = CallArguments(
            messages, user_id, model, temperature, max_tokens, options, response_model
        )
        async with self._stream("structured", asked) as (call, recorded):
            plain = ResponseStream(call, recorded)
            yield StructuredResponseStream(plain, recorded, response_model)

    @asynccontextmanager
    async def _stream(
        self, operation: str, asked: CallArguments
    ) -> AsyncIterator[tuple[Call, RecordedStream]]:
        call = replace(await self._call(operation, asked), stream=True)
        _refuse_key(call)
        self._warn_about_open_transaction()
        call, open_stream = await self._route(call, self._asks_stream)
        async with self._runtime.executor.stream(call, open_stream) as recorded:
            yield call, recorded

    async def _asks_stream(self, call: Call) -> Asks[AnswerStream]:
        return (await self._provider_for(call)).stream_text


def _refuse_key(call: Call) -> None:
    if call.idempotency_key is not None:
        raise LLMInputError(
            "idempotency_key: a stream takes none, for half of it may have been shown when it "
            "breaks; use generate_response"
        )

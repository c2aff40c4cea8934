"""A stream that is being recorded: its pieces go to the caller, what becomes of it to the row."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from anyio import CancelScope

from .bulk import LARGE, off_loop, weight
from .exceptions import LLMError, LLMTimeoutError
from .gate import Passage
from .pricing import PriceList
from .providers.base import AnswerStream, HasPieces, Reply
from .recording import AttemptRecord, CallRecord
from .tokens import count_messages, estimate_text_tokens, is_warm
from .types import Call, Usage
from .types.stream import StreamEvent, TextDelta, ToolCallDelta

_CLOSING = 2.0  # seconds that a connection may take to close


class Replay:
    """An answer that is known, as a stream: its text in one piece, then its calls of tools."""

    def __init__(self, reply: Reply) -> None:
        self.reply: Reply | None = reply
        self.text = reply.text
        calls = enumerate(reply.tool_calls)
        self._pieces: list[StreamEvent] = [
            *([TextDelta(reply.text)] if reply.text else ()),
            *(ToolCallDelta(n, json.dumps(c.arguments), c.id, c.name) for n, c in calls),
        ]

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        """The next piece."""
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        """Nothing is open."""


def no_attempt(record: CallRecord) -> AttemptRecord:
    """Where a replay is noted: it is no request, so it does not count among the record's."""
    return AttemptRecord(
        number=0,
        provider=record.call.provider,
        model=record.call.model,
        started_at=record.created_at,
        started=record.started,
    )


class RecordedStream:
    """The pieces of one call's answer. ``reply`` is there once it was read to its end.

    The call's deadline counts the time in which the provider is waited for, not the time that the
    caller takes between two pieces.
    """

    def __init__(
        self,
        call: Call,
        record: CallRecord,
        prices: PriceList,
        attempt: AttemptRecord,
        source: AnswerStream,
        passage: Passage | None = None,
    ) -> None:
        self._call = call
        self.record = record
        self._prices = prices
        self._attempt = attempt
        self._source = source
        self._passage = passage
        self._ready = source.ready if isinstance(source, HasPieces) else _nothing
        self._first: StreamEvent | None = None
        self._seconds_left = max(call.timeout - record.milliseconds / 1000, 0)
        self._error: LLMError | None = None
        self.reply: Reply | None = None

    async def begin(self) -> None:
        """Wait for the first piece; until then the call may be tried again."""
        try:
            self._first = await anext(self._source, None)
        except BaseException:
            await _close(self._source)
            raise
        self.record.first_token()

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        """The next piece. Raises `LLMError` when the stream breaks, with the text so far."""
        piece, self._first = self._first, None
        if piece is None and self.reply is None and self._error is None:
            piece = self._ready() or await self._next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def _next(self) -> StreamEvent | None:
        try:
            piece = await self._within_deadline()
        except LLMError as error:
            await self._failed(error)
            raise
        if piece is None and self._source.reply is not None:
            self._completed(self._source.reply)
        return piece

    async def _within_deadline(self) -> StreamEvent | None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds_left):
                return await anext(self._source, None)
        except TimeoutError:
            raise LLMTimeoutError(
                f"the answer did not end within the deadline of {self._call.timeout:g} s",
                maybe_billed=True,
                partial_text=self._source.text or None,
            ) from None
        finally:
            self._seconds_left -= time.monotonic() - started

    def _completed(self, reply: Reply) -> None:
        self.reply = reply
        self._attempt.answered(reply)
        self._attempt.price_by(self._prices, self._call, reply)
        self.record.completed(reply)

    async def _failed(self, error: LLMError) -> None:
        self._error = error
        error.maybe_billed = error.maybe_billed or error.usage is None  # it had begun to answer
        self._attempt.failed(error)
        if self._attempt.usage is None:
            await self._estimate()
        self._attempt.price_by(self._prices, self._call)
        self.record.failed(error)

    async def settle(self) -> None:
        """The caller is through with it: close the connection, and the row with what is known."""
        try:
            await _close(self._source)
        finally:
            try:
                await self._settle()
            finally:
                self._give_back()

    def _give_back(self) -> None:
        if self._passage is not None:
            self._passage.close(self._attempt.usage)

    async def _settle(self) -> None:
        if self.reply is not None or self._error is not None:
            return
        self._attempt.interrupted()
        self.record.partial_text = self._source.text or None
        self.record.cancelled()
        await self._estimate()
        self._attempt.price_by(self._prices, self._call)

    async def _estimate(self) -> None:
        """Nobody says what a stream has cost that did not end: it is estimated, and marked so."""
        call, said = self._call, self._source.text
        size = weight(call.messages) + len(said) if is_warm() else LARGE
        with CancelScope(shield=True):
            self._attempt.usage = await off_loop(size, _probable, call, said)
        self.record.usage_is_estimated = True


def _probable(call: Call, said: str) -> Usage:
    prompt = count_messages(call.messages, call.model).tokens
    return Usage(prompt_tokens=prompt, completion_tokens=estimate_text_tokens(said))


def _nothing() -> StreamEvent | None:
    """Of a stream that does not know what has come already; waiting for a piece takes a timer."""
    return None


async def _close(source: AnswerStream) -> None:
    with CancelScope(shield=True):
        await asyncio.wait((asyncio.ensure_future(source.aclose()),), timeout=_CLOSING)

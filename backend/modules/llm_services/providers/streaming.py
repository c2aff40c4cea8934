"""A provider's stream on its way to the executor: piece by piece, then the whole reply."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import BaseModel

from modules.llm_services.bulk import LARGE, off_loop
from modules.llm_services.exceptions import LLMBadResponseError, LLMError, LLMStreamCutError
from modules.llm_services.types import ToolSpec
from modules.llm_services.types.stream import StreamEvent, TextDelta

from .base import Reply
from .formats.sse import EventReader, EventTooLongError, ServerEvent
from .formats.streams import StreamReader
from .key_mask import KeyMask
from .verdict import usable_in_thread

_LAST_WORDS = 0.05  # seconds that the end of a response may take behind its last event


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What is known before the first piece."""

    http_status: int
    provider_request_id: str | None
    dropped_params: tuple[str, ...]
    output_type: type[BaseModel] | None
    mask: KeyMask
    tools: Sequence[ToolSpec] = ()


class ProviderStream:
    """One open stream. Iterating it gives pieces; when it ends well, ``reply`` is there.

    ``whole`` is the reply of an endpoint that was asked for a stream and answered at once: it
    comes as one piece.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        reader: StreamReader,
        facts: StreamFacts,
        close: Callable[[], Awaitable[None]],
        whole: Reply | None = None,
    ) -> None:
        self._chunks = chunks
        self._events = EventReader()
        self._arrived: Iterator[ServerEvent] = iter(())
        self._large: ServerEvent | None = None
        self._broken: LLMError | None = None
        self._reader = reader
        self._facts = facts
        self._close = close
        self._early = whole
        self._waiting: deque[StreamEvent] = deque([TextDelta(whole.text)] if whole else ())
        self.reply: Reply | None = None

    @property
    def text(self) -> str:
        """What was handed on so far. More may have come in the same piece of the body."""
        said = self._early.text if self._early else self._reader.text
        unread = (piece.text for piece in self._waiting if isinstance(piece, TextDelta))
        return said.removesuffix("".join(unread))

    def __aiter__(self) -> "ProviderStream":
        return self

    async def __anext__(self) -> StreamEvent:
        """The next piece. Raises `LLMError`, which then knows the text so far."""
        try:
            return await self._next()
        except LLMError as error:
            error.partial_text = said = error.partial_text or self.text or None
            error.status_code = error.status_code or self._facts.http_status
            error.provider_request_id = self._facts.provider_request_id
            await off_loop(len(said or ""), self._facts.mask.error, error)
            raise

    def ready(self) -> StreamEvent | None:
        """A piece that has come already. What is wrong with it is for `__anext__` to say."""
        if not self._waiting:
            self._read_arrived()
        return self._waiting.popleft() if self._waiting else None

    async def _next(self) -> StreamEvent:
        while (piece := self.ready()) is None:
            if self._broken is not None:
                raise self._broken
            if self._reader.done or self._early or not await self._more():
                break
        if piece is not None:
            return piece
        self.reply = await self._whole(self._early or self._reader.reply())
        raise StopAsyncIteration

    def _read_arrived(self) -> None:
        """Read the events that have come, up to one that is large or broken: what comes before it
        is handed on first.
        """
        if self._large or self._broken or self._reader.done:
            return
        try:
            for event in self._arrived:
                if len(event.data) >= LARGE:
                    self._large = event
                    break
                self._waiting.extend(self._reader.feed(event))
                if self._reader.done:
                    break
        except EventTooLongError:
            self._broken = LLMBadResponseError("an event of the stream is too long")
        except LLMError as error:
            self._broken = error

    async def _more(self) -> bool:
        """Read a large event, or wait for bytes; whether there was either."""
        event, self._large = self._large, None
        if event is not None:
            self._waiting.extend(await off_loop(len(event.data), self._reader.feed, event))
            return True
        chunk = await anext(self._chunks, None)
        self._arrived = self._events.feed(chunk or b"")
        return chunk is not None

    async def _whole(self, reply: Reply | None) -> Reply:
        if reply is None:
            raise LLMStreamCutError("the stream ended before the answer did", maybe_billed=True)
        facts = self._facts
        known = replace(
            reply,
            http_status=facts.http_status,
            provider_request_id=reply.provider_request_id or facts.provider_request_id,
            dropped_params=facts.dropped_params,
        )
        return await usable_in_thread(known, facts.output_type, facts.tools)

    async def aclose(self) -> None:
        """Let go of the connection. When the answer has come whole, what little is behind it is
        read first: a connection in the middle of a response cannot serve another.
        """
        if self._reader.done:
            with suppress(TimeoutError, LLMError):
                async with asyncio.timeout(_LAST_WORDS):
                    async for _ in self._chunks:
                        pass
        await self._close()

"""An answer that comes piece by piece."""

from collections.abc import Awaitable, Iterable
from typing import Self

from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.base import Reply
from modules.llm_services.types.stream import StreamEvent, TextDelta


class ScriptedStream:
    """Satisfies ``AnswerStream``: pieces, then the reply, or the error that ends them."""

    def __init__(self, pieces: Iterable[StreamEvent], end: Awaitable[Reply] | LLMError) -> None:
        self._pieces = iter(pieces)
        self._end = end
        self.text = ""
        self.reply: Reply | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        """The next piece."""
        piece = next(self._pieces, None)
        if piece is None:
            await self._finish()
            raise StopAsyncIteration
        self.text += piece.text if isinstance(piece, TextDelta) else ""
        return piece

    async def _finish(self) -> None:
        if isinstance(self._end, LLMError):
            self._end.partial_text = self.text or None
            raise self._end
        self.reply = await self._end

    async def aclose(self) -> None:
        """There is no connection; a verdict that nobody asked for is dropped."""
        close = getattr(self._end, "close", None)
        if close is not None:
            close()

"""THE ROAD: record, remember, try, price. Every kind of call goes down it; it knows no provider
and no SQL.

::

    run(call, invoke)
      recording(call)      the row is `pending` before the first byte leaves
        once               the answer is in the cache, or another call is getting it, or:
        models             the one that was asked, then, for a reason, those that follow it
        attempts           one loop, one deadline; only what may be repeated is repeated
          gate             is the provider up, is there room: if not, nothing is sent
          invoke           the provider's part: exactly one HTTP request
          price            each attempt that reported tokens, also a failed one
      recording closes     status, tokens, cost, error: whatever happened
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias, TypeVar

from anyio import CapacityLimiter

from .cache import MemoryStore
from .exceptions import (
    LLMAuthenticationError,
    LLMCircuitOpenError,
    LLMError,
    LLMNotFoundError,
    LLMQuotaExceededError,
    LLMTimeoutError,
    LLMValidationError,
)
from .gate import OPEN_GATE, Gate, Passage
from .pricing import PriceList
from .providers.base import Attempt, Correction, OpenStream, Reply
from .recorded_stream import RecordedStream, Replay, no_attempt
from .recording import AttemptRecord, CallRecord, Outcome, Recorder
from .remembering import Remembering
from .retry import RetryBudget, within
from .routing import following, seconds_for
from .together import all_of
from .types import Call

T = TypeVar("T")
Invoke: TypeAlias = Callable[[Call, Attempt], Awaitable[Reply]]
Pause: TypeAlias = Callable[[float], Awaitable[None]]
Once: TypeAlias = Callable[[Call, AttemptRecord, Attempt, Passage], Awaitable[T]]
_CONCERNS_ALL = (
    LLMAuthenticationError,
    LLMCircuitOpenError,
    LLMNotFoundError,
    LLMQuotaExceededError,
)


class Executor:
    """Runs calls. One per process and database; calls share nothing but the ledger's writer.

    ``pause`` waits the seconds between two attempts.
    """

    def __init__(
        self,
        recorder: Recorder,
        prices: PriceList,
        remembering: Remembering | None = None,
        gate: Gate | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._recorder = recorder
        self._prices = prices
        self._remembering = remembering or Remembering(MemoryStore(0), {})
        self._gate = gate or Gate()
        self._pause = pause

    async def run(self, call: Call, invoke: Invoke) -> Outcome:
        """One call from its row to its answer. Raises `LLMError` or a cancellation, only."""
        async with self._recorder.recording(call) as record:

            async def ask() -> list[Reply]:
                return [await self._answer(call, invoke, record)]

            [reply] = await self._remembering.once(call, record, ask)
            record.completed(reply)
        return Outcome.of(record, reply)

    async def run_parts(self, call: Call, parts: Sequence[Invoke], at_once: int = 4) -> list[Reply]:
        """One call made of several requests side by side, in one row: all of them, or an error.

        Every part has the call's retries, all have its deadline; replies come in the order of the
        parts. The first part that fails for good cancels the others.
        """
        limiter = CapacityLimiter(at_once)
        async with self._recorder.recording(call) as record:

            async def answer(part: int | None, invoke: Invoke) -> Reply:
                async with limiter:
                    return await self._answer(call, invoke, record, part)

            async def ask() -> list[Reply]:
                return await all_of(answer(part, invoke) for part, invoke in _numbered(parts))

            replies = await self._remembering.once(call, record, ask)
            record.completed_in_parts(replies)
        return replies

    async def run_apart(
        self, call: Call, parts: Sequence[Invoke], at_once: int = 4
    ) -> list[Reply | LLMError]:
        """The same for parts that are worth something by themselves: what was paid for is kept.

        The error of a part that fails for good stands in its place, and the others go on until the
        one deadline. What would fail every part keeps those that are waiting from being sent. The
        call fails when all of its parts do.
        """
        limiter = CapacityLimiter(at_once)
        concerns_all: list[LLMError] = []
        async with self._recorder.recording(call) as record:

            async def outcome(part: int | None, invoke: Invoke) -> Reply | LLMError:
                async with limiter:
                    if concerns_all or record.milliseconds >= call.timeout * 1000:
                        return concerns_all[0] if concerns_all else _too_late(call)
                    try:
                        return await self._answer(call, invoke, record, part)
                    except LLMError as error:
                        concerns_all.extend([error] if isinstance(error, _CONCERNS_ALL) else ())
                        return error

            outcomes = await all_of(outcome(part, invoke) for part, invoke in _numbered(parts))
            _require_an_answer(outcomes, concerns_all)
            record.completed_in_parts(outcomes)
        return outcomes

    async def unrecorded(self, call: Call, once: Callable[[Call, Attempt], Awaitable[T]]) -> T:
        """An exchange that asks no model anything, such as an upload: the same retries, no row."""

        async def attempt(
            call: Call, _record: AttemptRecord, request: Attempt, _passage: Passage
        ) -> T:
            return await once(call, request)

        return await self._try(call, CallRecord(call), attempt, gate=OPEN_GATE)

    @asynccontextmanager
    async def stream(self, call: Call, open_stream: OpenStream) -> AsyncIterator[RecordedStream]:
        """One call whose answer is read piece by piece inside the context.

        Everything up to the first piece is an attempt like any other and may be repeated; after
        it nothing is. The row is closed when the context is left, however that happens: completed
        when the stream was read to its end, failed by its error, else cancelled with the text so
        far and the tokens that it probably took.
        """
        async with self._recorder.recording(call) as record:
            stream = await self._replayed(call, record)
            stream = stream or await self._first_piece(call, open_stream, record)
            try:
                yield stream
            finally:
                await stream.settle()
            await self._remembering.keep(call, record, stream.reply)

    async def _answer(
        self, call: Call, invoke: Invoke, record: CallRecord, part: int | None = None
    ) -> Reply:
        async def once(
            asked: Call, attempt: AttemptRecord, request: Attempt, passage: Passage
        ) -> Reply:
            reply = await invoke(asked, request)
            passage.close(reply.usage)
            attempt.answered(reply)
            attempt.price_by(self._prices, asked, reply)
            return reply

        return await self._try(call, record, once, part)

    async def _replayed(self, call: Call, record: CallRecord) -> RecordedStream | None:
        reply = await self._remembering.replay(call, record)
        if reply is None:
            return None
        stream = RecordedStream(call, record, self._prices, no_attempt(record), Replay(reply))
        await stream.begin()
        return stream

    async def _first_piece(
        self, call: Call, open_stream: OpenStream, record: CallRecord
    ) -> RecordedStream:
        async def once(
            asked: Call, attempt: AttemptRecord, request: Attempt, passage: Passage
        ) -> RecordedStream:
            source = await open_stream(asked, request)
            stream = RecordedStream(asked, record, self._prices, attempt, source, passage)
            await stream.begin()
            return stream

        return await self._try(call, record, once)

    async def _try(
        self,
        call: Call,
        record: CallRecord,
        once: Once[T],
        part: int | None = None,
        gate: Gate | None = None,
        failure: LLMError | None = None,
    ) -> T:
        """One model after the other until one answers, or no other may be asked."""
        try:
            return await self._ask(call, record, once, part, gate or self._gate, failure)
        except LLMError as error:
            another = following(call, error)
            if another is None:
                raise
            failure = error
        return await self._try(another, record, once, part, gate, failure)

    async def _ask(
        self,
        call: Call,
        record: CallRecord,
        once: Once[T],
        part: int | None,
        gate: Gate,
        failure: LLMError | None,
    ) -> T:
        """The one retry loop: attempts until one succeeds, or nothing more may be tried."""
        deadline = record.started + call.timeout
        budget = RetryBudget(call.max_retries, deadline, resend=call.resend)
        if call.fallback:
            budget.deadline -= budget.seconds_left - seconds_for(call, budget.seconds_left)
        correction = None
        while True:
            if failure is not None:
                await self._recorder.cover(record, failure)
            passage = await gate.enter(call, budget.seconds_left, failure)
            attempt = record.begin_attempt(part, call)
            request = Attempt(
                number=attempt.number, seconds_left=budget.seconds_left, correction=correction
            )
            try:
                return await self._attempt(call, attempt, once, request, passage)
            except LLMError as error:
                wait = budget.wait_after(error)
                if wait is None:
                    raise
                correction, failure = _correction(error) or correction, error
            await self._pause(wait)

    async def _attempt(
        self,
        call: Call,
        attempt: AttemptRecord,
        once: Once[T],
        request: Attempt,
        passage: Passage,
    ) -> T:
        try:
            result = await within(
                request.seconds_left, once(call, attempt, request, passage), call.timeout
            )
        except LLMError as error:
            attempt.failed(error)
            attempt.price_by(self._prices, call)
            passage.failed(error)
            raise
        except BaseException:
            attempt.interrupted()
            passage.close()
            raise
        passage.answered()
        return result


def _numbered(parts: Sequence[Invoke]) -> Iterable[tuple[int | None, Invoke]]:
    """Parts and their numbers from 1, by which attempts tell them apart; one alone has none."""
    return enumerate(parts, 1) if len(parts) > 1 else [(None, part) for part in parts]


def _require_an_answer(outcomes: Sequence[Reply | LLMError], telling: Sequence[LLMError]) -> None:
    errors = [one for one in outcomes if isinstance(one, LLMError)]
    if len(errors) == len(outcomes):
        raise (telling or errors)[0]


def _too_late(call: Call) -> LLMError:
    return LLMTimeoutError(f"not sent within the deadline of {call.timeout:g} s")


def _correction(error: LLMError) -> Correction | None:
    if isinstance(error, LLMValidationError):
        return Correction(text=error.last_text or "", problem=error.message)
    return None

"""THE ROAD: record, try, price. Every kind of call goes down it; it knows no provider and no SQL.

::

    run(call, invoke)
      recording(call)      the row is `pending` before the first byte leaves
        attempts           one loop, one deadline; only what may be repeated is repeated
          invoke           the provider's part: exactly one HTTP request
          price            each attempt that reported tokens, also a failed one
      recording closes     status, tokens, cost, error: whatever happened
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

from anyio import CapacityLimiter

from .exceptions import LLMError, LLMTimeoutError, LLMValidationError
from .pricing import PriceList
from .providers.base import Attempt, Correction, OpenStream, Reply
from .recorded_stream import RecordedStream
from .recording import AttemptRecord, CallRecord, Recorder
from .retry import RetryBudget
from .types import Call, Usage

T = TypeVar("T")
Invoke: TypeAlias = Callable[[Call, Attempt], Awaitable[Reply]]
Once: TypeAlias = Callable[[AttemptRecord, Attempt], Awaitable[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A reply with what the whole call took: tokens and USD of all attempts, milliseconds."""

    reply: Reply
    usage: Usage | None
    cost: Decimal | None
    milliseconds: int
    attempts: int


class Executor:
    """Runs calls. One per process and database; calls share nothing but the ledger's writer."""

    def __init__(self, recorder: Recorder, prices: PriceList) -> None:
        self._recorder = recorder
        self._prices = prices

    async def run(self, call: Call, invoke: Invoke) -> Outcome:
        """One call from its row to its answer. Raises `LLMError` or a cancellation, only."""
        async with self._recorder.recording(call) as record:
            reply = await self._answer(call, invoke, record)
            record.completed(reply)
        return Outcome(
            reply=reply,
            usage=record.usage,
            cost=record.cost,
            milliseconds=record.milliseconds,
            attempts=len(record.attempts),
        )

    async def run_parts(self, call: Call, parts: Sequence[Invoke], at_once: int = 4) -> list[Reply]:
        """One call made of several requests side by side, in one row: all of them, or an error.

        Every part has the call's retries, all have its deadline; replies come in the order of the
        parts. The first part that fails for good cancels the others.
        """
        limiter = CapacityLimiter(at_once)
        async with self._recorder.recording(call) as record:

            async def answer(invoke: Invoke) -> Reply:
                async with limiter:
                    return await self._answer(call, invoke, record)

            replies = await _all(answer(invoke) for invoke in parts)
            record.completed_in_parts(replies)
        return replies

    async def unrecorded(self, call: Call, once: Callable[[Call, Attempt], Awaitable[T]]) -> T:
        """An exchange that asks no model anything, such as an upload: the same retries, no row."""

        async def attempt(_record: AttemptRecord, request: Attempt) -> T:
            return await once(call, request)

        return await self._try(call, CallRecord(call), attempt)

    @asynccontextmanager
    async def stream(self, call: Call, open_stream: OpenStream) -> AsyncIterator[RecordedStream]:
        """One call whose answer is read piece by piece inside the context.

        Everything up to the first piece is an attempt like any other and may be repeated; after
        it nothing is. The row is closed when the context is left, however that happens: completed
        when the stream was read to its end, failed by its error, else cancelled with the text so
        far and the tokens that it probably took.
        """
        async with self._recorder.recording(call) as record:
            stream = await self._first_piece(call, open_stream, record)
            try:
                yield stream
            finally:
                await stream.settle()

    async def _answer(self, call: Call, invoke: Invoke, record: CallRecord) -> Reply:
        async def once(attempt: AttemptRecord, request: Attempt) -> Reply:
            reply = await invoke(call, request)
            attempt.answered(reply)
            attempt.price_by(self._prices, call, reply)
            return reply

        return await self._try(call, record, once)

    async def _first_piece(
        self, call: Call, open_stream: OpenStream, record: CallRecord
    ) -> RecordedStream:
        async def once(attempt: AttemptRecord, request: Attempt) -> RecordedStream:
            source = await open_stream(call, request)
            stream = RecordedStream(call, record, self._prices, attempt, source)
            await stream.begin()
            return stream

        return await self._try(call, record, once)

    async def _try(self, call: Call, record: CallRecord, once: Once[T]) -> T:
        """The one retry loop: attempts until one succeeds, or nothing more may be tried."""
        budget = RetryBudget(call.max_retries, record.started + call.timeout, resend=call.resend)
        correction = None
        while True:
            try:
                return await self._attempt(call, record, once, budget.seconds_left, correction)
            except LLMError as error:
                wait = budget.wait_after(error)
                if wait is None:
                    raise
                correction = _correction(error) or correction
            await asyncio.sleep(wait)

    async def _attempt(
        self,
        call: Call,
        record: CallRecord,
        once: Once[T],
        seconds: float,
        correction: Correction | None,
    ) -> T:
        attempt = record.begin_attempt()
        request = Attempt(number=attempt.number, seconds_left=seconds, correction=correction)
        try:
            return await _within(seconds, once(attempt, request), call)
        except LLMError as error:
            attempt.failed(error)
            attempt.price_by(self._prices, call)
            raise
        except BaseException:
            attempt.interrupted()
            raise


async def _all(answers: Iterable[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """All answers in order; the first error ends the others and comes out as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer) for answer in answers]
    except ExceptionGroup as errors:  # not `except*`: it wraps what is raised inside it again
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _within(seconds: float, answer: Awaitable[T], call: Call) -> T:
    """The answer, or an error of ours: the deadline's, or a wrapped one that nobody foresaw."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise LLMTimeoutError(
            f"no answer within the deadline of {call.timeout:g} s", maybe_billed=True
        ) from None
    except LLMError:
        raise
    except Exception as error:
        raise LLMError(
            f"unexpected {type(error).__name__} while calling the provider", maybe_billed=True
        ) from error


def _correction(error: LLMError) -> Correction | None:
    if isinstance(error, LLMValidationError):
        return Correction(text=error.last_text or "", problem=error.message)
    return None

"""Opens a call's row before anything is sent, and closes it whatever happens in between."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, NoReturn

from anyio import CancelScope

from modules.llm_services.bulk import off_loop, weight
from modules.llm_services.exceptions import LLMBudgetExceededError, LLMError, LLMRecordingError
from modules.llm_services.telemetry import Telemetry, log_call
from modules.llm_services.types import Call, RequestStatus

from .budgets import Budgets
from .guarded import GuardedOpening
from .payload import PayloadPolicy
from .record import CallRecord
from .rows import opening_row, outcome
from .under_way import UnderWay
from .writer import LedgerWriter
from .writes import Write

logger = logging.getLogger(__name__)

_HEARINGS = 5  # of one patience each
_HELD_UP = 0.1  # seconds by which a timer is late when the loop had too much to do
_UNSEEN = nullcontext()  # what a call is in that nobody watches


class Recorder:
    """Turns calls into rows. ``patience`` is how many seconds a call waits for its row."""

    def __init__(
        self,
        writer: LedgerWriter,
        *,
        patience: float,
        policy: PayloadPolicy | None = None,
        guarded: GuardedOpening | None = None,
        budgets: Budgets | None = None,
        log_calls: bool = False,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._writer = writer
        self._policy = policy or PayloadPolicy()
        self._guarded = guarded
        self._budgets = budgets
        self._patience = patience
        self._log_calls = log_calls
        self._telemetry = telemetry or Telemetry(enabled=False)
        self.under_way = UnderWay()

    @asynccontextmanager
    async def recording(self, call: Call) -> AsyncIterator[CallRecord]:
        """One row for what happens inside.

        The row is durable as ``pending`` before the body runs, in the database or, while that is
        away, in the spool; if neither takes it, the body does not run and `LLMRecordingError`
        says why. However the body ends, the row gets its outcome:
        the record says ``completed``, an `LLMError` makes it ``failed``, a cancellation
        ``cancelled``. The outcome is in the writer's hands before the caller goes on, so that
        neither a second cancellation nor a closed event loop can lose it.
        """
        observed = self._telemetry.observe(call)
        with self.under_way.one(), observed or _UNSEEN:
            record = CallRecord(observed.call if observed else call, observation=observed)
            async with self._row(record):
                yield record

    @asynccontextmanager
    async def _row(self, record: CallRecord) -> AsyncIterator[CallRecord]:
        await self._open(record)
        try:
            yield record
        except LLMError as error:
            record.failed(error)
            raise
        except BaseException:  # a cancellation, or the interpreter on its way out
            record.cancelled()
            raise
        finally:
            await self._close(record)

    async def _open(self, record: CallRecord) -> None:
        over = await self._reserve(record)
        row = await off_loop(weight(record.call.messages), opening_row, record, self._policy)
        if record.observation is not None:
            record.observation.opened(row)
        await (self._refuse(record, row, over) if over else self._open_row(record, row))

    async def _open_row(self, record: CallRecord, row: dict[str, Any]) -> None:
        if self._guarded is not None and (record.call.claim or record.reservation):
            await self._open_guarded(record, row, self._guarded)
        else:
            await self._open_freely(record, row)

    async def _reserve(self, record: CallRecord) -> LLMBudgetExceededError | None:
        """Work out what a call under a budget may take; why it may not be made at all."""
        call, budgets = record.call, self._budgets
        if budgets is None or not budgets.accounts(call.attribution, record.created_at):
            return None
        try:
            record.reservation = await asyncio.to_thread(
                budgets.reservation, call, record.created_at
            )
        except LLMBudgetExceededError as refusal:
            return refusal
        return None

    async def _refuse(
        self, record: CallRecord, row: dict[str, Any], refusal: LLMBudgetExceededError
    ) -> NoReturn:
        """A call that its budget has no room for has a row, too, which holds nothing of it."""
        record.reservation = None
        record.failed(refusal)
        self._writer.open({**row, "reservation": None, "idempotency_key": None})
        await self._close(record)
        raise refusal

    async def cover(self, record: CallRecord, failure: LLMError) -> None:
        """Reserve what one more request may take when those that failed may have been paid.

        Raises the ``failure`` that the call has met with when its budgets have no room for that.
        """
        if record.is_covered or record.reservation is None or self._guarded is None:
            return
        record.requests_covered += 1
        reserving = self._guarded.reserve(record.call.id, record.reservation)
        done, _ = await asyncio.wait((reserving,), timeout=self._patience)
        refusal = reserving.result() if done else LLMRecordingError("no word of the ledger in time")
        if isinstance(refusal, LLMBudgetExceededError) or (refusal and not self._is_lenient):
            record.requests_covered -= 1
            raise failure from refusal

    def _may_go_uncounted(self, record: CallRecord) -> bool:
        """Whether a call passes although its budgets cannot be looked at."""
        pending = record.status is RequestStatus.PENDING
        return self._is_lenient and pending and record.call.claim is None

    @property
    def _is_lenient(self) -> bool:
        return self._budgets is not None and self._budgets.lenient

    async def _open_freely(self, record: CallRecord, row: dict[str, Any]) -> None:
        write = self._writer.open(row)
        try:
            refusal = await write.done
        except asyncio.CancelledError:
            record.cancelled()
            await self._close(record)
            raise
        if refusal is not None:
            if write.given_up:  # it may come to be although nobody waits for it: leave none open
                record.failed(refusal)
                self._settle(record)
            raise refusal

    async def _in_time(self, done: asyncio.Future[Any]) -> bool:
        """Whether the ledger has said something, yes or no, while it was waited for.

        Patience is for the ledger. While the loop itself is held up, by thousands of calls that
        begin together, nobody waits: what the ledger said meanwhile is still to be heard.
        """
        loop, hearings, is_late = asyncio.get_running_loop(), _HEARINGS, True
        while is_late and hearings and not done.done():
            due = loop.time() + self._patience
            await asyncio.wait((done,), timeout=self._patience)
            is_late = loop.time() - due >= _HELD_UP
            hearings -= 1
        return done.done()

    async def _open_guarded(
        self, record: CallRecord, row: dict[str, Any], guarded: GuardedOpening
    ) -> None:
        """The same for a row that the ledger may refuse. It never waits in the spool."""
        opening = guarded.open(row, record.reservation)
        try:
            is_told = await self._in_time(opening)
        except asyncio.CancelledError:
            record.cancelled()
            opening.add_done_callback(lambda _: self._settle(record))
            with CancelScope(shield=True):
                await asyncio.wait((opening,), timeout=self._patience)
            raise
        if is_told:
            refusal = opening.result()
        else:
            refusal = LLMRecordingError(
                f"the ledger's database did not take the row within {self._patience:g} s"
            )
            record.failed(refusal)
            opening.add_done_callback(lambda _: self._settle(record))
        if isinstance(refusal, LLMBudgetExceededError):
            await self._refuse(record, row, refusal)
        if isinstance(refusal, LLMRecordingError) and self._may_go_uncounted(record):
            record.reservation = None
            await self._open_freely(record, {**row, "reservation": None})
        elif refusal is not None:
            raise refusal

    def _settle(self, record: CallRecord, row: dict[str, Any] | None = None) -> Write:
        row = row or outcome(record, self._policy)
        if record.observation is not None:
            record.observation.settled(row)
        if self._log_calls:
            log_call(record.call, row)
        return self._writer.settle(row)

    async def _close(self, record: CallRecord) -> None:
        row = None
        with CancelScope(shield=True):
            try:
                row = await off_loop(len(record.said or ""), outcome, record, self._policy)
            finally:  # also when it is cancelled once more
                write = self._settle(record, row)
            refusal = await write.done
        if refusal is not None:
            logger.error("the outcome of request %s is not recorded: %s", record.call.id, refusal)

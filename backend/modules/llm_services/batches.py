"""The road of a batch: rows first, then the file and the order; much later, answer by answer.

::

    submit(batch, calls, desk)
      desk.write           every line on disk before there is a row: bad input costs nothing
      submitting(calls)    all rows are `pending` before the first byte leaves, or all have failed
        desk.upload, desk.order
    collect(batch, …)      hours later, perhaps in another process
      desk.lines           a group at a time
      price, settle        each row gets its one outcome; a row that has it already is left alone
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from pydantic import BaseModel

from .exceptions import LLMError, LLMInputError, LLMNotFoundError, LLMProviderError
from .executor import Executor
from .pricing import PriceList
from .providers.base import BatchAtVendor, BatchLine, HandlesBatches, Reply
from .recording import BatchLedger, CallRecord, Outcome, record_of
from .repo import BatchRow
from .types import Call, mode_of

logger = logging.getLogger(__name__)

_GROUP = 100
_TIER = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAnswer:
    """How one call of a batch ended: an outcome, or an error."""

    key: str
    call: Call
    outcome: Outcome | None = None
    error: LLMError | None = None


class BatchRoad:
    """Hands batches over and collects them. Knows no provider and no SQL."""

    def __init__(self, executor: Executor, ledger: BatchLedger, prices: PriceList) -> None:
        self._executor = executor
        self._ledger = ledger
        self._prices = prices

    async def submit(self, batch: Call, calls: Sequence[Call], desk: HandlesBatches) -> str:
        """The provider's id of the batch. Raises `LLMError`; then all rows have failed."""
        with tempfile.TemporaryFile(prefix="llm-batch-") as file:
            written = await desk.write(calls, file)
            async with self._ledger.submitting(calls, written.dropped):
                upload = partial(desk.upload, file=file)
                file_id = await self._executor.unrecorded(batch, upload)
                # A second order would be a second batch, and paid for twice.
                order = partial(desk.order, file_id=file_id, path=written.path)
                ordered = await self._executor.unrecorded(replace(batch, resend=False), order)
        return ordered.status.id

    async def look(self, batch: Call, batch_id: str, desk: HandlesBatches) -> BatchAtVendor:
        """How far a batch is."""
        return await self._executor.unrecorded(batch, partial(desk.look, batch_id=batch_id))

    async def collect(
        self,
        batch: Call,
        batch_id: str,
        desk: HandlesBatches,
        models: Mapping[str, type[BaseModel]],
    ) -> AsyncIterator[LateAnswer]:
        """The answers of a batch that has ended; each row is settled before its answer comes."""
        at_vendor = await self.look(batch, batch_id, desk)
        if not at_vendor.status.ended:
            raise _too_early(at_vendor)
        matching = _Matching(at_vendor, desk, await self._rows(batch, at_vendor, models), models)
        for file_id in at_vendor.files:
            lines = await self._executor.unrecorded(batch, partial(desk.lines, file_id=file_id))
            async for group in _groups(lines):
                # In a thread: answers are validated, perhaps by validators of the caller's.
                ended = await asyncio.to_thread(self._ended, matching.answers, group)
                for answer in await self._settled(ended):
                    yield answer
        ended = await asyncio.to_thread(self._ended, matching.unanswered)
        for answer in await self._settled(ended):
            yield answer

    async def _rows(
        self, batch: Call, at_vendor: BatchAtVendor, models: Mapping[str, type[BaseModel]]
    ) -> dict[UUID, BatchRow]:
        found = await self._ledger.rows(at_vendor.ours) if at_vendor.ours else []
        if not found:
            name = f"{batch.provider}:{at_vendor.status.id}"
            raise LLMNotFoundError(f"the ledger has no rows of the batch {name}")
        missing = {row.answers for row in found if row.answers} - models.keys()
        if missing:
            raise LLMInputError(
                f"response_models lacks {', '.join(sorted(missing))}, which requests of this "
                "batch asked for"
            )
        return {row.id: row for row in found}

    def _ended(
        self, find: Callable[..., list["_Ended"]], *lines: Sequence[BatchLine]
    ) -> list["_Ended"]:
        ended = find(*lines)
        for one in ended:
            self._close(one.record, one.answer)
        return ended

    async def _settled(self, ended: Sequence["_Ended"]) -> list[LateAnswer]:
        await self._ledger.settle([one.record for one in ended if one.row.is_open])
        return [_told(one) for one in ended]

    def _close(self, record: CallRecord, answer: Reply | LLMError) -> None:
        """Tokens cost the batch's price, also those of an answer that cannot be used."""
        attempt, call = record.attempts[-1], record.call
        model = None
        if isinstance(answer, LLMError):
            attempt.failed(answer)
        else:
            attempt.answered(answer)
            model = answer.model
        if attempt.usage is not None:
            attempt.price = self._prices.price(
                call.provider,
                call.model,
                attempt.usage,
                attempt.started_at,
                response_model=model,
                service_tier=_TIER,
            )
        if isinstance(answer, LLMError):
            record.failed(answer)
        else:
            record.completed(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """A row, and what became of its request."""

    row: BatchRow
    record: CallRecord
    answer: Reply | LLMError


class _Matching:
    """Brings the lines of a batch and its rows together, each row once."""

    def __init__(
        self,
        at_vendor: BatchAtVendor,
        desk: HandlesBatches,
        rows: dict[UUID, BatchRow],
        models: Mapping[str, type[BaseModel]],
    ) -> None:
        self._at_vendor, self._desk, self._waiting, self._models = at_vendor, desk, rows, models

    def answers(self, lines: Sequence[BatchLine]) -> list[_Ended]:
        """The rows that these lines answer. Lines of strangers, and second ones, are left out."""
        return [ended for line in lines if (ended := self._answered(line)) is not None]

    def unanswered(self) -> list[_Ended]:
        """The rows that no line spoke of, now that all lines were read."""
        return [
            self._ended(row, self._desk.unanswered(self._at_vendor))
            for row in self._waiting.values()
        ]

    def _answered(self, line: BatchLine) -> _Ended | None:
        row = self._waiting.pop(line.call_id, None) if line.call_id else None
        if row is None:
            logger.warning("a line of a batch answers no request of it")
            return None
        try:
            return self._ended(row, self._desk.reply(self._call(row), line, self._at_vendor.path))
        except LLMError as error:
            return self._ended(row, error)

    def _ended(self, row: BatchRow, answer: Reply | LLMError) -> _Ended:
        if isinstance(answer, Reply):
            answer = replace(answer, dropped_params=row.dropped)
        record = record_of(self._call(row), row.created_at)
        return _Ended(row=row, record=record, answer=answer)

    def _call(self, row: BatchRow) -> Call:
        """The call as far as its outcome needs it: what was asked is on the row."""
        return Call(
            id=row.id,
            operation=row.operation,
            provider=row.provider,
            model=row.model,
            requested_model=None,
            messages=(),
            parameters={},
            timeout=0,
            max_retries=0,
            output_type=self._models[row.answers] if row.answers else None,
            payload_mode=mode_of(row.payload_state),
        )


def _told(ended: _Ended) -> LateAnswer:
    record, answer = ended.record, ended.answer
    if isinstance(answer, LLMError):
        return LateAnswer(key=ended.row.key, call=record.call, error=answer)
    return LateAnswer(key=ended.row.key, call=record.call, outcome=Outcome.of(record, answer))


def _too_early(at_vendor: BatchAtVendor) -> LLMProviderError:
    status = at_vendor.status
    return LLMProviderError(
        f"the batch is {status.status} ({status.completed + status.failed} of {status.total}): "
        "collect it when it has ended",
        code="batch_not_ended",
        retryable=True,
    )


async def _groups(lines: AsyncIterator[BatchLine]) -> AsyncIterator[list[BatchLine]]:
    group: list[BatchLine] = []
    async for line in lines:
        group.append(line)
        if len(group) == _GROUP:
            yield group
            group = []
    if group:
        yield group

"""The rows of a batch: all open before anything is sent, each settled when its answer is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from anyio import CancelScope
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services import repo
from modules.llm_services.exceptions import LLMError, LLMRecordingError
from modules.llm_services.telemetry import Telemetry, log_call
from modules.llm_services.types import Call

from .payload import PayloadPolicy
from .record import CallRecord
from .rows import opening_row, outcome
from .under_way import UnderWay
from .writer import LedgerWriter
from .writes import Write

_GROUP = 500
_LONGEST_LIFE = 2_000_000.0  # seconds; in milliseconds it still fits its column


class BatchLedger:
    """Opens and settles rows of batches through the ledger's writer, and finds them again."""

    def __init__(
        self,
        engine: Engine,
        writer: LedgerWriter,
        *,
        policy: PayloadPolicy | None = None,
        log_calls: bool = False,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._policy = policy or PayloadPolicy()
        self._log_calls = log_calls
        self._telemetry = telemetry or Telemetry(enabled=False)
        self.under_way = UnderWay()

    @asynccontextmanager
    async def submitting(
        self, calls: Sequence[Call], dropped: Mapping[UUID, Sequence[str]]
    ) -> AsyncIterator[None]:
        """All rows are ``pending`` when the body runs; if it fails, all of them have failed.

        When it does not, they stay ``pending``: until `settle`, in this process or another.
        """
        with self.under_way.one():
            async with self._rows([CallRecord(call) for call in calls], dropped):
                yield

    @asynccontextmanager
    async def _rows(
        self, records: Sequence[CallRecord], dropped: Mapping[UUID, Sequence[str]]
    ) -> AsyncIterator[None]:
        sent = False
        try:
            await self._open(records, dropped)
            sent = True
            yield
        except LLMError as error:
            await self._end(records, error, sent=sent)
            raise
        except BaseException:  # a cancellation, or the interpreter on its way out
            await self._end(records, None, sent=sent)
            raise

    async def _open(
        self, records: Sequence[CallRecord], dropped: Mapping[UUID, Sequence[str]]
    ) -> None:
        for start in range(0, len(records), _GROUP):
            group = records[start : start + _GROUP]
            rows = await asyncio.to_thread(self._opening_rows, group, dropped)
            await self._written([self._writer.open(row) for row in rows])

    def _opening_rows(
        self, records: Sequence[CallRecord], dropped: Mapping[UUID, Sequence[str]]
    ) -> list[dict[str, Any]]:
        return [
            {**opening_row(record, self._policy), "dropped_params": _listed(dropped, record)}
            for record in records
        ]

    async def _written(self, writes: Sequence[Write]) -> None:
        done, _ = await asyncio.wait([write.done for write in writes])
        refusal = next((future.result() for future in done if future.result()), None)
        if refusal is not None:
            raise refusal

    async def _end(
        self, records: Sequence[CallRecord], error: LLMError | None, *, sent: bool
    ) -> None:
        """The first row's id is what the error carries when it goes on."""
        for record in reversed(records):
            if sent:
                attempt = record.begin_attempt()
                attempt.interrupted() if error is None else attempt.failed(error)
            record.cancelled() if error is None else record.failed(error)
        settling = asyncio.create_task(self.settle(records))
        with CancelScope(shield=True):
            await asyncio.shield(settling)  # a second cancellation does not stop it

    async def settle(self, records: Sequence[CallRecord]) -> None:
        """Write outcomes. The writer keeps what the database refuses for now, and tries again."""
        for start in range(0, len(records), _GROUP):
            group = records[start : start + _GROUP]
            rows = await asyncio.to_thread(self._outcomes, group)
            writes = [self._settle(*one) for one in zip(group, rows, strict=True)]
            await asyncio.wait([write.done for write in writes])

    def _outcomes(self, records: Sequence[CallRecord]) -> list[dict[str, Any]]:
        return [outcome(record, self._policy) for record in records]

    def _settle(self, record: CallRecord, row: dict[str, Any]) -> Write:
        self._telemetry.settled_late(record.call, row)
        if self._log_calls:
            log_call(record.call, row)
        return self._writer.settle(row)

    async def rows(self, batch_id: UUID) -> list[repo.BatchRow]:
        """The batch's rows, on a connection of their own that is given back at once."""
        return await asyncio.to_thread(self._read, batch_id)

    def _read(self, batch_id: UUID) -> list[repo.BatchRow]:
        try:
            with self._engine.connect() as connection:
                return repo.batch_rows(connection, batch_id)
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise LLMRecordingError(f"the ledger's database did not answer ({cause})") from error


def record_of(call: Call, created_at: datetime) -> CallRecord:
    """The record of a call that was submitted at ``created_at``, with its one attempt."""
    alive = min((datetime.now(UTC) - created_at).total_seconds(), _LONGEST_LIFE)
    record = CallRecord(call, created_at=created_at, started=time.monotonic() - alive)
    attempt = record.begin_attempt()
    attempt.started_at, attempt.started = created_at, record.started
    return record


def _listed(dropped: Mapping[UUID, Sequence[str]], record: CallRecord) -> list[str] | None:
    return list(dropped.get(record.call.id, ())) or None

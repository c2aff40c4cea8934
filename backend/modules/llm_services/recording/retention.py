"""Forgetting, a batch at a time: each in a short transaction of its own, with a pause after it.

Writers get through between two batches. What a run does not reach within its budget is left to
the next one: every batch is committed, and none is done twice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services.exceptions import LLMRecordingError
from modules.llm_services.repo import (
    drop_user_sums,
    give_to_nobody,
    has_sums,
    retention,
    wait_for_others,
)
from modules.llm_services.types import ErasureReport, PurgeReport

from .forking import transaction
from .withheld import numbers, parameters_without_content

T = TypeVar("T")
KeepSums: TypeAlias = Callable[[Connection, date, date], object]
"""Brings the daily sums of the days from one date to another up to date, both included."""

BATCH = 1_000
_PAUSE = 0.05  # seconds between two batches
_PATIENCE = 3  # batches in a row that the database may refuse
_LONGER_PAUSE = 0.5
_DAY = timedelta(days=1)


class LedgerRetention:
    """Purges the ledger through the ledger's own engine. ``keep_sums`` is called in the
    transaction that begins to delete a day's rows.
    """

    def __init__(
        self, engine: Engine, keep_sums: KeepSums | None = None, *, batch: int = BATCH
    ) -> None:
        self._engine = engine
        self._keep_sums = keep_sums
        self._batch = batch

    async def purge(
        self, scrub_before: datetime | None, delete_before: datetime | None, budget: float
    ) -> PurgeReport:
        """Delete rows that began before the one time, scrub those before the other."""
        run = _Run(self._engine, budget)
        try:
            deleted = await self._delete(run, delete_before)
            scrubbed = await self._scrub(run, scrub_before)
            left = 0 if run.in_time else await run.do(_left, scrub_before, delete_before)
        finally:
            await asyncio.to_thread(self._engine.dispose)
        return PurgeReport(scrubbed=scrubbed, deleted=deleted, remaining=left, finished=left == 0)

    async def erase(self, user_id: UUID, budget: float) -> ErasureReport:
        """Take the content and the user from all of a user's rows."""
        run, erased = _Run(self._engine, budget), 0
        try:
            while run.in_time and (done := await run.do(self._erase_some, user_id)):
                erased += done
                await asyncio.sleep(_PAUSE)
            left = 0 if run.in_time else await run.do(_left_of, user_id)
            if not left and (erased or await run.do(has_sums, user_id)):
                await run.do(_forget_sums, user_id)
        finally:
            await asyncio.to_thread(self._engine.dispose)
        return ErasureReport(erased=erased, remaining=left, finished=left == 0)

    async def _delete(self, run: "_Run", before: datetime | None) -> int:
        """Whole days only, the oldest first: a day's sums are made while all its rows are there."""
        if before is None:
            return 0
        end, deleted, begun = _midnight(before), 0, None
        while run.in_time and (oldest := await run.do(retention.oldest_settled, end)):
            day = oldest.date()
            deleted += await run.do(self._delete_some, day, day != begun)
            begun = day
            await asyncio.sleep(_PAUSE)
        return deleted

    def _delete_some(self, connection: Connection, day: date, begins: bool) -> int:  # noqa: FBT001 - handed through a thread
        if begins and self._keep_sums is not None:
            self._keep_sums(connection, day, day)
        if begins:
            drop_user_sums(connection, date.min, day)  # who used what goes with the rows
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + _DAY
        return retention.delete_some(connection, end, self._batch)

    async def _scrub(self, run: "_Run", before: datetime | None) -> int:
        scrubbed: int = 0
        after: retention.Cursor | None = None
        while before is not None and run.in_time:
            rows = await run.do(self._scrub_some, before, after)
            if not rows:
                break
            scrubbed, after = scrubbed + len(rows), (rows[-1].created_at, rows[-1].id)
            await asyncio.sleep(_PAUSE)
        return scrubbed

    def _scrub_some(
        self, connection: Connection, before: datetime, after: retention.Cursor | None
    ) -> Sequence[Row[Any]]:
        rows = retention.with_content(connection, before, after, self._batch)
        if rows:
            retention.scrub(connection, _without_content(rows), nobodys=False)
        return rows

    def _erase_some(self, connection: Connection, user_id: UUID) -> int:
        rows = retention.of_user(connection, user_id, self._batch)
        if rows:
            retention.scrub(connection, _without_content(rows), nobodys=True)
        return len(rows)


class _Run:
    """One run within its budget in seconds: its work is done in threads, a transaction each."""

    def __init__(self, engine: Engine, budget: float) -> None:
        self._engine = engine
        self._ends = time.monotonic() + budget

    @property
    def in_time(self) -> bool:
        return time.monotonic() < self._ends

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """The work's result; a database that is busy is asked again after a while."""
        refusals = 0
        while True:
            try:
                return await asyncio.to_thread(self._transact, work, *arguments)
            except SQLAlchemyError as error:
                refusals += 1
                if refusals == _PATIENCE:
                    raise _unanswered(error) from error
            await asyncio.sleep(_LONGER_PAUSE)

    def _transact(self, work: Callable[..., T], *arguments: Any) -> T:
        with transaction(self._engine) as connection:
            retention.be_brief(connection)
            return work(connection, *arguments)


def _forget_sums(connection: Connection, user_id: UUID) -> None:
    wait_for_others(connection)  # a day that is being made anew may still have read the user
    give_to_nobody(connection, user_id)


def _unanswered(error: SQLAlchemyError) -> LLMRecordingError:
    cause = type(getattr(error, "orig", None) or error).__name__
    return LLMRecordingError(
        f"the ledger's database did not answer ({cause}); what was done before is committed"
    )


def _without_content(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    return [
        {
            "row_id": row.id,
            "params": parameters_without_content(row.additional_params),
            "counted": numbers(row.usage_details),
        }
        for row in rows
    ]


def _left(
    connection: Connection, scrub_before: datetime | None, delete_before: datetime | None
) -> int:
    """Requests that are still due for either; none is counted twice."""
    left = 0
    if delete_before is not None:
        end = _midnight(delete_before)
        left += retention.how_many(connection, *retention.due_for_deletion(end))
    if scrub_before is not None:
        since = () if delete_before is None else retention.since(_midnight(delete_before))
        left += retention.how_many(connection, *retention.due_for_scrubbing(scrub_before), *since)
    return left


def _left_of(connection: Connection, user_id: UUID) -> int:
    return retention.how_many(connection, *retention.users(user_id))


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

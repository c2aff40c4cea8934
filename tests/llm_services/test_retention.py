"""The ledger forgets: content by age, rows by age, users on request; sums stay."""

import asyncio
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, func, insert, select

from modules.llm_services.exceptions import LLMInputError, LLMRecordingError
from modules.llm_services.ids import uuid7
from modules.llm_services.models import LLMRequest
from modules.llm_services.public import (
    BatchRequest,
    LLMMessageDTO,
    open_llm_services,
    open_llm_services_admin,
)
from modules.llm_services.recording import LedgerRetention, ledger_engine
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.support.ledger import rows
from tests.support.migrations import downgrade

NOW = datetime.now(UTC)
ASKED = [LLMMessageDTO(role="user", content="Tell me about lava.")]
TABLE = LLMRequest.metadata.tables[LLMRequest.__tablename__]


def a_row(days: float, **changes: Any) -> dict[str, Any]:
    """A settled row that is so many days old, full of content."""
    plain = {
        "id": uuid7(),
        "user_id": uuid4(),
        "created_at": NOW - timedelta(days=days),
        "status": "completed",
        "payload_state": "full",
        "provider": "openai",
        "model": "gpt-4o",
        "tokens_used": 12,
        "cost_estimate": 0.5,
        "error_message": "quoted words",
        "conversation_id": "chat of Ann",
        "input_preview": "words",
        "output_preview": "words",
        "additional_params": {"stop": "words", "top_p": 0.5},
        "usage_details": {"prompt": 7, "note": "Some words"},
        "attempts": [{"n": 1}],
        "context_data": {"words": "words"},
        "response_content": "words",
        "messages": [{"role": "user", "content": "words"}],
        "response_raw": {"id": "words"},
    }
    return plain | changes


def store(*made: dict[str, Any]) -> None:
    """Write rows as the ledger holds them."""
    with get_engine().begin() as connection:
        connection.execute(insert(TABLE), made)


def retention(batch: int = 2, keep_sums: Any = None) -> LedgerRetention:
    """What purges the test's database, in small batches."""
    return LedgerRetention(ledger_engine(get_engine(), 5), keep_sums, batch=batch)


def ages() -> Sequence[int]:
    """How many days old the rows are that are left."""
    statement = select(TABLE.c.created_at).order_by(TABLE.c.created_at)
    with get_engine().connect() as connection:
        return [round((NOW - at) / timedelta(days=1)) for at in connection.scalars(statement)]


def totals() -> tuple[int, float]:
    """Tokens and USD of the whole ledger."""
    sums = select(func.sum(TABLE.c.tokens_used), func.sum(TABLE.c.cost_estimate))
    with get_engine().connect() as connection:
        tokens, cost = connection.execute(sums).one()
    return tokens, cost


def states() -> Sequence[str]:
    """What became of the content of every row, oldest first."""
    return [row["payload_state"] for row in rows()]


async def test_content_goes_by_age_and_sums_stay(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old rows lose what anybody said and keep what it cost; younger ones are not touched."""
    monkeypatch.setenv("LLM_PAYLOAD_RETENTION_DAYS", "30")
    store(a_row(40), a_row(31), a_row(29), a_row(50, payload_state="none"))
    before = totals()
    async with open_llm_services_admin() as admin:
        report = await admin.purge()
        again = await admin.purge()
    assert (report.scrubbed, report.deleted, report.remaining, report.finished) == (2, 0, 0, True)
    assert (again.scrubbed, again.finished) == (0, True)
    assert totals() == before
    assert states() == ["none", "purged", "purged", "full"]
    _, old, _, young = rows()
    assert "words" not in json.dumps({**old, "context": None}, default=str)
    assert (old["tokens_used"], old["cost_estimate"], old["user_id"]) != (None, None, None)
    assert "0.5" in str(old["additional_params"])
    assert young["response_content"] == "words"


async def test_without_settings_nothing_is_forgotten(database_url: str) -> None:
    """Nothing is removed that nobody asked to have removed."""
    store(a_row(4_000))
    async with open_llm_services_admin() as admin:
        report = await admin.purge()
    assert (report.scrubbed, report.deleted, report.finished) == (0, 0, True)
    assert states() == ["full"]


async def test_rows_go_by_whole_days(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows older than allowed are deleted; those that may still be answered are not."""
    monkeypatch.setenv("LLM_ROW_RETENTION_DAYS", "365")
    monkeypatch.setenv("LLM_PAYLOAD_RETENTION_DAYS", "100")
    store(a_row(400), a_row(367), a_row(364), a_row(500, status="pending"), a_row(1))
    async with open_llm_services_admin() as admin:
        report = await admin.purge()
    assert (report.deleted, report.scrubbed, report.finished) == (2, 1, True)
    assert ages() == [500, 364, 1]
    assert states() == ["full", "purged", "full"]


async def test_the_sums_of_a_day_are_made_before_its_rows_go(database_url: str) -> None:
    """Once for each day, in the transaction that deletes, with all the day's rows in sight."""
    asked: list[tuple[date, date, int]] = []

    def keep(connection: Connection, first: date, last: date) -> None:
        seen = connection.scalars(select(func.count()).select_from(TABLE)).one()
        asked.append((first, last, seen))

    store(*(a_row(days) for days in (10, 10, 10, 9, 2)))
    report = await retention(keep_sums=keep).purge(None, NOW - timedelta(days=5), 60)
    tenth, ninth = ((NOW - timedelta(days=days)).date() for days in (10, 9))
    assert asked == [(tenth, tenth, 5), (ninth, ninth, 2)]
    assert (report.deleted, ages()) == (4, [2])


async def test_sums_that_cannot_be_made_keep_the_rows(database_url: str) -> None:
    """If the rollup fails, nothing of its day is deleted."""

    def fail(connection: Connection, _first: date, _last: date) -> None:
        connection.exec_driver_sql("SELECT * FROM no_such_table")

    store(a_row(10))
    with pytest.raises(LLMRecordingError, match="committed"):
        await retention(keep_sums=fail).purge(None, NOW, 60)
    assert ages() == [10]


async def test_a_small_budget_is_kept_and_the_rest_is_told(database_url: str) -> None:
    """A run that ends early says what is left; further runs finish the work."""
    store(*(a_row(days) for days in (40, 39, 38, 9, 8, 7, 1)))
    kept = retention()
    before, deleted = NOW - timedelta(days=5), NOW - timedelta(days=20)
    first = await kept.purge(before, deleted, 1e-9)
    assert (first.scrubbed, first.deleted, first.remaining, first.finished) == (0, 0, 6, False)
    only_content = await kept.purge(before, None, 1e-9)
    assert only_content.remaining == 6
    only_rows = await kept.purge(None, deleted, 1e-9)
    assert only_rows.remaining == 3
    last = await kept.purge(before, deleted, 60)
    assert (last.scrubbed, last.deleted, last.remaining, last.finished) == (3, 3, 0, True)


async def test_a_run_that_is_cancelled_keeps_what_it_did(database_url: str) -> None:
    """Each batch is committed by itself; another run goes on from there."""
    store(*(a_row(40 + n / 1_000) for n in range(20)))
    task = asyncio.create_task(retention(batch=1).purge(NOW, None, 60))
    async with asyncio.timeout(60):
        while "purged" not in states():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    report = await retention().purge(NOW, None, 60)
    assert 0 < report.scrubbed < 20
    assert set(states()) == {"purged"}


async def test_calls_go_on_while_the_ledger_is_purged(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge of many batches and calls side by side: all rows are written, none is lost."""
    monkeypatch.setenv("LLM_PAYLOAD_RETENTION_DAYS", "30")
    store(*(a_row(40) for _ in range(2_500)))
    async with open_llm_services_admin() as admin, open_llm_services() as llm:
        purge = asyncio.create_task(admin.purge())
        await asyncio.gather(*(llm.generate_response(ASKED) for _ in range(20)))
        report = await purge
    assert (report.scrubbed, report.finished) == (2_500, True)
    assert states().count("full") == 20
    assert {row["status"] for row in rows()} == {"completed"}


async def test_a_user_is_forgotten_and_sums_stay(database_url: str) -> None:
    """All of a user's rows lose content and user; nobody else's row changes."""
    user, other = uuid4(), uuid4()
    store(*(a_row(days, user_id=user) for days in (1, 2, 3)), a_row(4, user_id=other))
    before = totals()
    async with open_llm_services_admin() as admin:
        report = await admin.erase_user(user)
    assert (report.erased, report.remaining, report.finished) == (3, 0, True)
    assert totals() == before
    assert states() == ["full", "purged", "purged", "purged"]
    for row in rows("payload_state = 'purged'"):
        assert (row["user_id"], row["conversation_id"], row["context_data"]) == (None, None, None)
        assert "words" not in json.dumps(row, default=str)
    assert UUID(str(rows()[0]["user_id"])) == other


async def test_an_erasure_keeps_its_budget(database_url: str) -> None:
    """What was not reached is told."""
    user = uuid4()
    store(a_row(1, user_id=user))
    report = await retention().erase(user, 1e-9)
    assert (report.erased, report.remaining, report.finished) == (0, 1, False)


async def test_an_answer_that_comes_after_the_erasure_is_not_stored(
    database_url: str, vendor: Sandbox
) -> None:
    """A call that is open while its user is forgotten ends with its tokens, without its words."""
    user = uuid4()
    async with open_llm_services() as llm, open_llm_services_admin() as admin:
        call = asyncio.create_task(
            llm.generate_response(ASKED, user_id=user, model="openai:gpt-4o:slow=0.5")
        )
        async with asyncio.timeout(60):
            while not rows():  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(0.01)
        report = await admin.erase_user(user)
        response, _ = await call
    [row] = rows()
    assert report.erased == 1
    assert "lava" in response.content.lower()
    assert "lava" not in json.dumps(row, default=str).lower()
    assert (row["status"], row["payload_state"], row["user_id"]) == ("completed", "purged", None)
    assert row["tokens_used"] > 0


async def test_a_batch_is_collected_after_its_user_was_forgotten(
    database_url: str, vendor: Sandbox
) -> None:
    """The answers still find their rows and come to whoever collects; the rows do not keep them."""
    user = uuid4()
    async with open_llm_services() as llm, open_llm_services_admin() as admin:
        batch = await llm.submit_batch([BatchRequest(messages=ASKED)], user, model="gpt-4o")
        await admin.erase_user(user)
        async with asyncio.timeout(60):
            while not (await llm.batch_status(batch.id)).ended:  # noqa: ASYNC110 - the vendor's
                await asyncio.sleep(0.01)
        [result] = [one async for one in llm.collect_batch(batch.id)]
    assert result.response is not None
    [row] = rows()
    assert (row["status"], row["payload_state"]) == ("completed", "purged")
    assert (row["response_content"], row["output_preview"]) == (None, None)


async def test_a_busy_database_is_asked_again(database_url: str) -> None:
    """A batch that the database refuses is tried again; work goes on when it answers."""
    store(a_row(40))
    holder = get_engine().connect()
    holder.begin()
    holder.execute(TABLE.update().values(feature="held"))
    threading.Timer(0.8, holder.close).start()
    kept = LedgerRetention(ledger_engine(get_engine(), 0.4))
    report = await kept.purge(NOW, None, 60)
    assert (report.scrubbed, states()) == (1, ["purged"])


async def test_a_database_that_does_not_answer_is_an_error(database_url: str) -> None:
    """Without its table there is nothing to purge, and that is said."""
    downgrade(database_url)
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMRecordingError, match="did not answer"):
            await admin.erase_user(uuid4())


async def test_bad_arguments_are_refused(database_url: str) -> None:
    """A budget of nothing and a user who is none are errors that name the argument."""
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMInputError, match="budget"):
            await admin.purge(budget=0)
        with pytest.raises(LLMInputError, match="user_id"):
            await admin.erase_user("nobody")  # type: ignore[arg-type]

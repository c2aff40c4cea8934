"""The ledger's questions are answered from its indexes: asked of the databases themselves."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from modules.llm_services.public import (
    LLMServicesAdminProvider,
    RequestFilter,
    llm_services_admin_provider,
    llm_services_provider,
)
from modules.shared.db import get_engine, session_factory
from tests.support.overview import TODAY, USERS, a_row, insert_rows, varied_rows

DAY = timedelta(days=1)
ROWS = 4_000
USER_INDEX, TIME_INDEX = "ix_llm_requests_user_created", "ix_llm_requests_created"
OPEN_INDEX, TALK_INDEX = "ix_llm_requests_open", "ix_llm_requests_conversation"


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A ledger in which looking at every row is not the shortest way."""
    rows = varied_rows(ROWS, 90)
    for number, row in enumerate(rows):
        row |= {"conversation_id": f"c{number}" if number % 20 == 0 else None}
        row |= {"user_id": uuid4() if number % 4 else USERS[0]}
        if number % 10:
            row |= {"status": "completed", "error_type": None}
    insert_rows(rows)
    with get_engine().begin() as connection:
        connection.execute(text("ANALYZE llm_requests"))
    with session_factory()() as session:
        yield session


def plans(session: Session, ask: Callable[[], object]) -> list[str]:
    """What the database says about how it answers each query."""
    asked: list[tuple[str, Any]] = []

    def keep(_c: object, _cursor: object, statement: str, given: Any, *_: object) -> None:
        asked.append((statement, given))

    engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    return [_plan(session.connection(), *query) for query in asked]


def _plan(connection: Connection, statement: str, given: Any) -> str:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        return "\n".join(row[-1] for row in rows)
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given).scalars()
    return json.dumps(plan)


def assert_uses(plan: str, index: str) -> None:
    """The index is used, and the table is not read from end to end."""
    assert index in plan, f"{index}: {plan}"
    assert not re.search(r"SCAN llm_requests(?! USING)", plan), plan
    assert "Seq Scan" not in plan, plan


def questions(session: Session) -> dict[str, tuple[str, Callable[[], object]]]:
    """What is asked, and the index that answers."""
    llm, admin = llm_services_provider(session), llm_services_admin_provider(session)
    user, since = USERS[0], TODAY - 3 * DAY
    cursor = llm.user_requests_page(user, limit=1).next_cursor
    return {
        "a user's newest": (USER_INDEX, lambda: llm.get_user_requests(user)),
        "a user's page": (USER_INDEX, lambda: llm.user_requests_page(user)),
        "a user's next": (USER_INDEX, lambda: llm.user_requests_page(user, after=cursor)),
        "recent": (TIME_INDEX, admin.recent),
        "recent, next": (TIME_INDEX, lambda: admin.recent(after=cursor)),
        "a model's": (TIME_INDEX, lambda: admin.find(RequestFilter(model="gpt-5"))),
        "in previews": (TIME_INDEX, lambda: admin.find(RequestFilter(text="x", since=since))),
        "in part": (TIME_INDEX, lambda: admin.find(RequestFilter(tenant="x"), look_through=100)),
        "failed": (OPEN_INDEX, lambda: admin.find(RequestFilter(status="failed"))),
        "timed out": (OPEN_INDEX, lambda: admin.find(RequestFilter(error_type="Timeout"))),
        "a conversation": (TALK_INDEX, lambda: admin.conversation("c20")),
        "errors": (OPEN_INDEX, lambda: admin.errors(since)),
        "callers": (TIME_INDEX, lambda: admin.callers_of("gpt-5", since)),
        "doubts": (TIME_INDEX, lambda: admin.cost_health(since)),
    }


def test_lists_come_from_their_indexes(session: Session) -> None:
    """Each list reads the rows that it shows and hardly another."""
    for index, ask in questions(session).values():
        of_rows = [plan for plan in plans(session, ask) if "llm_requests" in plan]
        assert of_rows
        for plan in of_rows:
            assert_uses(plan, index)


async def test_usage_of_closed_days_reads_no_rows(session: Session) -> None:
    """Thirty days by model or user: the daily sums, and of the ledger today and yesterday."""
    admin: LLMServicesAdminProvider = llm_services_admin_provider(session)
    insert_rows([a_row(created_at=TODAY - n * DAY) for n in range(31)])
    await admin.refresh_daily_usage()
    since = TODAY - 30 * DAY
    for ask in (
        lambda: admin.usage(("provider", "model")),
        lambda: admin.usage("user"),
        lambda: admin.overview(since),
        lambda: admin.cache_statistics(since),
    ):
        for plan in plans(session, ask):
            if "llm_requests" in plan:
                assert_uses(plan, TIME_INDEX)

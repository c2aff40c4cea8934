"""What operators read across users: lists, single requests, and who is behind them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import sandbox
from modules.llm_services.public import (
    LLMInputError,
    LLMMessageDTO,
    LLMServicesAdminProvider,
    RequestFilter,
    RequestPage,
    llm_services_admin_provider,
    llm_services_provider,
    open_llm_services,
    open_llm_services_admin,
)
from modules.shared.db import get_engine, session_factory
from tests.support.overview import TODAY, USERS, a_row, insert_rows

ASKED = [LLMMessageDTO(role="user", content="What is lava?")]
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def ids(page: RequestPage) -> list[UUID]:
    """The requests of a page."""
    return [row.id for row in page.items]


async def test_recent_shows_everybodys_rows(database_url: str, vendor: sandbox.Sandbox) -> None:
    """The newest rows come first, whoever's they are, without what was said."""
    async with open_llm_services() as llm:
        made = [(await llm.generate_response(ASKED, user_id=uuid4()))[1] for _ in range(3)]
    async with open_llm_services_admin() as admin:
        newest = admin.recent(limit=2)
        rest = admin.recent(limit=2, after=newest.next_cursor)
        found = admin.request(made[0])
    assert ids(newest) == made[:0:-1]
    assert newest.items[0].messages is None
    assert (ids(rest), newest.has_more, rest.has_more) == (made[:1], True, False)
    assert found is not None
    assert found.messages == [{"role": "user", "content": "What is lava?"}]


def test_a_users_pages_hold_every_row_once(session: Session, admin: object) -> None:
    """Whatever is written while somebody turns the pages, also among rows of one instant."""
    user = uuid4()
    rows = [a_row(user_id=user, created_at=NOW - HOUR * (n // 3)) for n in range(8)]
    insert_rows(rows)
    llm = llm_services_provider(session)
    found, after = [], None
    for turn in range(4):
        page = llm.user_requests_page(user, limit=2, after=after)
        found += ids(page)
        after = page.next_cursor
        assert page.has_more == (turn < 3)
        insert_rows([a_row(user_id=user, created_at=NOW + HOUR)])
    session.rollback()
    assert found == [row.id for row in llm.get_user_requests(user, offset=4)]
    assert set(found) == {row["id"] for row in rows}


def test_times_that_sqlite_wrote_itself_are_paged(database_url: str) -> None:
    """Its default has no fraction of a second; a cursor knows the time as it is written."""
    insert_rows([a_row(user_id=USERS[0], created_at=TODAY) for _ in range(3)])
    with get_engine().begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(
                "UPDATE llm_requests SET created_at = substr(created_at, 1, 19)"
            )
    with session_factory()() as session:
        llm, after, found = llm_services_provider(session), None, []
        for _ in range(3):
            page = llm.user_requests_page(USERS[0], limit=1, after=after)
            found += ids(page)
            after = page.next_cursor
    assert len(set(found)) == 3
    assert after is None


WANTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"status": "failed"}, {"status": "failed"}),
    ({"status": "failed", "model": "gpt-4o"}, {"status": "failed", "model": "gpt-4o"}),
    ({"error_type": "Refused"}, {"status": "failed", "error_type": "Refused", "model": "o3"}),
    ({"status": "completed", "model": "o4"}, {"model": "o4"}),
    ({"user_id": USERS[1]}, {"user_id": USERS[1]}),
    ({"tenant": "acme"}, {"tenant": "acme"}),
    ({"feature": "lesson"}, {"feature": "lesson"}),
    ({"conversation_id": "c1"}, {"conversation_id": "c1"}),
    ({"provider": "azure"}, {"provider": "azure"}),
    ({"operation": "image"}, {"operation": "image"}),
    ({"trace_id": "a" * 32}, {"trace_id": "a" * 32}),
    ({"cached": True}, {"cached": True}),
    ({"maybe_paid": True}, {"maybe_paid": True}),
    ({"since": NOW + HOUR}, {"created_at": NOW + HOUR}),
    ({"until": NOW - HOUR}, {"created_at": NOW - 2 * HOUR}),
    ({"text": "LAVA_50%"}, {"input_preview": "what is lava_50% hot?"}),
    ({"text": "magma"}, {"output_preview": "Magma is hot"}),
]


def test_what_is_looked_for_is_found(admin: LLMServicesAdminProvider) -> None:
    """Each part of a filter finds the rows that fit it, and none of the others."""
    plain = {"cached": False, "maybe_paid": False, "operation": "chat", "input_preview": "lava 50%"}
    rows = [a_row(created_at=NOW) | plain | fits for _, fits in WANTED]
    insert_rows(rows)
    for index, (wanted, _) in enumerate(WANTED):
        given = RequestFilter(**wanted)
        fitting = {row["id"] for row in (rows[:3] if index == 0 else rows[index : index + 1])}
        assert set(ids(admin.find(given))) == fitting, wanted
        assert admin.count(given) == len(fitting)


@pytest.mark.parametrize("look_through", [1, 2, 5, 100])
def test_looking_ends_somewhere_and_goes_on_there(
    admin: LLMServicesAdminProvider, look_through: int
) -> None:
    """Page by page, each row is looked at once, also among rows of one instant."""
    rows = [
        a_row(created_at=NOW - HOUR * (n // 3), tenant="rare" if n in {1, 16} else None)
        for n in range(20)
    ]
    insert_rows(rows)
    wanted = RequestFilter(tenant="rare", since=NOW - 30 * HOUR, until=NOW + HOUR)
    found, after, turns = [], None, 0
    while True:
        page = admin.find(wanted, 1, after, look_through=look_through)
        found += ids(page)
        assert page.looked_until is None or page.has_more
        if page.next_cursor is None:
            break
        after, turns = page.next_cursor, turns + 1
    assert found == [rows[1]["id"], rows[16]["id"]]
    assert 1 <= turns <= 8


def test_looking_tells_how_far_it_got(admin: LLMServicesAdminProvider) -> None:
    """What has an index of its own is found however far away; failures count failures alone."""
    insert_rows([a_row(created_at=NOW - HOUR * n, user_id=USERS[n == 9]) for n in range(10)])
    page = admin.find(RequestFilter(feature="none"), look_through=4)
    assert (page.items, page.looked_until) == ((), NOW - 4 * HOUR)
    assert len(admin.find(RequestFilter(user_id=USERS[1]), look_through=4).items) == 1
    failed = admin.find(RequestFilter(status="failed"), look_through=4)
    assert (failed.looked_until, failed.has_more) == (None, False)


def test_counting_ends_somewhere(admin: LLMServicesAdminProvider) -> None:
    """Nobody waits for an exact count of millions."""
    insert_rows([a_row() for _ in range(4)])
    assert (admin.count(up_to=3), admin.count()) == (3, 4)


def test_a_conversation_is_told_in_order(admin: LLMServicesAdminProvider) -> None:
    """From its first request on, page by page."""
    rows = [a_row(conversation_id="c", created_at=NOW + HOUR * (n // 2)) for n in range(5)]
    insert_rows([*rows, a_row(conversation_id="d")])
    first = admin.conversation("c", limit=3)
    second = admin.conversation("c", limit=3, after=first.next_cursor)
    in_order = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    assert ids(first) + ids(second) == [row["id"] for row in in_order]
    assert not second.has_more


def test_errors_come_with_their_last_example(admin: LLMServicesAdminProvider) -> None:
    """By type and model, most frequent first; what is not failed is no error."""
    failed = {"status": "failed", "error_type": "Timeout"}
    last = a_row(**failed, error_message="the last", created_at=NOW - HOUR)
    insert_rows(
        [
            *(a_row(**failed, error_message="an older", created_at=NOW - n * HOUR) for n in (2, 3)),
            last,
            a_row(status="failed", error_type=None, error_message=None, model="o1", created_at=NOW),
            a_row(status="cancelled", error_type=None, error_message=None),
            a_row(status="completed", error_type=None, error_message=None),
        ]
    )
    first, second = admin.errors(until=NOW + HOUR)
    assert (first.error_type, first.model, first.requests) == ("Timeout", "gpt-5", 3)
    assert (first.last_request_id, first.last_message) == (last["id"], "the last")
    assert first.last_at == last["created_at"]
    assert (second.error_type, second.requests, second.last_message) == (None, 1, None)


def test_who_calls_a_model_is_known(admin: LLMServicesAdminProvider) -> None:
    """By name or pattern, asked for or answering, with how often and when last."""
    old = {"model": "gpt-4o-mini", "feature": "lesson", "user_id": USERS[0]}
    alias = {"model": "fast_1", "response_model": "GPT-4o-2024-05-13", "feature": None}
    insert_rows(
        [
            a_row(**old, created_at=NOW - HOUR),
            a_row(**old, created_at=NOW),
            a_row(**alias, created_at=NOW),
            a_row(model="gpt-5", created_at=NOW),
        ]
    )
    callers = admin.callers_of("gpt-4o*", until=NOW + HOUR)
    assert [(c.feature, c.user_id, c.model, c.requests) for c in callers] == [
        ("lesson", USERS[0], "gpt-4o-mini", 2),
        (None, None, "fast_1", 1),
    ]
    assert callers[0].last_at == NOW
    assert [c.model for c in admin.callers_of(["fast?1"], until=NOW + HOUR)] == ["fast_1"]
    assert admin.callers_of(["fast%", "gpt_5"], until=NOW + HOUR) == []


BAD = [
    (lambda admin: admin.recent(limit=201), "limit"),
    (lambda admin: admin.recent(limit=0), "limit"),
    (lambda admin: admin.recent(after="nonsense"), "after"),
    (lambda admin: admin.find(look_through=0), "look_through"),
    (lambda admin: admin.recent(after="aGVsbG98eA=="), "after"),
    (lambda admin: admin.recent(after="\N{SNOWMAN}"), "after"),
    (lambda admin: admin.recent(after=7), "after"),
    (lambda admin: admin.find({"model": "x"}), "wanted"),
    (lambda admin: admin.find(RequestFilter(status="done")), "status"),
    (lambda admin: admin.find(RequestFilter(model="")), "model"),
    (lambda admin: admin.find(RequestFilter(feature="a\0b")), "feature"),
    (lambda admin: admin.find(RequestFilter(cached=cast("bool", 1))), "cached"),
    (lambda admin: admin.find(RequestFilter(since=cast("date", "today"))), "since"),
    (lambda admin: admin.find(RequestFilter(since=NOW, until=NOW - HOUR)), "until"),
    (lambda admin: admin.count(up_to=0), "up_to"),
    (lambda admin: admin.request("x"), "request_id"),
    (lambda admin: admin.conversation(""), "conversation_id"),
    (lambda admin: admin.errors(datetime(2026, 1, 1)), "since"),  # noqa: DTZ001
    (lambda admin: admin.errors(until=date(1, 1, 2)), "until"),
    (lambda admin: admin.errors(datetime(1, 1, 1, tzinfo=timezone(HOUR))), "since"),
    (lambda admin: admin.callers_of([]), "models"),
    (lambda admin: admin.callers_of(["gpt-4o", 4]), "models"),
    (lambda admin: admin.usage("colour"), "by"),
    (lambda admin: admin.usage([]), "by"),
    (lambda admin: admin.usage(("day", "day")), "by"),
    (lambda admin: admin.usage("day", order="size"), "order"),
    (lambda admin: admin.usage("day", limit=10_001), "limit"),
    (lambda admin: admin.totals(NOW, NOW - HOUR), "until"),
]


@pytest.fixture
def bare_admin(tmp_path: Path) -> Iterator[LLMServicesAdminProvider]:
    """A provider on a database without a table, which fails whoever asks it."""
    with Session(create_engine(f"sqlite:///{tmp_path / 'bare.db'}")) as session:
        yield llm_services_admin_provider(session)


@pytest.mark.parametrize(("ask", "name"), BAD)
def test_what_makes_no_sense_is_refused(
    bare_admin: LLMServicesAdminProvider, ask: Any, name: str
) -> None:
    """The argument is named before the database is asked."""
    with pytest.raises(LLMInputError, match=name):
        ask(bare_admin)


async def test_days_that_make_no_sense_are_refused(bare_admin: LLMServicesAdminProvider) -> None:
    """A day is a date, and the last is not before the first."""
    with pytest.raises(LLMInputError, match="to_day"):
        await bare_admin.refresh_daily_usage(date(2026, 2, 2), date(2026, 2, 1))
    with pytest.raises(LLMInputError, match="from_day"):
        await bare_admin.refresh_daily_usage(NOW)

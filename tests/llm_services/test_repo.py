"""Rows in, rows out, through the caller's session, which the caller commits."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from modules.llm_services.ids import uuid7
from modules.llm_services.models import LLMRequest
from modules.llm_services.public import llm_services_provider
from modules.llm_services.repo import LLMRequestRepo
from modules.llm_services.types import LLMMessageDTO
from modules.shared.db import get_session
from sandbox import Sandbox
from tests.support.ledger import rows

HELLO = [LLMMessageDTO(role="user", content="Hello there, how are you?")]


def a_row(**values: Any) -> LLMRequest:
    """A row as the old engine would have made it."""
    plain: dict[str, Any] = {
        "id": uuid7(),
        "status": "pending",
        "provider": "openai",
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
    }
    return LLMRequest(**{**plain, **values})


def test_a_created_row_has_its_defaults(session: Session) -> None:
    """What the database fills in is there at once, and nothing is committed."""
    row = LLMRequestRepo(session).create(a_row())
    assert row.created_at.tzinfo is not None
    assert (row.retry_attempt, row.cached, row.operation) == (1, False, "chat")
    assert rows() == [] or session.get_bind().dialect.name == "sqlite"
    session.rollback()
    assert rows() == []


def test_success_and_error_settle_a_pending_row_once(session: Session) -> None:
    """An outcome is written with the given columns; a row that has one keeps it."""
    repo = LLMRequestRepo(session)
    good, bad = repo.create(a_row()), repo.create(a_row())
    repo.update_success(good.id, {"response_content": "hello", "prompt_tokens": 3})
    repo.update_error(bad.id, {"error_type": "Timeout", "error_message": "too slow"})
    repo.update_error(good.id, {"error_type": "Timeout"})
    session.commit()
    session.expire_all()
    found = repo.by_id(good.id)
    assert found is not None
    assert (found.status, found.response_content, found.error_type) == ("completed", "hello", None)
    assert found.completed_at is not None
    failed = repo.by_id(bad.id)
    assert failed is not None
    assert (failed.status, failed.error_message) == ("failed", "too slow")


def test_an_outcome_has_no_other_columns(session: Session) -> None:
    """A misspelt column is an error, not a value that is lost."""
    with pytest.raises(ValueError, match="tokens_usd"):
        LLMRequestRepo(session).update_success(uuid4(), {"tokens_usd": 1})


def test_pages_are_ordered_also_within_an_instant(session: Session) -> None:
    """Rows of one timestamp keep their order from page to page."""
    user, now = uuid4(), datetime.now(UTC)
    made: list[UUID] = []
    for minute in (0, 0, 0, 1):
        row = a_row(user_id=user, created_at=now + timedelta(minutes=minute))
        made.append(row.id)
        session.add(row)
    session.flush()
    repo = LLMRequestRepo(session)
    pages = [repo.by_user(user, limit=1, offset=offset)[0].id for offset in range(4)]
    assert pages == [made[3], *sorted(made[:3], reverse=True)]


def test_reads_go_through_the_callers_session(session: Session, vendor: Sandbox) -> None:
    """The provider sees the caller's uncommitted rows and leaves its transaction alone."""
    row = LLMRequestRepo(session).create(a_row(user_id=uuid4()))
    llm = llm_services_provider(session)
    found = llm.get_request(row.id)
    assert found is not None
    assert found.messages == [{"role": "user", "content": "hi"}]
    assert session.in_transaction()


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": None}],
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        ["hi"],
        [{"content": "hi"}],
        [{"role": "user", "content": "x" * 30_000}],
    ],
)
def test_an_estimate_survives_what_older_engines_logged(
    session: Session, vendor: Sandbox, messages: list[Any]
) -> None:
    """Rows whose messages are not plain text teach nothing, and break nothing."""
    llm = llm_services_provider(session)
    before = llm.estimate_cost(HELLO, "gpt-4o")
    LLMRequestRepo(session).create(
        a_row(messages=messages, status="completed", prompt_tokens=9_999, completion_tokens=500)
    )
    assert llm.estimate_cost(HELLO, "gpt-4o") == before


def test_a_prompt_that_counted_nothing_teaches_nothing(session: Session, vendor: Sandbox) -> None:
    """A logged count of 0 is not a factor."""
    llm = llm_services_provider(session)
    before = llm.estimate_cost(HELLO, "gpt-4o")
    LLMRequestRepo(session).create(
        a_row(status="completed", prompt_tokens=0, completion_tokens=500)
    )
    assert llm.estimate_cost(HELLO, "gpt-4o") == before


def test_the_edge_commits_or_rolls_back(database_url: str) -> None:
    """A request's session is committed when the request succeeds and rolled back when it raises."""
    for outcome in (None, ValueError("no")):
        edge = get_session()
        session = next(edge)
        session.add(a_row())
        if outcome is None:
            with pytest.raises(StopIteration):
                next(edge)
        else:
            with pytest.raises(ValueError, match="no"):
                edge.throw(outcome)  # type: ignore[attr-defined]
    assert len(rows()) == 1

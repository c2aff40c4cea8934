"""A table of the old engine is adopted: no row lost, no value changed, and there is a way back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.util import CommandError
from psycopg.errors import UniqueViolation
from sqlalchemy import event, make_url, select, text
from sqlalchemy.engine import Engine

from modules.llm_services.models import LLMRequest
from modules.llm_services.repo import LedgerPages, LLMRequestRepo
from modules.shared.db import Base, get_engine, session_factory
from tests.support import legacy
from tests.support.legacy import connected, legacy_values, make_legacy_table, run, shape
from tests.support.migrations import alembic_config, downgrade, upgrade
from tests.support.postgres import PostgresServer

OUR_INDEXES = {str(index.name) for index in Base.metadata.tables["llm_requests"].indexes}
CHANGES = ("ALTER", "CREATE", "DROP", "UPDATE", "INSERT", "DELETE")
only_postgresql = pytest.mark.parametrize(
    "empty_database_url",
    [pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
only_sqlite = pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)


@pytest.fixture
def legacy_url(empty_database_url: str) -> str:
    """A database that holds the old engine's table and rows."""
    make_legacy_table(empty_database_url)
    return empty_database_url


def _index_names(url: str) -> set[str]:
    return {name for name, _, _ in shape(url).indexes}


def _scalar(url: str, query: str) -> Any:
    with connected(url) as connection:
        return connection.exec_driver_sql(query).scalar()


class _InterruptedError(Exception):
    """Stands for the power cut."""


@contextmanager
def _interrupted_at(statement: int) -> Iterator[None]:
    """Every engine fails at its n-th statement that changes something."""
    left = statement

    def count(_conn: object, _cursor: object, sql: str, *_rest: object) -> None:
        nonlocal left
        left -= sql.lstrip().startswith(CHANGES)
        if left == 0:
            raise _InterruptedError(sql)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def _run_with_interruptions(step: Callable[[str], None], url: str) -> int:
    """Run a step that is cut at its first change, again at a later one, … until it gets through.

    On SQLite a step is one transaction: wherever it is cut, all of it is undone.
    """
    for cut in range(1, 200, 9 if url.startswith("sqlite") else 3):
        before = legacy_values(url)
        with suppress(_InterruptedError), _interrupted_at(cut):
            step(url)
            return cut
        assert set(legacy_values(url)) == set(before)
    pytest.fail("the step never ends")


def test_adoption_changes_no_value(legacy_url: str) -> None:
    """Every legacy value of every row is the same to the byte after the upgrade."""
    before = legacy_values(legacy_url)
    upgrade(legacy_url)
    assert legacy_values(legacy_url) == before
    assert len(before) == len(legacy.ROWS)


def test_adopted_table_matches_the_models(legacy_url: str) -> None:
    """`alembic check` is clean on an adopted table, and the indexes are ours alone."""
    upgrade(legacy_url)
    command.check(alembic_config(legacy_url))
    assert _index_names(legacy_url) == OUR_INDEXES


def test_adopted_columns_keep_their_definition(legacy_url: str) -> None:
    """Legacy columns keep type, order, nullability and default; new ones come behind them."""
    before = shape(legacy_url).columns
    upgrade(legacy_url)
    assert shape(legacy_url).columns[: len(before)] == before


def test_added_columns_are_unknown_not_zero(legacy_url: str) -> None:
    """NULL means "not known": an old row gets no invented values beside constants."""
    upgrade(legacy_url)
    with connected(legacy_url) as connection:
        for row in connection.exec_driver_sql("SELECT * FROM llm_requests"):
            added = {key: row._mapping[key] for key in row._mapping if key not in legacy.COLUMNS}
            known = {key: value for key, value in added.items() if value is not None}
            constants = {"operation": "chat", "maybe_paid": False, "stream": False}
            assert known == {**constants, "payload_state": "full"}


def test_old_rows_are_read_through_the_model(legacy_url: str) -> None:
    """Ids come back as UUIDs, times aware in UTC, JSON decoded, whatever wrote them."""
    upgrade(legacy_url)
    with session_factory()() as session:
        row = session.get_one(LLMRequest, UUID(legacy.COMPLETED))
        assert row.user_id == UUID(legacy.USER)
        assert row.created_at == datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
        assert row.created_at.tzinfo is UTC
        assert row.messages == [{"role": "user", "content": "Grüße 你好 你好 🦉"}]
        assert row.additional_params == {"z": 1, "a": [1.5, None, True], "z2": {}}
        assert (row.cost_estimate, row.cached, row.operation) == (0.1 + 0.2, False, "chat")


def test_every_old_row_loads_whole(legacy_url: str) -> None:
    """No value that the old engine wrote trips the ORM, in wide columns either."""
    upgrade(legacy_url)
    with session_factory()() as session:
        rows = session.scalars(select(LLMRequest)).all()
        contents = {str(row.id): row.response_content for row in rows}
        statuses = {row.status for row in rows}
        assert all(isinstance(row.messages, list) for row in rows)
    assert contents == {row["id"]: row["response_content"] for row in legacy.ROWS}
    assert statuses == {"completed", "failed", "pending"}


def test_old_readers_still_read(legacy_url: str) -> None:
    """The old engine's own queries find the same rows after the upgrade."""
    query = (
        "SELECT count(*), sum(tokens_used), sum(cost_estimate) FROM llm_requests"
        " WHERE user_id = :user AND status = 'completed' AND NOT cached"
    )
    upgrade(legacy_url)
    with connected(legacy_url) as connection:
        assert connection.execute(text(query), {"user": legacy.USER}).one() == (1, 42, 0.1 + 0.2)


def test_old_writers_still_write(legacy_url: str) -> None:
    """While old processes are still running, their rows are taken by the adopted table."""
    upgrade(legacy_url)
    run(
        legacy_url,
        "INSERT INTO llm_requests (id, provider, model, temperature, max_tokens, messages, status,"
        " retry_attempt, cached) VALUES ('1c1e7d44-0a2b-4f6d-8e35-b7c8d9e0f1a2', 'openai', 'm',"
        " 0.5, 9, '[]', 'pending', 1, false)",
    )
    assert len(legacy_values(legacy_url)) == len(legacy.ROWS) + 1


def test_new_rows_enter_an_adopted_table(legacy_url: str) -> None:
    """The ORM writes, finds and reads its rows there, in a column that stayed JSON as well."""
    upgrade(legacy_url)
    new = LLMRequest(id=uuid4(), status="pending", provider="p", model="m", messages=[])
    new.context_data = {"lesson": "7", "ä": [1]}
    with session_factory().begin() as session:
        session.add(new)
    query = select(LLMRequest).where(LLMRequest.context_data["lesson"].as_string() == "7")
    with session_factory()() as session:
        found = session.scalars(query).one()
    assert (found.id, found.context_data) == (new.id, {"lesson": "7", "ä": [1]})


def test_downgrade_gives_back_the_legacy_table(legacy_url: str) -> None:
    """Down again, columns, indexes and every value are what they were before the upgrade."""
    before = shape(legacy_url), legacy_values(legacy_url)
    upgrade(legacy_url)
    downgrade(legacy_url)
    assert (shape(legacy_url), legacy_values(legacy_url)) == before


def test_downgrade_never_drops_an_adopted_table(legacy_url: str) -> None:
    """A table that was not ours stays, even without rows."""
    run(legacy_url, "DELETE FROM llm_requests")
    before = shape(legacy_url)
    upgrade(legacy_url)
    downgrade(legacy_url)
    assert shape(legacy_url) == before


def test_adoption_can_be_repeated(legacy_url: str) -> None:
    """Up, down and up once more: values the same, models fit."""
    before = legacy_values(legacy_url)
    upgrade(legacy_url)
    downgrade(legacy_url)
    upgrade(legacy_url)
    command.check(alembic_config(legacy_url))
    assert legacy_values(legacy_url) == before


def test_adoption_survives_an_interruption_anywhere(legacy_url: str) -> None:
    """Cut at any statement, the upgrade can be run again and loses nothing on the way."""
    before = legacy_values(legacy_url)
    cuts = _run_with_interruptions(upgrade, legacy_url)
    assert cuts > 5
    command.check(alembic_config(legacy_url))
    assert legacy_values(legacy_url) == before
    assert _index_names(legacy_url) == OUR_INDEXES


def test_downgrade_survives_an_interruption_anywhere(legacy_url: str) -> None:
    """Cut at any statement, the downgrade can be run again and ends in the legacy table."""
    before = shape(legacy_url), legacy_values(legacy_url)
    upgrade(legacy_url)
    assert _run_with_interruptions(downgrade, legacy_url) > 5
    assert (shape(legacy_url), legacy_values(legacy_url)) == before


def test_half_adopted_table_is_finished(legacy_url: str) -> None:
    """Columns and indexes that are there already are kept, the rest is added."""
    before = legacy_values(legacy_url)
    run(
        legacy_url,
        "ALTER TABLE llm_requests ADD COLUMN requested_model VARCHAR(150)",
        "ALTER TABLE llm_requests ADD COLUMN operation VARCHAR(32) DEFAULT 'chat' NOT NULL",
        "ALTER TABLE llm_requests ADD COLUMN conversation_id VARCHAR(64)",
        "CREATE INDEX ix_llm_requests_created ON llm_requests (created_at)",
        "DROP INDEX ix_llm_requests_model",
        "UPDATE llm_requests SET requested_model = 'kept'",
    )
    upgrade(legacy_url)
    command.check(alembic_config(legacy_url))
    assert legacy_values(legacy_url) == before
    kept = "SELECT count(*) FROM llm_requests WHERE requested_model = 'kept'"
    assert _scalar(legacy_url, kept) == len(legacy.ROWS)


def test_indexes_of_others_are_left_alone(empty_database_url: str) -> None:
    """The five old indexes go under any name; unique, partial and wider ones are somebody's own."""
    make_legacy_table(empty_database_url, indexes=False)
    run(
        empty_database_url,
        "CREATE INDEX odd_name ON llm_requests (provider)",
        "CREATE INDEX odd_twin ON llm_requests (provider)",
        "CREATE INDEX own_wide ON llm_requests (provider, model)",
        "CREATE INDEX own_time ON llm_requests (created_at)",
        "CREATE UNIQUE INDEX own_unique ON llm_requests (model)",
        "CREATE INDEX own_partial ON llm_requests (status) WHERE status = 'failed'",
    )
    upgrade(empty_database_url)
    kept = {"own_wide", "own_time", "own_unique", "own_partial"}
    assert _index_names(empty_database_url) == OUR_INDEXES | kept


def test_a_stranger_of_the_same_name_is_refused(empty_database_url: str) -> None:
    """A table `llm_requests` of another product isn't touched, and the error says why."""
    run(empty_database_url, "CREATE TABLE llm_requests (id INTEGER PRIMARY KEY, prompt TEXT)")
    before = shape(empty_database_url)
    with pytest.raises(CommandError, match=r"lacks created_at, .*messages"):
        upgrade(empty_database_url)
    assert shape(empty_database_url) == before


@only_postgresql
def test_adoption_does_not_rewrite_the_table(legacy_url: str) -> None:
    """PostgreSQL keeps the very same file: no column that is added touches a row."""
    node = "SELECT pg_relation_filenode('llm_requests')"
    before = _scalar(legacy_url, node)
    upgrade(legacy_url)
    assert _scalar(legacy_url, node) == before


@only_postgresql
def test_broken_index_of_an_interrupted_build_is_built_anew(
    legacy_url: str, postgres_server: PostgresServer
) -> None:
    """An index that a cut CREATE INDEX CONCURRENTLY left invalid isn't taken for a good one."""
    build = "CREATE UNIQUE INDEX CONCURRENTLY ix_llm_requests_created ON llm_requests (user_id)"
    with pytest.raises(UniqueViolation):
        postgres_server.execute(build, str(make_url(legacy_url).database))
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    assert _scalar(legacy_url, invalid) == 1
    upgrade(legacy_url)
    assert _scalar(legacy_url, invalid) == 0
    command.check(alembic_config(legacy_url))


@only_postgresql
def test_adoption_accepts_jsonb(empty_database_url: str) -> None:
    """A table whose JSON somebody made JSONB is adopted as it is, and given back as it was."""
    ddl = legacy.POSTGRESQL_DDL.replace(" JSON", " JSONB")
    make_legacy_table(empty_database_url, ddl=ddl)
    before = shape(empty_database_url), legacy_values(empty_database_url)
    upgrade(empty_database_url)
    command.check(alembic_config(empty_database_url))
    downgrade(empty_database_url)
    assert (shape(empty_database_url), legacy_values(empty_database_url)) == before


@only_sqlite
@pytest.mark.parametrize("id_type", ["VARCHAR(36)", "CHAR(32)"])
def test_adoption_accepts_other_types_of_ids(empty_database_url: str, id_type: str) -> None:
    """Ids that are text of another type are adopted as they are, and read as UUIDs."""
    make_legacy_table(empty_database_url, ddl=legacy.SQLITE_DDL.replace("CHAR(36)", id_type))
    if id_type == "CHAR(32)":
        run(empty_database_url, "UPDATE llm_requests SET id = replace(id, '-', '')")
    before = legacy_values(empty_database_url)
    upgrade(empty_database_url)
    command.check(alembic_config(empty_database_url))
    assert legacy_values(empty_database_url) == before
    with session_factory()() as session:
        ids = set(session.scalars(select(LLMRequest.id)))
        found = {LLMRequestRepo(session).by_id(row_id) is not None for row_id in ids}
    assert ids == {UUID(row["id"]) for row in legacy.ROWS}
    assert found == {True}


@only_sqlite
@pytest.mark.parametrize("spelt_old", ["", "user_id = replace(user_id, '-', '')"])
def test_rows_are_found_however_their_ids_are_spelt(
    empty_database_url: str, spelt_old: str
) -> None:
    """Old rows without dashes and new ones with them are one user's, newest first; both settle."""
    make_legacy_table(empty_database_url)
    without = ", ".join(filter(None, ["id = replace(id, '-', '')", spelt_old]))
    run(empty_database_url, f"UPDATE llm_requests SET {without}")  # noqa: S608 - constants
    upgrade(empty_database_url)
    new = LLMRequest(
        id=uuid4(), user_id=UUID(legacy.USER), provider="p", model="m", messages=[], status="failed"
    )
    with session_factory().begin() as session:
        session.add(new)
        repo = LLMRequestRepo(session)
        repo.update_error(UUID(legacy.PENDING), {"error_type": "Interrupted"})
    with session_factory()() as session:
        repo = LLMRequestRepo(session)
        mine = [row.id for row in repo.by_user(UUID(legacy.USER))]
        settled = repo.by_id(UUID(legacy.PENDING))
        assert mine == [new.id, UUID(legacy.PENDING), UUID(legacy.COMPLETED)]
        assert repo.by_user(UUID(legacy.USER), limit=1, offset=1)[0].id == UUID(legacy.PENDING)
        assert settled is not None
        assert (settled.status, settled.error_type) == ("failed", "Interrupted")
        assert repo.by_id(UUID(legacy.USER)) is None
        pages = LedgerPages(session)
        assert [row["id"] for row in pages.of_user(UUID(legacy.USER), 50, 0)] == mine
        first, place = pages.page_of_user(UUID(legacy.USER), 2, None)
        rest, end = pages.page_of_user(UUID(legacy.USER), 2, place)
        assert [row["id"] for row in [*first, *rest]] == mine
        assert end is None


@only_sqlite
def test_either_spelling_is_found_by_an_index(empty_database_url: str) -> None:
    """Neither a row nor a user's rows are searched for in the whole table."""
    upgrade(empty_database_url)
    asked: list[tuple[str, Any]] = []
    engine = get_engine()
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _cursor, sql, values, *_: asked.append((sql, values)),
    )
    with session_factory()() as session:
        LLMRequestRepo(session).by_id(uuid4())
        LLMRequestRepo(session).by_user(uuid4())
    with connected(empty_database_url) as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())
            for sql, values in asked
            if sql.startswith("SELECT")
        ]
    assert len(plans) == 3
    assert all("SEARCH llm_requests USING" in plan and "SCAN" not in plan for plan in plans)
    assert not any("TEMP B-TREE FOR ORDER BY" in plan for plan in plans)


OLD_READS = {
    "SELECT model, count(*), sum(cost_estimate), sum(tokens_used) FROM llm_requests"
    " WHERE status = 'completed' GROUP BY model ORDER BY model": [
        ("gpt-4o-mini", 1, 0.1 + 0.2, 42),
        ("new", 2, 0.75, 30),
    ],
    "SELECT status, count(*) FROM llm_requests WHERE status IN ('pending', 'completed', 'failed')"
    " GROUP BY status ORDER BY status": [("completed", 3), ("failed", 2), ("pending", 1)],
    "SELECT avg(execution_time_ms), max(retry_attempt) FROM llm_requests"
    " WHERE provider = 'openai' AND status = 'completed' AND created_at >= '2024-01-01'": [
        (1234.0, 1)
    ],
    "SELECT count(*) FROM llm_requests WHERE cost_estimate IS NULL": [(3,)],
    "SELECT sum(cost_estimate) FROM llm_requests WHERE cached": [(0.0,)],
    "SELECT error_type, count(*) FROM llm_requests WHERE status = 'failed' GROUP BY error_type"
    " ORDER BY error_type": [("RateLimitError", 1), ("Timeout", 1)],
    "SELECT id FROM llm_requests WHERE status NOT IN ('pending', 'completed', 'failed')": [
        ("00000000-0000-0000-0000-000000000004",)
    ],
}


@pytest.mark.parametrize("query", OLD_READS)
def test_old_questions_get_right_answers(legacy_url: str, query: str) -> None:
    """What the old engine's reports ask, over its rows and ours together.

    A call that was cancelled is none of the three statuses it knows, an unknown price is no 0,
    and a cached answer adds nothing to a sum.
    """
    upgrade(legacy_url)
    ours: list[dict[str, Any]] = [
        {"status": "completed", "cost_estimate": 0.75, "tokens_used": 30},
        {"status": "completed", "cost_estimate": 0.0, "cached": True, "tokens_used": None},
        {"status": "failed", "error_type": "Timeout"},
        {"status": "cancelled"},
    ]
    with session_factory().begin() as session:
        for number, said in enumerate(ours, 1):
            row = {"provider": "house", "model": "new", "messages": [], **said}
            session.add(LLMRequest(id=UUID(int=number), **row))
    with connected(legacy_url) as connection:
        cast = query.replace("'2024-01-01'", "timestamp '2024-01-01'")
        found = connection.exec_driver_sql(cast if "postgresql" in legacy_url else query).all()
    told = [tuple(str(v) if isinstance(v, UUID) else v for v in row) for row in found]
    assert [tuple(map(_plain, row)) for row in told] == OLD_READS[query]


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def test_progress_is_told(legacy_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A line before each part that may take long, with how many are still to come."""
    with caplog.at_level("INFO", "alembic.runtime.migration.llm_requests"):
        upgrade(legacy_url)
    told = [
        r.getMessage() for r in caplog.records if r.name == "alembic.runtime.migration.llm_requests"
    ]
    assert "no row is rewritten" in told[0]
    assert [line.split(",")[0] for line in told[1:]] == [
        f"llm_requests: building index {number} of {len(told) - 1}"
        for number in range(1, len(told))
    ]
    assert len(told) > 5
    beside = [line.endswith("beside readers and writers") for line in told[1:]]
    assert set(beside) == {legacy_url.startswith("postgresql")}

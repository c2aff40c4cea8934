"""Migrations on a database of our own: up, down, racing, offline, and in step with the models."""

import io
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout

import psycopg
import pytest
from alembic import command
from sqlalchemy import Table, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from modules.llm_services.models import LLMRequest
from modules.shared.db import Base, get_engine, session_factory
from tests.support.legacy import connected, make_legacy_table, run, shape
from tests.support.migrations import ROOT, alembic_config, downgrade, upgrade
from tests.support.postgres import PostgresServer

DEPLOY_LOCK = 5_483_019_264_017  # as in alembic/env.py, which must never change it
INSERT = (
    "INSERT INTO llm_requests (id, status, provider, model, temperature, max_tokens, messages)"
    " VALUES ('{id}', '{status}', 'openai', 'gpt-5', 1.0, 0, '[]')"
)
IDS = {
    "cancelled": "0199f0aa-0000-7000-8000-000000000001",
    "completed": "0199f0aa-0000-7000-8000-000000000002",
    "pending": "0199f0aa-0000-7000-8000-000000000003",
}


def _add_rows(url: str) -> None:
    run(url, *(INSERT.format(id=id_, status=status) for status, id_ in IDS.items()))


def _outcomes(url: str) -> dict[str, tuple[str, str | None]]:
    with connected(url) as connection:
        rows = connection.exec_driver_sql("SELECT id, status, error_type FROM llm_requests").all()
    return {str(row[0]): (row[1], row[2]) for row in rows}


def _tables(url: str) -> set[str]:
    with connected(url) as connection:
        return set(inspect(connection).get_table_names())


def _physical_columns(url: str, table: Table) -> list[str]:
    with connected(url) as connection:
        return [column["name"] for column in inspect(connection).get_columns(table.name)]


def _start_deploy() -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "alembic", "upgrade", "head"]
    return subprocess.Popen(
        arguments, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _wait_for_waiter(observer: psycopg.Connection) -> None:
    query = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock%'"
    )
    deadline = time.monotonic() + 60
    while not observer.execute(query).fetchone():
        assert time.monotonic() < deadline, "no deploy waits"
        time.sleep(0.02)


def test_migrated_database_matches_the_models(database_url: str) -> None:
    """After `upgrade head`, `alembic check` finds nothing to do."""
    command.check(alembic_config(database_url))


def test_columns_lie_in_the_order_of_the_models(database_url: str) -> None:
    """Narrow columns come first physically, too: the migrations keep the models' order."""
    for table in Base.metadata.sorted_tables:
        assert _physical_columns(database_url, table) == [c.name for c in table.columns]


def test_up_down_up_ends_where_it_began(empty_database_url: str) -> None:
    """An empty database can go to base and back, and nothing but Alembic's own table stays."""
    upgrade(empty_database_url)
    first = shape(empty_database_url)
    downgrade(empty_database_url)
    assert _tables(empty_database_url) == {"alembic_version"}
    upgrade(empty_database_url)
    assert shape(empty_database_url) == first
    command.check(alembic_config(empty_database_url))


def test_daily_sums_stay_when_they_get_more_columns(empty_database_url: str) -> None:
    """Those of an earlier release lack what the new columns count, there and back again."""
    config, url = alembic_config(empty_database_url), empty_database_url
    command.upgrade(config, "0007")
    texts = ("provider", "model", "operation", "feature", "status", "error_type")
    numbers = (
        *("requests", "cached_requests", "unpriced_requests", "attempts", "prompt_tokens"),
        *("completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
        *("cost_nano_usd", "execution_ms_sum", "first_token_ms_sum", "first_token_count"),
    )
    names = ", ".join(("day", *texts, *numbers, "latency_counts"))
    values = ", ".join(("'2026-11-01'", *["''"] * len(texts), *["7"] * len(numbers), "'[7]'"))
    run(url, f"INSERT INTO llm_usage_daily ({names}) VALUES ({values})")  # noqa: S608
    command.upgrade(config, "head")
    sums = "SELECT sum(requests) FROM llm_usage_daily WHERE cache_misses IS NULL"
    with connected(url) as connection:
        assert connection.scalar(text(sums)) == 7
    command.downgrade(config, "0007")
    with connected(url) as connection:
        assert connection.scalar(text("SELECT sum(cost_nano_usd) FROM llm_usage_daily")) == 7


def test_upgrade_reads_the_url_of_the_backend(empty_database_url: str) -> None:
    """Without a URL from the caller, `DATABASE_URL` is migrated."""
    command.upgrade(alembic_config(""), "head")
    assert "llm_requests" in _tables(empty_database_url)


def test_our_table_with_rows_survives_a_downgrade(database_url: str) -> None:
    """A downgrade keeps every row; a cancelled one becomes failed, which the old engine knows."""
    _add_rows(database_url)
    downgrade(database_url)
    assert _outcomes(database_url) == {
        IDS["cancelled"]: ("failed", "Cancelled"),
        IDS["completed"]: ("completed", None),
        IDS["pending"]: ("pending", None),
    }


def test_our_table_comes_back_after_a_downgrade_with_rows(database_url: str) -> None:
    """Down with rows and up again: the models fit, and no row is lost."""
    _add_rows(database_url)
    downgrade(database_url)
    upgrade(database_url)
    command.check(alembic_config(database_url))
    assert set(_outcomes(database_url)) == set(IDS.values())


def test_rows_are_written_and_read_through_the_model(database_url: str) -> None:
    """The migrated table takes a row from the ORM, server defaults included."""
    run(database_url, INSERT.format(id=IDS["pending"], status="pending"))
    with session_factory()() as session:
        row = session.query(LLMRequest).one()
        assert (row.operation, row.retry_attempt) == ("chat", 1)
        assert (row.cached, row.maybe_paid) == (False, False)
        assert row.created_at.tzinfo is not None


@pytest.mark.parametrize("legacy", [False, True], ids=["fresh", "legacy"])
def test_racing_deploys_both_succeed(empty_database_url: str, legacy: bool) -> None:  # noqa: FBT001
    """Several `alembic upgrade head` at once: one works, the others wait and find it done."""
    if legacy:
        make_legacy_table(empty_database_url)
    racers = [_start_deploy() for _ in range(3)]
    outputs = [racer.communicate(timeout=120)[0].decode() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], outputs
    assert sum("Running upgrade  -> 0001" in output for output in outputs) == 1
    command.check(alembic_config(empty_database_url))


@pytest.mark.parametrize(
    "empty_database_url",
    [pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
def test_waiting_deploy_stands_in_nobodys_way(
    empty_database_url: str, postgres_server: PostgresServer
) -> None:
    """A deploy that waits holds no snapshot, so the other's concurrent index build can end."""
    name = str(make_url(empty_database_url).database)
    run(
        empty_database_url,
        "CREATE TABLE busy (n int)",
        f"ALTER DATABASE {name} SET statement_timeout = '20s'",
    )
    with postgres_server.connect(name) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [DEPLOY_LOCK])
        waiting = _start_deploy()
        _wait_for_waiter(holder)
        postgres_server.execute("CREATE INDEX CONCURRENTLY ON busy (n)", name)
    output = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 0, output


def test_sql_mode_prints_what_a_dba_can_run(empty_database_url: str) -> None:
    """`upgrade head --sql` needs no connection, and its output makes the very same tables."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        command.upgrade(alembic_config(empty_database_url), "head", sql=True)
    statements = [part.strip() for part in printed.getvalue().split(";\n") if part.strip()]
    run(empty_database_url, *(s for s in statements if s not in {"BEGIN", "COMMIT"}))
    command.check(alembic_config(empty_database_url))


def test_sql_mode_refuses_to_drop_unseen_rows(empty_database_url: str) -> None:
    """A printed downgrade couldn't look whether rows are there, so none is printed."""
    with redirect_stdout(io.StringIO()), pytest.raises(Exception, match="run it online"):
        command.downgrade(alembic_config(empty_database_url), "0001:base", sql=True)


def test_migrations_run_on_a_connection_that_is_lent(empty_database_url: str) -> None:
    """A caller's connection and transaction are used, and ending them stays the caller's."""
    make_legacy_table(empty_database_url)
    config = alembic_config("")
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        assert connection.in_transaction()
        assert connection.scalar(text("SELECT count(*) FROM llm_requests WHERE NOT maybe_paid"))
    command.check(alembic_config(empty_database_url))


def test_migrations_leave_logging_alone(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Alembic called by a program doesn't touch that program's log handlers."""
    with caplog.at_level("INFO"):
        upgrade(empty_database_url)
    assert "Running upgrade" in caplog.text


def test_engines_of_a_test_end_with_it(database_url: str) -> None:
    """The backend's own engine works on the fixture's database."""
    assert get_engine().url.render_as_string(hide_password=False) == database_url

"""The command line's way to a database with tables."""

import logging
from pathlib import Path

import pytest

from modules.llm_services.cli import migrations
from modules.shared.db import get_engine
from tests.architecture.sources import ROOT
from tests.support.command_line import answer, run

NEWEST = max(path.name[:4] for path in (ROOT / "alembic/versions").glob("[0-9]*.py"))

pytestmark = pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)


def test_it_makes_the_tables(empty_database_url: str) -> None:
    """Steps go to stderr; a second time there are none, and doctor finds all well."""
    first = run("migrate")
    assert first.exit_code == 0
    assert first.stdout.startswith("sqlite ")
    assert first.stdout.endswith(f" is at {NEWEST}\n")
    assert "Running upgrade  -> 0001" in first.stderr
    assert "Context impl" not in first.stderr
    again = run("migrate")
    assert again.stdout.endswith(f" was at {NEWEST}\n")
    assert again.stderr == ""
    assert answer("migrate")["before"] == NEWEST
    assert "migrations\tok" in run("doctor").stdout
    assert logging.getLogger("alembic.runtime.migration").handlers == []


def test_somebody_elses_revision_is_told(empty_database_url: str) -> None:
    """A newer version's, or that of the application's own Alembic."""
    with get_engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('beef')")
    result = run("migrate")
    assert result.exit_code == 2
    assert "'beef': a newer version has migrated this database" in result.stderr
    assert "--version-table" in result.stderr
    beside = run("migrate", "--version-table", "llm_services_version")
    assert (beside.exit_code, beside.stdout.split()[-1]) == (0, NEWEST)
    assert run("migrate", "--version-table", "llm_services_version").stderr == ""
    with get_engine().connect() as connection:
        theirs = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert theirs == "beef"


def test_it_says_when_there_are_none(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A module that was copied without its migrations."""
    monkeypatch.setattr(migrations, "FOLDERS", (tmp_path,))
    result = run("migrate")
    assert result.exit_code == 2
    assert "alembic upgrade head" in result.stderr

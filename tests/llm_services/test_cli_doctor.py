"""The command line's doctor: what it looks at, and what it says when something is wrong."""

import json
import sys
from typing import Any

import pytest

from modules.llm_services.cli import schema_check
from modules.llm_services.cli.commands import doctor
from modules.llm_services.public import HealthReport
from modules.llm_services.types.health import SpoolHealth
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.support.command_line import answer, run
from tests.support.ledger import rows

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("database_url", "vendor"),
]


def test_it_finds_all_well(vendor: Sandbox) -> None:
    """Nothing is sent; retiring models are warnings, which only --strict minds."""
    found = answer("doctor")
    assert found["well"] is True
    assert {check["what"]: check["status"] for check in found["checks"]}.items() >= {
        "configuration": "ok",
        "database": "ok",
        "migrations": "ok",
        "spool": "ok",
        "provider openai": "ok",
    }.items()
    assert vendor.journal() == []
    assert run("doctor").stdout.startswith("CHECK\tSTATUS\tDETAIL\nconfiguration\tok\t")


def test_it_probes(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of text roles are asked for a word; one that does not answer is a failure."""
    monkeypatch.setenv("LLM_ROLES__SMART", "openai:gpt-4o:status=401")
    result = run("doctor", "--probe")
    assert result.exit_code == 1
    assert "gpt-6-luna answers" in result.stdout
    assert "provider openai\tfailed\tgpt-4o:status=401 does not answer" in result.stdout
    assert {row["feature"] for row in rows()} == {"health"}


def test_it_tells_all_faults_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its variable, without secrets, and what else can be looked at."""
    monkeypatch.setenv("LLM_MAX_TOKENS", "-1")
    monkeypatch.setenv("REQUEST_TIMEOUT", "soon")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    checks = json.loads(result.stdout)["data"]["checks"]
    faults = [check["detail"].split(":")[0] for check in checks if check["status"] == "failed"]
    assert faults == ["LLM_MAX_TOKENS", "REQUEST_TIMEOUT"]
    assert checks[-1]["what"] == "migrations"
    assert "sk-secret" not in result.output


def test_it_sees_missing_keys_and_retired_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the provider that calls go to it is a failure, of another one a warning."""
    monkeypatch.setenv("LLM_ROLES__SMART", "anthropic:claude-opus-4-1")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("LLM_TENANT_ROLES__ACME__FAST", "openai:gpt-4o")
    result = run("doctor", "--strict")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert (
        result.exit_code,
        ["provider openai", "failed", "OPENAI_API_KEY is not set"] in lines,
    ) == (
        1,
        True,
    )
    assert ["provider anthropic", "warning", "ANTHROPIC_API_KEY is not set"] in lines
    [old] = [detail for what, _, detail in lines if what == "role smart"]
    assert "stops answering on 2026-08-05; its vendor names claude-opus-4-8" in old
    assert old.endswith("set LLM_ROLES__SMART to another")
    [tenants] = [detail for what, _, detail in lines if what == "role fast of tenant acme"]
    assert tenants.endswith("set LLM_TENANT_ROLES__ACME__FAST to another")


def test_it_sees_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor's SDK is an extra; the key alone is not enough."""
    monkeypatch.setenv("LLM_PROVIDER", "gemini")
    monkeypatch.setenv("GEMINI_API_KEY", "sk-secret")
    assert "provider gemini\tok\tconfigured" in run("doctor").stdout
    monkeypatch.setitem(sys.modules, "google.genai", None)
    result = run("doctor")
    assert "provider gemini\tfailed\t" in result.stdout
    assert "install llm-services[gemini]" in result.stdout
    monkeypatch.delitem(sys.modules, "google.genai")
    monkeypatch.setitem(sys.modules, "google", None)
    assert "install llm-services[gemini]" in run("doctor").stdout


def test_it_sees_settings_that_there_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a slip in it would set nothing, and nobody would know."""
    monkeypatch.setenv("LLM_CACH_TTL", "5")
    monkeypatch.setenv("LLM_ROLES__HOUSE", "openai:gpt-4o")
    monkeypatch.setenv("LLM_QQQQ", "5")
    lines = [line.split("\t") for line in run("doctor").stdout.splitlines()]
    assert [rest for what, *rest in lines if what == "configuration"] == [
        ["ok", "every setting makes sense"],
        ["warning", "LLM_CACH_TTL is no setting; did you mean LLM_CACHE_TTL?"],
        ["warning", "LLM_QQQQ is no setting"],
    ]


def test_it_sees_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in the spool, and lines that could not be read."""
    spool = SpoolHealth(mode="away", unwritten=1, spooled=2, oldest=None, torn=1, rejected=0)
    known: dict[str, Any] = {"spool": spool}
    report = HealthReport.model_construct(**known)
    found = list(doctor._spool(report))
    assert [check.status for check in found] == ["warning", "warning"]
    assert "3 rows wait" in found[0].detail
    assert "1 lines were torn" in found[1].detail


def test_missing_columns_and_indexes_are_found(database_url: str) -> None:
    """A database that an older version left."""
    with get_engine().begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_llm_requests_created")
        connection.exec_driver_sql("DROP TABLE llm_owners")
        connection.exec_driver_sql("ALTER TABLE llm_requests DROP COLUMN kept_answer")
    lacking = schema_check.missing(get_engine())
    assert set(lacking) == {
        "table llm_owners",
        "column llm_requests.kept_answer",
        "index ix_llm_requests_created",
    }
    result = run("doctor")
    assert result.exit_code == 1
    assert "migrations\tfailed\trun llm-services migrate: " in result.stdout


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////no/such/folder/x.db", "sqlite /no/such/folder/x.db does not answer"),
        ("nonsense", "DATABASE_URL is no URL of SQLAlchemy, such as"),
        ("mysql+pymysql://u:pw-secret@h/d", "DATABASE_URL: the driver pymysql is not installed"),
    ],
)
def test_it_sees_a_database_that_is_not_there(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tells no password."""
    monkeypatch.setenv("DATABASE_URL", url)
    result = run("doctor")
    assert (result.exit_code, said in result.stdout) == (1, True), result.output
    assert "pw-secret" not in result.output
    monkeypatch.setenv("LLM_MAX_TOKENS", "-1")
    assert run("doctor").exit_code == 1


def test_a_database_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind, name and host are what somebody looks for."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://u:pw-secret@db.example/ledger")
    assert schema_check.where() == "postgresql ledger on db.example"

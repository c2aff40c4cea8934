"""How the module is doing: what a readiness probe is told, and what it costs."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.public import (
    HealthReport,
    LLMError,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
)
from modules.llm_services.recording import Pulse
from modules.llm_services.retirements import RETIREMENTS, retirement_of
from modules.llm_services.testing import FakeLLMServices
from modules.llm_services.types.health import ProviderHealth
from modules.llm_services.wiring.retiring import retiring_models, warn_about_retiring
from sandbox import Sandbox
from tests.support.ledger import rows

RIVERS = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
TODAY = date(2026, 11, 22)
PROVIDERS = frozenset({"openai", "deepseek", "local"})
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def openai(report: HealthReport) -> ProviderHealth:
    """What is said of OpenAI."""
    [found] = [one for one in report.providers if one.name == "openai"]
    return found


async def fail(llm: LLMServicesProvider, model: str) -> None:
    """A call that fails."""
    with pytest.raises(LLMError):
        await llm.generate_response(RIVERS, model=model, max_retries=0)


async def test_all_is_well(vendor: Sandbox, database_url: str) -> None:
    """Database, spool and providers are told, and nothing is sent to find out."""
    async with open_llm_services() as llm:
        report = await llm.health()
        assert (report.status, report.ready) == ("ok", True)
        assert report.database.answers
        assert report.database.milliseconds is not None
        assert (report.spool.mode, report.spool.spooled, report.spool.unwritten) == ("normal", 0, 0)
        assert (openai(report).problem, openai(report).last_success) == (None, None)
    assert vendor.journal() == []
    assert rows() == []


@on_sqlite
async def test_a_success_and_open_circuits_are_remembered(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider last answered when it did, and a model that does not is told with its circuit."""
    monkeypatch.setenv("LLM_CIRCUIT_FAILURES", "1")
    before = datetime.now(UTC).replace(microsecond=0)
    async with open_llm_services() as llm:
        await llm.generate_response(RIVERS, model="gpt-4.1")
        await fail(llm, "openai:gpt-4.1:status=500")
        report = await llm.health()
    found = openai(report)
    assert found.last_success
    assert before <= found.last_success <= datetime.now(UTC)
    [circuit] = found.circuits
    assert (circuit.model, circuit.state) == ("gpt-4.1:status=500", "open")
    assert report.status == "degraded"


@on_sqlite
async def test_a_missing_key_is_down(database_url: str) -> None:
    """Who starts without the key of the default model is told before the first call fails."""
    async with open_llm_services() as llm:
        report = await llm.health()
    assert (report.status, report.ready) == ("down", False)
    assert openai(report).problem == "OPENAI_API_KEY is not set"


@pytest.fixture
def gone() -> Iterator[None]:
    """A database that breaks whatever connection asks it for nothing."""

    def refuse(_connection: Any, _cursor: Any, statement: str, *_arguments: Any) -> None:
        if statement == "SELECT 1":
            raise OSError("gone")

    event.listen(Engine, "before_cursor_execute", refuse)
    yield
    event.remove(Engine, "before_cursor_execute", refuse)


@on_sqlite
async def test_a_database_that_is_gone_is_told(
    vendor: Sandbox, database_url: str, gone: None
) -> None:
    """Calls are still answered while rows can wait in the spool: degraded, not down."""
    async with open_llm_services() as llm:
        report = await llm.health()
    assert report.status == "degraded"
    assert (report.database.answers, report.database.problem) == (False, "OSError")


@on_sqlite
async def test_without_a_spool_that_is_down(
    vendor: Sandbox, database_url: str, gone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would take a call's row, and so no call is made."""
    monkeypatch.delenv("LLM_SPOOL_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    async with open_llm_services() as llm:
        assert (await llm.health()).status == "down"


async def test_a_database_that_says_nothing_is_not_waited_for() -> None:
    """A silent one holds one thread, however often is asked, and a probe is answered in time."""
    silent, asked = threading.Event(), []
    engine = create_engine("sqlite://")

    @event.listens_for(engine, "do_connect")
    def wait(*_arguments: Any) -> None:
        asked.append(1)
        silent.wait()

    pulse = Pulse(engine, 0.05)
    first, second = await asyncio.gather(pulse.feel(), pulse.feel())
    assert first == second
    assert (first.answers, first.problem) == (False, "TimeoutError")
    assert asked == [1]
    silent.set()
    while not (await pulse.feel()).answers:
        pass
    engine.dispose()


@on_sqlite
async def test_a_probe_asks_each_text_role_once(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only when it is asked to, and each probe is a row of the feature ``health``."""
    monkeypatch.setenv("LLM_ROLES__FAST", "gpt-4.1")
    monkeypatch.setenv("LLM_ROLES__SMART", "openai:gpt-4.1-mini:status=500")
    async with open_llm_services() as llm:
        report = await llm.health(probe=True)
    good, bad = openai(report).probes
    assert (good.model, good.answers, good.error_type) == ("gpt-4.1", True, None)
    assert (bad.answers, bad.error_type) == (False, "ProviderError")
    assert report.status == "degraded"
    assert [(row["feature"], row["operation"]) for row in rows()] == [("health", "chat")] * 2


@on_sqlite
async def test_a_cut_or_refused_word_is_an_answer(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that has reached its cap, or will not say it, is there."""
    monkeypatch.setenv("LLM_ROLES__FAST", "openai:gpt-4.1:refuse")
    monkeypatch.setenv("LLM_ROLES__SMART", "openai:gpt-4.1:refuse")
    async with open_llm_services() as llm:
        report = await llm.health(probe=True)
    assert [probe.answers for probe in openai(report).probes] == [True]
    assert report.status == "ok"


def test_every_retirement_is_told_once() -> None:
    """Names are lower case, and none has two ends."""
    names = [(one.provider, name) for one in RETIREMENTS for name in one.models]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for _, name in names)


@pytest.mark.parametrize(
    ("provider", "model", "day"),
    [
        ("openai", "gpt-5", date(2026, 12, 11)),
        ("openai", "GPT-5-2025-08-07", date(2026, 12, 11)),
        ("openai", "gpt-4-0613", date(2026, 10, 23)),
        ("openai", "gpt-4o-2024-05-13", date(2026, 10, 23)),
        ("openai", "gpt-4o-2024-11-20", date(2027, 1, 14)),
        ("openai", "gpt-5-chat-latest", date(2026, 7, 23)),
        ("anthropic", "claude-sonnet-4-20250514", date(2026, 6, 15)),
        ("gemini", "gemini-2.0-flash-001", date(2026, 6, 1)),
        ("openai", "gpt-6-luna", None),
        ("azure_openai", "gpt-5", None),
        ("openai", "gpt-5.5", None),
    ],
)
def test_a_model_s_end_is_known(provider: str, model: str, day: date | None) -> None:
    """By its name, by that of its snapshot, and for its vendor alone."""
    found = retirement_of(provider, model)
    assert (found and found.day) == day


def configured(patch: pytest.MonkeyPatch, **variables: str) -> LLMConfig:
    """The configuration of these variables."""
    for name, value in variables.items():
        patch.setenv(name, value)
    return create_llm_config_from_env()


def test_roles_that_stand_for_a_retiring_model_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the report and, at start, in the log: everybody's roles, and tenants' own."""
    config = configured(
        monkeypatch,
        LLM_ROLES__SMART="gpt-5",
        LLM_ROLES__FAST="local:gpt-5",
        LLM_TENANT_ROLES__ACME__CHEAP="deepseek:deepseek-chat",
    )
    found = retiring_models(config, PROVIDERS, TODAY)
    told = [(one.role, one.tenant, one.days_left, one.instead) for one in found]
    assert told == [
        ("cheap", "acme", -121, "deepseek-v4-flash"),
        ("smart", None, 19, "gpt-5.5"),
        ("speech", None, 45, None),
    ]
    warn_about_retiring(config, PROVIDERS, TODAY)
    assert [record.getMessage() for record in caplog.records] == [
        "the role 'cheap' of tenant 'acme' stands for deepseek:deepseek-chat, which is shut down "
        "on 2026-07-24; its vendor names deepseek-v4-flash instead",
        "the role 'smart' stands for openai:gpt-5, which is shut down on 2026-12-11; its vendor "
        "names gpt-5.5 instead",
    ]
    warn_about_retiring(LLMConfig(), PROVIDERS, date(2026, 12, 20))
    assert "the role 'speech' stands for openai:gpt-4o-mini-tts" in caplog.text


@on_sqlite
async def test_retiring_models_are_in_the_report_and_in_the_log(
    vendor: Sandbox,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They change nothing about being ready."""
    monkeypatch.setenv("LLM_ROLES__SMART", "o3")
    async with open_llm_services() as llm:
        report = await llm.health()
    assert report.status == "ok"
    assert ("smart", "o3") in {(one.role, one.model) for one in report.retiring}
    assert "the role 'smart' stands for openai:o3" in caplog.text


async def test_a_fake_is_well() -> None:
    """Whoever tests a readiness route of theirs sees it ready."""
    fake = FakeLLMServices()
    report = await fake.health(probe=True)
    assert report.status == "ok"
    assert all(probe.answers for probe in openai(report).probes)
    fake.close()

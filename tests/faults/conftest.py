"""Fixtures of the fault tests: the module asks through a proxy, with a key that nobody may tell."""

import logging
from collections.abc import Iterator

import pytest

from sandbox import Sandbox
from tests.faults.promises import SENTINEL, assert_logs_hold_no_key
from tests.faults.proxy import FaultProxy


@pytest.fixture
def proxy(
    vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[FaultProxy]:
    """The way to both providers, `openai` (Responses) and `house` (Chat Completions).

    Everything is logged at DEBUG, and at the end no record may hold the key.
    """
    caplog.set_level(logging.DEBUG)
    with FaultProxy(vendor.base_url) as way:
        for name, value in {
            "OPENAI_API_KEY": SENTINEL,
            "OPENAI_BASE_URL": way.base_url,
            "LLM_PROVIDERS__HOUSE__API_KEY": SENTINEL,
            "LLM_PROVIDERS__HOUSE__BASE_URL": way.base_url,
            "REQUEST_TIMEOUT": "30",
            "MAX_RETRIES": "1",
        }.items():
            monkeypatch.setenv(name, value)
        yield way
    assert_logs_hold_no_key(caplog.records)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that passes soon."""
    monkeypatch.setenv("REQUEST_TIMEOUT", "1")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff is tested where it is decided: here it would only take its time."""
    monkeypatch.setattr("modules.llm_services.retry.FIRST_WAIT", 0.02)

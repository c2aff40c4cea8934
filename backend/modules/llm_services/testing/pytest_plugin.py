"""Fixtures for tests of code that calls models.

An installed package brings them along (entry point ``pytest11``); elsewhere a top-level
``conftest.py`` says ``pytest_plugins = ["modules.llm_services.testing.pytest_plugin"]``.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .network import block_network

if TYPE_CHECKING:
    from .fake import FakeLLMServices


@pytest.fixture
def fake_llm(no_llm_network: None) -> "Iterator[FakeLLMServices]":  # noqa: ARG001 - a wall
    """A `FakeLLMServices` of the test's own, and no network beside it."""
    from . import FakeLLMServices

    with FakeLLMServices() as fake:
        yield fake


@pytest.fixture
def no_llm_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that reaches for another machine, be it through a real model's adapter."""
    block_network(monkeypatch)

"""The plugin's fixtures, in test suites of their own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from modules.llm_services.public import LLMMessageDTO
from modules.llm_services.testing import FakeLLMServices
from tests.support.migrations import ROOT

PLUGIN = "modules.llm_services.testing.pytest_plugin"
SUITE = """
import asyncio, socket
import pytest
from modules.llm_services.public import LLMMessageDTO

def test_answers(fake_llm):
    messages = [LLMMessageDTO(role="user", content="Hello.")]
    response, _ = asyncio.run(fake_llm.generate_response(messages))
    assert response.content == "Fake answer to: Hello."

def test_fresh(fake_llm):
    fake_llm.assert_not_called()

def test_network(no_llm_network):
    socket.create_connection(("192.0.2.1", 80), timeout=1)
"""


def test_a_suite_of_strangers(tmp_path: Path) -> None:
    """With one line in its conftest a suite has the fixtures; nothing of ours is about it."""
    (tmp_path / "conftest.py").write_text(f'pytest_plugins = ["{PLUGIN}"]\n')
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "backend")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout
    assert "1 failed" in done.stdout
    assert "this test reaches for 192.0.2.1:80" in done.stdout


def test_the_package_brings_it_along() -> None:
    """Installed, nobody has to name it; who does all the same gets it once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_loading_it_costs_little() -> None:
    """Every run of pytest loads it: it waits with everything but pytest."""
    code = f"import sys, pytest, asyncio; import {PLUGIN}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "backend")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"pydantic", "sqlalchemy", "fastapi", "openai"} & set(done.stdout.split())


@pytest.mark.usefixtures("no_llm_network")
async def test_the_fixture(fake_llm: FakeLLMServices) -> None:
    """A fake of the test's own."""
    await fake_llm.generate_response([LLMMessageDTO(role="user", content="Hello.")])
    assert len(fake_llm.calls) == 1

"""Whoever follows ``docs/your-application.md`` to the letter has an application that is tested."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox
from tests.docs.documents import ROOT, blocks

PAGE = blocks((ROOT / "docs/your-application.md").read_text(encoding="utf-8"))
BOTH = """
import os, pytest

plugin = ["-p", "modules.llm_services.testing.pytest_plugin", "-p", "no:cacheprovider"]
assert pytest.main(["-q", *plugin, "-c", os.devnull, "--rootdir=.", "tests"]) == 0

import main
from fastapi.testclient import TestClient
from modules.llm_services.cli.app import app as command

main.app.dependency_overrides.clear()
command(["migrate"], standalone_mode=False)
with TestClient(main.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
    said = client.post("/summaries", json={"body": "Lava is molten rock."})
    assert "Lava" in said.json(), said.text
    shown = client.get("/llm-usage/requests")
    assert "summaries" in shown.text, shown.text
"""


def follow(folder: Path) -> None:
    """Make every file that the page has."""
    for block in PAGE:
        for name in (word.removeprefix("create=") for word in block.words if "create=" in word):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.code, encoding="utf-8")


def python(folder: Path, code: str) -> None:
    """Run it there, as somebody who has installed the package."""
    path = os.pathsep.join([str(folder), str(ROOT / "backend")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_application_answers_and_its_test_passes(
    tmp_path: Path, vendor: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own module is found beside ours; the fake answers in the test, a vendor in earnest."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'app.db'}")
    follow(tmp_path)
    python(tmp_path, BOTH)
    assert [asked.path for asked in vendor.journal()] == ["/v1/responses"]

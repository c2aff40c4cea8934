"""The live tests are tried against the sandbox, so that they work on the day a key is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
ONLY_TRUE = "not pictures and not transcript"
"""The sandbox draws no JPEG and hears nothing: what needs that is tried on the real API alone."""


def live(extra: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What pytest says of the live tests with these variables."""
    for name, value in extra.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "live", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-k", ONLY_TRUE, "tests/live/test_live.py"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    ).stdout


def test_they_pass_where_a_vendor_answers(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key, each of them makes its call and finds what it expects."""
    said = live({"OPENAI_BASE_URL": vendor.base_url}, monkeypatch)
    assert "failed" not in said, said
    assert "passed" in said, said


def test_they_are_skipped_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, they say so."""
    said = live({}, monkeypatch)
    assert "OPENAI_API_KEY is not set" in said
    assert "passed" not in said

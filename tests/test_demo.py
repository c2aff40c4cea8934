"""The demo as its user runs it: it shows what happened, says what failed, and ends by itself."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.__main__ import main
from modules.shared.db import engine_for

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "Tides are made by the Moon. The Sun makes tides as well. Spring tides are high tides."


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left behind."""

    code: int | str | None
    out: str
    err: str


Demo = Callable[..., Ran]


@pytest.fixture
def environment() -> Iterator[None]:
    """Puts the environment back, which the demo sets up for itself."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], environment: None) -> Iterator[Demo]:
    """Runs the demo in this process, on a database and a source of its own."""
    database, source = tmp_path / "demo.db", tmp_path / "tides.md"
    source.write_text(SOURCE, encoding="utf-8")

    def run(*arguments: str, **variables: str) -> Ran:
        os.environ.update(variables)
        code: int | str | None
        try:
            code = main(["--database", str(database), "--source", str(source), *arguments])
        except SystemExit as stop:
            code = stop.code
        return Ran(code, *capsys.readouterr())

    yield run
    engine_for(f"sqlite:///{database}").dispose()
    engine_for.cache_clear()


def test_the_demo_shows_a_lesson_and_its_ledger(tmp_path: Path) -> None:
    """The command makes the bundled source a whole lesson; sandbox and ledger agree; exit 0."""
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--database", str(tmp_path / "demo.db")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "backend")},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "SANDBOX" in done.stdout
    for heading in ("What you will learn", "Glossary", "Questions", "Ledger"):
        assert heading in done.stdout
    assert done.stdout.count("✓") == 5
    assert max(map(len, done.stdout.splitlines())) < 110
    rows = re.findall(r"^\d\d:\d\d:\d\d .* completed$", done.stdout, re.MULTILINE)
    assert re.search(rf"^total +{len(rows)} requests ", done.stdout, re.MULTILINE)
    assert f"saw {len(rows)} requests, the ledger has {len(rows)} attempts" in done.stdout


@pytest.mark.parametrize(
    ("vendor", "model"), [("anthropic", "claude-opus-5-5"), ("gemini", "gemini-4-argon")]
)
def test_one_variable_makes_it_another_vendors_demo(demo: Demo, vendor: str, model: str) -> None:
    """The same lesson on the vendor's wire format, by the vendor's SDK, at the vendor's prices."""
    ran = demo(LLM_PROVIDER=vendor)
    assert ran.code == 0, ran
    assert re.search(rf" outline +{model} .* 0\.0\d+ .* 1  completed", ran.out)
    assert "gpt-" not in ran.out.partition("Ledger")[2]
    assert "they agree" in ran.out


def test_an_unknown_price_is_not_zero(demo: Demo) -> None:
    """A model that nobody knows a price for costs `unknown`, and the total counts it."""
    ran = demo(OPENAI_MODEL="nobodys-model")
    assert ran.code == 0, ran
    assert re.search(r"nobodys-model .* unknown ", ran.out)
    assert "without a known price" in ran.out


def test_retries_are_counted_as_attempts(demo: Demo) -> None:
    """A request that needed two attempts says so, and the check still agrees."""
    ran = demo(LLM_ROLES__SMART="openai:sandbox-fault:status=500,retry_after_ms=1,times=1")
    assert ran.code == 0, ran
    assert re.search(r" outline .* 2  completed", ran.out)
    assert "they agree" in ran.out


def test_a_part_that_fails_is_told(demo: Demo) -> None:
    """The rest of the lesson is shown, then what is missing and why; exit code 1."""
    ran = demo(LLM_ROLES__FAST="openai:sandbox-fault:refuse", OPENAI_MODEL="gpt-6-luna")
    assert ran.code == 1, ran
    assert "1. " in ran.out
    assert "Missing" in ran.out
    assert "glossary: Refused" in ran.out
    assert "they agree" in ran.out


def test_a_lesson_that_fails_is_told(demo: Demo) -> None:
    """Without an outline the backend's problem is shown, and the ledger all the same."""
    ran = demo(LLM_ROLES__SMART="openai:sandbox-fault:code=insufficient_quota")
    assert ran.code == 1, ran
    assert "No lesson" in ran.out
    assert re.search(r"^total +1 request .* unknown ", ran.out, re.MULTILINE)
    assert "failed (QuotaExceeded)" in ran.out
    assert ran.err == ""


def test_a_sandbox_run_never_uses_the_users_key(demo: Demo) -> None:
    """Keys and addresses in the environment stay unused without --live."""
    ran = demo(
        OPENAI_API_KEY="real",
        LLM_OPENAI_API_KEY="real",
        LLM_OPENAI_BASE_URL="https://api.openai.invalid/v1",
        LLM_PROVIDERS__OPENAI__BASE_URL="https://api.openai.invalid/v1",
    )
    assert ran.code == 0, ran


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "can't be read"), (b" \n", "is empty"), (b"\xff\xfe\x00", "is not UTF-8")],
    ids=["missing", "empty", "binary"],
)
def test_a_source_that_can_not_be_used_is_told(
    demo: Demo, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    """One clear line and exit code 2, before anything is set up."""
    path = tmp_path / "source.txt"
    if content is not None:
        path.write_bytes(content)
    ran = demo("--source", str(path))
    assert ran.code == 2
    assert complaint in ran.err
    assert not (tmp_path / "demo.db").exists()


@pytest.mark.parametrize("variable", [False, True], ids=["option", "variable"])
def test_a_live_run_needs_a_key(demo: Demo, variable: bool) -> None:  # noqa: FBT001 - a parameter
    """Without a key the real API is not tried."""
    ran = demo(LIVE="1") if variable else demo("--live")
    assert ran.code == 2
    assert "OPENAI_API_KEY" in ran.err


def test_a_source_that_the_backend_refuses_is_told(demo: Demo, tmp_path: Path) -> None:
    """The backend's own reason is shown."""
    path = tmp_path / "long.txt"
    path.write_text("word " * 50_000)
    ran = demo("--source", str(path))
    assert ran.code == 1
    assert "at most 200,000" in ran.out


def test_a_database_that_is_none_is_told(demo: Demo, tmp_path: Path) -> None:
    """A file that is no database is left alone, with one clear line and exit code 1."""
    (tmp_path / "demo.db").write_text("This is no database." * 100)
    ran = demo()
    assert ran.code == 1
    assert "can't be used" in ran.err
    assert (tmp_path / "demo.db").read_text().startswith("This is")


def test_a_setting_that_makes_no_sense_is_told(demo: Demo) -> None:
    """A wrong variable is named instead of a traceback."""
    ran = demo(MAX_RETRIES="many")
    assert ran.code == 1
    assert "MAX_RETRIES" in ran.err
    assert "Traceback" not in ran.err

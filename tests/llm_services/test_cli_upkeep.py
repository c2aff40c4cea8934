"""The command line of operators: forgetting, money, cache, budgets, replays, batches."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer

from modules.llm_services.cli import running
from modules.llm_services.cli.commands import batch, forgetting
from modules.llm_services.cli.progress import progress
from modules.llm_services.ids import uuid7
from modules.llm_services.public import BatchState, BatchStatusDTO, open_llm_services_admin
from modules.llm_services.recording import spool_of
from modules.llm_services.recording.lines import SpooledRow, line_of
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.support.command_line import answer, run
from tests.support.ledger import Lock, rows
from tests.support.overview import TODAY, a_row, insert_rows

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("database_url", "vendor"),
]
ADA = UUID(int=7)
OLD = TODAY - timedelta(days=40)


def left_behind(folder: Path) -> None:
    """A row of Ada's that a process which is gone left in its spool."""
    row = {
        "id": uuid7(),
        "user_id": ADA,
        "created_at": datetime.now(UTC),
        "status": "completed",
        "provider": "openai",
        "model": "gpt-5",
        "operation": "chat",
        "payload_state": "full",
        "messages": [{"role": "user", "content": "secret words"}],
        "input_preview": "secret",
    }
    own = spool_of(folder, get_engine().url).folder
    assert own
    own.mkdir(parents=True)
    (own / f"{uuid7()}.jsonl").write_bytes(line_of(SpooledRow(opens=True, row=row)))


def test_purging_says_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content and rows by age; what is left for the next run is a failure."""
    insert_rows([a_row(created_at=OLD, payload_state="full") for _ in range(2)])
    assert answer("purge") == {"scrubbed": 0, "deleted": 0, "remaining": 0, "finished": True}
    monkeypatch.setenv("LLM_PAYLOAD_RETENTION_DAYS", "30")
    left = run("purge", "--budget", "1e-9")
    assert (left.exit_code, left.stdout) == (
        1,
        "0 rows lost their content, 0 are gone, 2 left: run it again\n",
    )
    monkeypatch.setattr(forgetting, "_SLICE", 1e-9)
    assert run("purge", "--budget", "0.05").exit_code == 1
    monkeypatch.setattr(forgetting, "_SLICE", 60)
    assert run("purge").stdout == "2 rows lost their content, 0 are gone\n"
    monkeypatch.setenv("LLM_ROW_RETENTION_DAYS", "30")
    assert answer("purge")["deleted"] == 2
    assert run("purge", "--budget", "0").exit_code == 2


def test_a_user_is_erased_after_a_question() -> None:
    """Nothing happens until somebody says yes."""
    insert_rows([a_row(user_id=ADA, payload_state="full"), a_row(payload_state="full")])
    refused = run("erase-user", str(ADA), given="n\n")
    assert (refused.exit_code, len(answer("logs", "list", "--user", str(ADA)))) == (2, 1)
    assert "nothing was erased" in refused.stderr
    done = run("erase-user", str(ADA), given="y\n")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "1 rows lost content and user")
    assert answer("erase-user", str(ADA), "--yes")["erased"] == 0


def test_an_erasure_reaches_what_waits_on_disk(tmp_path: Path) -> None:
    """Rows that a process left in its spool are brought to the database first."""
    left_behind(tmp_path / "spool")
    assert answer("erase-user", str(ADA), "--yes") == {
        "erased": 1,
        "remaining": 0,
        "finished": True,
        "spooled": 0,
    }
    [row] = rows()
    assert (row["user_id"], row["payload_state"]) == (None, "purged")
    assert "secret" not in json.dumps(row, default=str)


async def test_an_erasure_that_leaves_rows_on_disk_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the database did not take in time is told, and the erasure is to be done again."""
    monkeypatch.setenv("LLM_WRITE_TIMEOUT", "0.2")
    async with open_llm_services_admin() as admin:
        lock = Lock(get_engine())
        left_behind(tmp_path / "spool")
        report = await admin.erase_user(ADA, budget=0.3)
        lock.release()
        assert (report.spooled, report.finished) == (1, False)
        assert (await admin.erase_user(ADA)).finished


def test_an_erasure_that_is_not_finished_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that relies on it hears of it."""
    monkeypatch.setenv("LLM_WRITE_TIMEOUT", "0.2")
    left_behind(tmp_path / "spool")
    lock = Lock(get_engine())
    result = run("erase-user", str(ADA), "--yes", "--budget", "0.3")
    lock.release()
    assert result.exit_code == 1
    assert "1 rows wait on disk" in result.stderr


def test_rows_are_priced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Day by day, first as a trial; the sums are those of all days together."""
    used = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "cost_source": "unknown"}
    insert_rows(
        [a_row(model="house", created_at=TODAY - timedelta(days=n), **used) for n in (0, 2)]
    )
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps([{"provider": "*", "model": "house", "input_per_mtok": 2, "output_per_mtok": 3}])
    )
    monkeypatch.setenv("LLM_PRICE_OVERRIDES", str(prices))
    trial = run("recost", "--since", "3d", "--dry-run").stdout
    assert "2 rows looked at, 2 would change, 0 unknown" in trial
    assert "0 USD before, 4" in trial
    done = answer("recost", "--since", "3d")
    assert (done["changed"], float(done["cost_after"]), len(done["days"])) == (2, 4.0, 2)
    assert "0 changed" in run("recost", "--since", "3d").stdout
    assert answer("recost", "--since", "3d", "--all")["looked_at"] == 2
    assert run("recost", "--since", "today", "--until", "yesterday").exit_code == 2


def test_a_day_is_held_against_the_bill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the key it says which is missing."""
    refused = run("reconcile", "yesterday")
    assert (refused.exit_code, "LLM_OPENAI_ADMIN_KEY is not set" in refused.stderr) == (2, True)
    monkeypatch.setenv("LLM_OPENAI_ADMIN_KEY", "sk-admin-1")
    assert "ledger USD\t0" in run("reconcile", "yesterday").stdout
    assert answer("reconcile", "2026-01-01")["requests"] == 0
    run("ask", "-q", "What is lava?")
    today = run("reconcile", "today").stdout
    assert "requests\t1" in today
    assert "drift\t" in today


def test_the_cache_is_looked_at_and_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it saved, by model and feature; nothing is forgotten unless it is said what."""
    monkeypatch.setenv("LLM_CACHE_DIR", str(tmp_path / "cache"))
    for _ in range(2):
        run("ask", "What is lava?", "--cache", "--tenant", "acme", "--json")
    lines = [line.split("\t") for line in run("cache", "stats").stdout.splitlines()]
    assert lines[1][:4] == ["openai:gpt-6-luna", "cli", "1", "1"]
    assert float(lines[-1][4]) > 0
    assert answer("cache", "stats", "--since", "1d")["hits"] == 1
    assert run("cache", "clear").exit_code == 2
    assert answer("cache", "clear", "--older-than", "1d") == {"answers": 0}
    assert run("cache", "clear", "--tenant", "acme").stdout == "1 answers forgotten\n"
    assert run("cache", "clear", "--all").stdout == "0 answers forgotten\n"


def test_budgets_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each limit: what is spent, reserved and left."""
    none = run("budget")
    assert (none.exit_code, "no budget holds" in none.stderr) == (0, True)
    limits = [{"scope": "tenant", "period": "day", "usd": 1.5, "tokens": 1000}]
    monkeypatch.setenv("LLM_BUDGETS", json.dumps(limits))
    lines = [x.split("\t") for x in run("budget", "--tenant", "acme").stdout.splitlines()]
    assert lines[1][:4] == ["tenant", "acme", "day", "1.5 USD"]
    assert lines[2][3:7] == ["1000 tokens", "0 tokens", "0 tokens", "1000 tokens"]
    [found] = answer("budget", "--tenant", "acme")
    assert (found["limit_usd"], found["limit_tokens"]) == ("1.5", 1000)
    monkeypatch.setenv("LLM_BUDGETS", json.dumps([{"scope": "all", "period": "day", "usd": 2}]))
    assert answer("budget")[0]["limit_tokens"] is None


def test_logged_requests_are_made_again() -> None:
    """One on another model, or several side by side; or only what they would cost."""
    run("ask", "What is lava?", "--feature", "quiz")
    [row] = rows()
    again = run("replay", row["id"], "--model", "smart")
    assert again.exit_code == 0
    assert "row " in again.stderr
    assert answer("replay", row["id"])["model"] == row["model"]
    assert {str(one["replay_of"]) for one in rows()[1:]} == {row["id"]}
    lines = run("compare", row["id"], "--on", "smart").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["MODEL", "as logged", "openai:gpt-6.1-sol"]
    guessed = answer("compare", "--feature", "quiz", "--on", "smart", "--estimate")
    assert (guessed["estimated"], isinstance(guessed["models"][0]["cost"], str)) == (True, True)
    for wrong in (("--on", "smart"), (row["id"], "--on", "smart", "--feature", "quiz")):
        assert run("compare", *wrong).exit_code == 2


def test_a_comparison_says_what_it_leaves_out() -> None:
    """Requests that cannot be made again, and that others fit."""
    run("ask", "-q", "What is lava?")
    run("ask", "-q", "What is ash?")
    insert_rows([a_row(operation="chat", payload_state="none")])
    found = run("compare", "--since", "1d", "--on", "smart", "-n", "2")
    assert found.exit_code == 0
    assert "left out: " in found.stderr
    assert "there are more that fit" in found.stderr


def test_a_batch_goes_on_where_it_was(tmp_path: Path, vendor: Sandbox) -> None:
    """Interrupted after it was handed over, it is not handed over again; results are all there."""
    given, results = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text(
        '{"prompt": "What is lava?", "system": "Be brief.", "parameters": {"max_tokens": 99}}\n\n'
        '{"key": "ash", "messages": [{"role": "user", "content": "What is ash?"}]}\n'
    )
    words = ("batch", "run", str(given), str(results), "--interval", "0.1")
    results.mkdir()  # so that the first run fails at its end
    broken = run(*words)
    assert (broken.exit_code, "out.jsonl" in broken.stderr) == (1, True)
    results.rmdir()
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "going on with batch" in done.stderr
    lines = {line["key"]: line for line in map(json.loads, results.read_text().splitlines())}
    assert set(lines) == {"1", "ash"}
    assert {line["request_id"] for line in lines.values()} == {row["id"] for row in rows()}
    assert all(line["content"] and float(line["cost_estimate"]) for line in lines.values())
    assert len([entry for entry in vendor.journal() if entry.path == "/v1/batches"]) == 1
    batch_id = done.stderr.split("batch ")[1].split()[0]
    assert "completed\t2\t2\t0" in run("batch", "status", batch_id).stdout
    assert answer("batch", "status", batch_id)["total"] == 2
    again = answer("batch", "collect", batch_id, str(tmp_path / "again.jsonl"))
    assert (again["requests"], again["failed"]) == (2, 0)


def test_requests_of_a_batch_that_fail_are_told(tmp_path: Path) -> None:
    """Each line has its error, and the command fails."""
    given, results = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text('{"prompt": "What is lava?"}\n')
    model = "openai:gpt-4o:batch=expired"
    done = run("batch", "run", str(given), str(results), "-m", model, "--interval", "0.1")
    assert (done.exit_code, "1 results, 1 of them failed" in done.stdout) == (1, True), done.output
    [line] = map(json.loads, results.read_text().splitlines())
    assert (line["content"], line["cost_estimate"]) == (None, None)
    assert line["error"]["class"].startswith("LLM")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "in.jsonl:1: no JSON"),
        ("[]", 'in.jsonl:1: a line is {"prompt": …}'),
        ('{"prompt": "a", "messages": []}', "in.jsonl:1: a line is"),
        ('\n{"prompt": "a", "modle": "b"}', "in.jsonl:2: 'modle' is none of key, messages"),
        ('{"messages": ["a"]}', "in.jsonl:1: a line is"),
        ('{"prompt": "a", "parameters": {"temprature": 1}}', "temprature"),
        ("\udcff", "in.jsonl: it is no UTF-8"),
        (None, "in.jsonl: No such file"),
    ],
)
def test_a_file_that_is_no_batch_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    """With the line, before anything is sent."""
    given = tmp_path / "in.jsonl"
    if text is not None:
        given.write_bytes(text.encode(errors="surrogateescape"))
    result = run("batch", "run", str(given), str(tmp_path / "out.jsonl"))
    assert (result.exit_code, rows()) == (2, [])
    assert said in result.stderr


def test_what_is_kept_of_a_batch_belongs_to_its_input(tmp_path: Path) -> None:
    """Another input, or a file that nobody can read, is not taken for what is under way."""
    given, kept = tmp_path / "in.jsonl", tmp_path / "out.jsonl.batch"
    given.write_text('{"prompt": "a"}\n')
    for text, said in (('{"id": "x", "input": "y"}', "of another input"), ("{", "cannot be read")):
        kept.write_text(text)
        result = run("batch", "run", str(given), str(tmp_path / "out.jsonl"))
        assert (result.exit_code, said in result.stderr) == (2, True)


async def test_a_batch_is_waited_for() -> None:
    """Looked at until it has ended."""
    left: list[BatchState] = ["in_progress", "completed"]

    class Vendor:
        async def batch_status(self, name: str) -> BatchStatusDTO:
            return BatchStatusDTO(
                id=name,
                status=left.pop(0),
                total=1,
                completed=0,
                failed=0,
                created_at=OLD,
            )

    vendor: Any = Vendor()
    await batch._wait(vendor, "x", 0)
    assert left == []


def test_a_file_that_cannot_be_written_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With its name; a reader of ours that has gone is typer's to end."""

    async def refused() -> None:
        raise PermissionError(13, "Permission denied", "out.jsonl")

    async def gone() -> None:
        raise BrokenPipeError

    with pytest.raises(typer.Exit):
        running.run(refused)
    assert "out.jsonl: Permission denied" in capsys.readouterr().err
    with pytest.raises(BrokenPipeError):
        running.run(gone)


def test_models_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all roles with prices, windows and ends; unknown is not 0."""
    monkeypatch.setenv("LLM_ROLES__SMART", "openai:gpt-4o,anthropic:claude-x,house:m")
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", "http://127.0.0.1:9")
    shown = run("models")
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert ["smart", "openai:gpt-4o", "2.5", "10", "128000", "2027-01-14"] in lines
    assert ["smart", "house:m", "-", "-", "-", "-"] in lines
    assert "anthropic: ANTHROPIC_API_KEY is not set" in shown.stderr
    found = {one["model"]: one for one in answer("models") if one["role"] == "smart"}
    assert (found["gpt-4o"]["input_cost"], found["m"]["input_cost"]) == ("2.5", None)


def test_a_bar_is_shown_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, and nothing in a pipe."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("pricing") as tell:
            tell(3, 4)
        assert ("3/4" in stream.getvalue()) == shown

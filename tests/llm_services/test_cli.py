"""The command line: asking, and reading the ledger."""

import asyncio
import io
import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import typer
from rich.text import Text

from modules.llm_services.cli import main as entry
from modules.llm_services.cli import options, output, running
from modules.llm_services.cli.commands import logs
from modules.llm_services.cli.following import Follower
from modules.llm_services.cli.schemas import model_of
from modules.llm_services.cli.visible import one_line, visible
from modules.llm_services.public import (
    LLMInputError,
    LLMRequestDTO,
    RequestFilter,
    RequestPage,
)
from sandbox import Sandbox, png
from tests.architecture.sources import BACKEND
from tests.support.command_line import answer, run, start
from tests.support.ledger import rows
from tests.support.overview import TODAY, a_row, insert_rows

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("database_url", "vendor"),
]
PATIENCE = 60
HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold]x[/bold]\r\u202egpj.exe\nnext\x9b31m"


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_prompt_is_answered_and_recorded() -> None:
    """The answer is all of stdout; what is known of it is on stderr; the row says who asked."""
    user = uuid4()
    result = run(
        "ask", "What is lava?", "--user", str(user), "--system", "Be brief.", "--tenant", "a"
    )
    [row] = rows()
    assert (result.exit_code, result.stdout) == (0, f"{row['response_content']}\n")
    assert f"row {row['id']}" in result.stderr
    assert "openai:gpt-6-luna, " in result.stderr
    assert " USD, " in result.stderr
    assert (row["status"], row["feature"], row["tenant"], row["stream"]) == (
        "completed",
        "cli",
        "a",
        1,
    )
    assert row["user_id"] == str(user)
    assert json.loads(row["messages"])[0] == {"role": "system", "content": "Be brief."}


def test_the_prompt_may_come_from_stdin_and_the_note_be_left_out() -> None:
    """``llm-services ask -q < file`` prints the answer and nothing else."""
    result = run("ask", "-q", given="What is ash?")
    assert json.loads(rows()[0]["messages"])[0]["content"] == "What is ash?"
    assert (result.exit_code, result.stderr) == (0, "")


def test_json_answers_have_money_as_text() -> None:
    """One line with the answer, the row's id and the cost as the ledger has it."""
    found = answer("ask", "What is lava?", "--role", "smart", "--max-tokens", "500")
    [row] = rows()
    assert (found["request_id"], found["content"]) == (row["id"], row["response_content"])
    assert float(found["cost_estimate"]) == row["cost_estimate"]
    assert isinstance(found["cost_estimate"], str)
    assert found["tokens_used"] == row["tokens_used"]


def test_an_estimate_sends_nothing(vendor: Sandbox) -> None:
    """It says about what an answer costs."""
    assert "nothing was sent" in run("ask", "What is lava?", "--estimate").stdout
    assert float(answer("ask", "What is lava?", "--estimate")["cost_usd"]) > 0
    assert (rows(), vendor.journal()) == ([], [])


def test_pictures_and_schemas_go_along(tmp_path: Path) -> None:
    """A picture is looked at; an answer that has to fit a schema does."""
    picture, schema = tmp_path / "a.png", tmp_path / "schema.json"
    picture.write_bytes(png.encode(16, 16, [bytes(16)] * 16, [(9, 9, 9)]))
    schema.write_text(json.dumps(CITY))
    found = answer("ask", "What is this?", "--image", str(picture), "--schema", str(schema))
    assert set(found["object"]) <= {"name", "inhabitants", "river", "kind", "parts"}
    assert isinstance(found["object"]["inhabitants"], int)
    assert found["request_id"] == rows()[0]["id"]
    shown = run("ask", "Vienna", "--schema", str(schema))
    assert isinstance(json.loads(shown.stdout), dict)
    assert "row " in shown.stderr


CITY: dict[str, Any] = {
    "type": "object",
    "description": "A city.",
    "properties": {
        "name": {"type": "string", "description": "What it is called"},
        "inhabitants": {"type": "integer", "minimum": 0},
        "river": {"type": ["string", "null"]},
        "kind": {"enum": ["town", "city"]},
        "parts": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
    },
    "required": ["name", "inhabitants", "kind", "parts"],
}


def test_a_schema_becomes_a_class() -> None:
    """What fits is taken with its own names, and what does not is refused."""
    city = model_of(json.dumps(CITY).encode())
    good = {"name": "Linz", "inhabitants": 1, "kind": "city", "parts": [{"name": "Urfahr"}]}
    assert city.model_validate(good).model_dump(by_alias=True, exclude_unset=True) == good
    assert city.__doc__ == "A city."
    for wrong in ({"inhabitants": -1}, {"kind": "village"}, {"more": 1}, {"parts": [{"name": 1}]}):
        with pytest.raises(ValueError, match=r"validation error"):
            city.model_validate({**good, **wrong})
    both = {"type": "object", "properties": {"id": {"type": ["integer", "string"]}}}
    union = model_of(json.dumps(both).encode())
    assert [union.model_validate({"id": one}) for one in (1, "x")]
    const = {"type": "object", "properties": {"id": {"const": "x"}}}
    with pytest.raises(ValueError, match="literal"):
        model_of(json.dumps(const).encode()).model_validate({"id": "y"})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "no JSON"),
        ("[]", 'must be an object with "type": "object"'),
        ('{"type": "object"}', "Answer must have properties"),
        ('{"type": "object", "properties": {"a": 1}}', r"Answer\.a must be an object"),
        ('{"type": "object", "properties": {"a": {"$ref": "x"}}}', r"Answer\.a: '\$ref' cannot"),
        ('{"type": "object", "properties": {"a": {"type": "date"}}}', "type 'date' is none of"),
        ('{"type": "object", "properties": {"a": {"type": "array"}}}', "what its items are"),
        ('{"type": "object", "properties": {"a": {"enum": [1.5]}}}', "enum must list"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: str, said: str) -> None:
    """Before anything is sent, with the place."""
    with pytest.raises(LLMInputError, match=said):
        model_of(schema.encode())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ask", "x", "--model", "openai:gpt-4o:status=401"), 1, "HTTP 401"),
        (
            ("ask", "x", "--model", "openai:gpt-4o:status=429", "--timeout", "0.5"),
            1,
            "trying again",
        ),
        (("ask", "x", "--model", "nobody:x"), 2, "names the provider 'nobody'"),
        (("ask", "x", "--model", "a", "--role", "b"), 2, "give one"),
        (("ask", "x", "--role", "clever"), 2, "clever: roles are embedding, fast, image"),
        (("ask", "x", "--image", "nowhere.png"), 2, "nowhere.png: No such file"),
        (("ask", "x", "--temperature", "9"), 2, "temperature must be"),
        (("logs", "show", str(UUID(int=1))), 1, "there is no row"),
        (("logs", "show", "x"), 2, "Invalid value"),
        (("logs", "list", "--since", "soon"), 2, "is no time"),
        (("logs", "list", "--status", "maybe"), 2, "status must be"),
        (("logs", "follow", "--status", "maybe"), 2, "status must be"),
        (("usage", "--by", "moon"), 2, "by must be one of"),
    ],
)
def test_errors_are_a_line_and_a_code(words: tuple[str, ...], code: int, said: str) -> None:
    """1: it failed. 2: it was asked for wrongly. No traceback in either."""
    result = run(*words)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert (result.stdout, "Traceback" in result.stderr) == ("", False)


def test_errors_are_json_too() -> None:
    """Programs read the class, whether to try again, and the row."""
    result = run("ask", "x", "--model", "openai:gpt-4o:status=401", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["kind"]) == (1, "error")
    assert said["data"]["class"] == "LLMAuthenticationError"
    assert said["data"]["request_id"] == rows()[0]["id"]
    shown = run("logs", "show", rows()[0]["id"])
    assert "error_type: Authentication" in shown.stdout
    assert "--- answer ---" not in shown.stdout
    assert "sk-sandbox" not in result.output + shown.output


def test_a_database_that_is_not_there_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the way to find out more."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/no/such/folder.db")
    result = run("logs", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llm-services doctor" in result.stderr


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("sqlite:///{}/new.db", 1, "table llm_budget_periods, table llm_owners"),
        ("nonsense", 2, "DATABASE_URL is no URL"),
        ("mysql+pymysql://u:pw-secret@h/d", 2, "the driver pymysql is not installed"),
    ],
)
def test_a_database_that_cannot_serve_is_a_line(
    url: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that is new says what makes the tables; no traceback, no password."""
    monkeypatch.setenv("DATABASE_URL", url.format(tmp_path))
    result = run("logs", "list")
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert "pw-secret" not in result.output
    assert ("run llm-services migrate" in result.stderr) == url.startswith("sqlite")


def test_a_module_that_is_missing_elsewhere_is_a_fault_to_be_seen() -> None:
    """Only a database's driver is the user's to install."""

    async def work() -> None:
        raise ModuleNotFoundError("No module named 'x'", name="x")

    with pytest.raises(ModuleNotFoundError):
        running.run(work)


def test_rows_are_listed_filtered_and_paged() -> None:
    """Everything that is given has to fit; the cursor goes on; pages larger than one are joined."""
    user = uuid4()
    insert_rows([a_row(user_id=user, feature="quiz", status="failed", error_type="Timeout")])
    insert_rows([a_row(model=f"m{n}", cost_estimate=0.1, tokens_used=7) for n in range(203)])
    insert_rows([a_row(created_at=TODAY - timedelta(days=9))])
    assert len(answer("logs", "list", "-n", "500")) == 205
    assert len(answer("logs", "list", "-n", "500", "--since", "2d")) == 204
    wanted = ("--user", str(user), "--feature", "quiz", "--error", "Timeout", "--status", "failed")
    [failed] = answer("logs", "list", *wanted)
    assert (failed["user_id"], failed["error_type"]) == (str(user), "Timeout")
    first = run("logs", "list", "-n", "1")
    cursor = first.stderr.split()[-1]
    second = run("logs", "list", "-n", "1", "--after", cursor).stdout.splitlines()
    assert second[0].split("\t")[:3] == ["TIME", "ID", "STATUS"]
    assert second[1].split("\t")[2:4] == ["completed", "openai:m201"]
    assert second[1].split("\t")[7:] == ["0.1", "-"]


def test_a_row_is_shown_whole() -> None:
    """Messages, answer, attempts, and every known fact; the same as JSON."""
    run("ask", "What is lava?")
    [row] = rows()
    shown = run("logs", "show", row["id"]).stdout
    assert "--- user ---\nWhat is lava?" in shown
    assert f"--- answer ---\n{row['response_content']}" in shown
    assert "\nattempt {" in shown
    assert "status: completed" in shown
    assert "error_type" not in shown
    found = answer("logs", "show", row["id"])
    assert found["messages"] == [{"role": "user", "content": "What is lava?"}]
    assert found["cost_estimate"] == f"{row['cost_estimate']:.7f}"
    assert found["created_at"].endswith("Z")


def test_content_does_not_reach_the_terminal_as_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes, carriage returns, marks of direction and markup are shown as what they are."""
    parts = [{"type": "text", "text": HOSTILE}]
    row = a_row(
        feature=HOSTILE,
        model=HOSTILE,
        response_content=HOSTILE,
        messages=[{"role": HOSTILE, "content": parts}, {"role": "user", "content": HOSTILE}],
    )
    insert_rows([row])
    shown = [
        run("logs", "list").stdout,
        run("logs", "show", str(row["id"])).stdout,
        run("usage", "--by", "feature").stdout,
        run("logs", "list", "--json").stdout,
    ]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.show_table(["a", "b"], [[HOSTILE, 1]])
    for text in (*shown, Text.from_ansi(terminal.getvalue()).plain):
        assert not set(text) & set("\x1b\x07\r\x9b\u202e")
    assert "[bold]x[/bold]" in terminal.getvalue()
    assert shown[0].count("\n") == 2
    assert json.loads(shown[3])["data"][0]["feature"] == HOSTILE
    assert visible("a\r\nb\tc") == "a\nb\tc"
    assert one_line("a\nb\x1b") == r"a\nb\x1b"


def test_usage_and_cost_add_up() -> None:
    """Split and in all; what has no price is told, not counted as nothing."""
    user = uuid4()
    insert_rows([a_row(cost_estimate=0.1, prompt_tokens=5, completion_tokens=2, user_id=user)] * 1)
    insert_rows([a_row(model="gpt-x", prompt_tokens=1, cost_source="unknown", maybe_paid=True)])
    insert_rows(
        [a_row(model="gpt-y", usage_source="estimated", prompt_tokens=1, cost_estimate=0.2)]
    )
    lines = [line.split("\t") for line in run("usage").stdout.splitlines()]
    assert lines[0] == ["MODEL", "REQUESTS", "FAILED", "CACHED", "TOKENS", "COST USD", "UNPRICED"]
    assert lines[-1] == ["all", "3", "0", "0", "9", "0.3", "1"]
    assert ["gpt-x", "1", "0", "0", "1", "-", "1"] in lines
    assert answer("usage", "--by", "user")["totals"]["cost"] == "0.3"
    assert run("usage", "--by", "user").stdout.count(str(user)) == 1
    spent = run("cost", "--by", "model", "--since", "today")
    assert "no price is known for openai:gpt-x: 1 requests" in spent.stderr
    assert "1 requests may have been charged" in spent.stderr
    assert "1 requests have tokens that were counted here" in spent.stderr
    assert answer("cost")["health"]["maybe_paid"] == 1
    assert run("cost", "--until", "yesterday").stderr.startswith("prices: ")


def test_times_are_written_as_people_do() -> None:
    """Ago, days, ISO with or without a zone: UTC unless it says otherwise."""
    assert options.moment("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert options.moment("2026-11-01T12:00+02:00") == datetime(2026, 11, 1, 10, tzinfo=UTC)
    ago = datetime.now(UTC) - options.moment("3h")
    assert timedelta(hours=2) < ago < timedelta(hours=4)
    assert options.moment("today") - options.moment("yesterday") == timedelta(days=1)
    assert options.day("2026-11-01T23:00-02:00").isoformat() == "2026-11-02"
    for wrong in ("", "7", "7y", "tomorrow", "2026-13-01", "9999999d"):
        with pytest.raises(typer.BadParameter, match="is no time"):
            options.moment(wrong)


def a_dto(number: int, status: str) -> LLMRequestDTO:
    """A row that has just begun."""
    begun = datetime.now(UTC) + timedelta(seconds=1)
    known: dict[str, Any] = {"id": UUID(int=number), "status": status, "created_at": begun}
    return LLMRequestDTO.model_construct(**known)


def a_page(*found: LLMRequestDTO, more: str | None = None) -> RequestPage:
    """A page of rows."""
    return RequestPage.model_construct(items=found, next_cursor=more)


def test_the_follower_tells_each_row_once() -> None:
    """When it has ended, in the order of their beginning, on however many pages."""
    failed, done = a_dto(1, "failed"), a_dto(2, "completed")
    pages = [a_page(a_dto(2, "pending"), more="x"), a_page(failed), a_page(done, failed)]
    asked: list[str | None] = []

    def find(_since: datetime, after: str | None) -> RequestPage:
        asked.append(after)
        return pages[len(asked) - 1]

    follower = Follower(find)
    assert (follower.ended(), follower.ended()) == ([failed], [done])
    assert asked == [None, "x", None]


async def said_by(read: Callable[[], str]) -> str:
    """The first words that can be read."""
    for _ in range(PATIENCE * 100):
        if said := read():
            return said
        await asyncio.sleep(0.01)
    return ""


@pytest.mark.parametrize("as_json", [True, False])
async def test_what_is_followed_may_be_chosen(
    as_json: bool,  # noqa: FBT001 - a parameter of the test
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By what is known at the beginning, and by what is known only at the end."""
    fits = {"status": "failed", "error_type": None}
    following = asyncio.create_task(
        logs._follow(RequestFilter(feature="quiz"), fits, 0.01, as_json=as_json)
    )
    assert "following" in await said_by(lambda: capsys.readouterr().err)
    later = datetime.now(UTC) + timedelta(seconds=1)
    given = [("quiz", "failed"), ("quiz", "completed"), ("other", "failed")]
    insert_rows([a_row(feature=f, status=s, created_at=later) for f, s in given])
    said = await said_by(lambda: capsys.readouterr().out)
    following.cancel()
    assert said.count("\n") == 1
    assert "failed" in said
    assert "quiz" in said


def test_ctrl_c_has_its_own_code() -> None:
    """130, as shells have it; where it is the way to end, 0."""

    async def work() -> None:
        raise KeyboardInterrupt

    for code in (130, 0):
        with pytest.raises(typer.Exit) as caught:
            running.run(work, interrupted=code)
        assert caught.value.exit_code == code


def test_following_and_ctrl_c(vendor: Sandbox) -> None:
    """Two real processes: a follower whose stdout is a pipe sees the row of an answer that Ctrl-C
    ended; the row is settled, and neither leaves a traceback.
    """
    with start("logs", "follow", "--interval", "0.1") as follower:
        assert follower.stderr
        assert follower.stdout
        assert "following" in follower.stderr.readline()
        with start("ask", "Tell me of lava.", "--model", "openai:gpt-4o:drip=0.3") as asking:
            assert asking.stdout
            assert asking.stdout.read(1)
            asking.send_signal(signal.SIGINT)
            assert asking.wait(PATIENCE) == 130
            assert asking.stderr
            assert "Traceback" not in asking.stderr.read()
        line = follower.stdout.readline().rstrip("\n").split("\t")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE) == 0
        assert "Traceback" not in follower.stderr.read()
    [row] = rows()
    assert (row["status"], line[1:3]) == ("cancelled", [row["id"], "cancelled"])


def test_help_loads_nothing_heavy() -> None:
    """Neither the module nor what it stands on: help is there at once."""
    code = (
        "import sys; sys.argv = ['x', 'ask', '--help']\n"
        "from modules.llm_services.cli.main import main\n"
        "try: main()\nexcept SystemExit: print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BACKEND, check=True, capture_output=True, text=True
    )
    heavy = {"sqlalchemy", "fastapi", "rich", "openai", "modules.llm_services.public"}
    assert heavy & set(done.stdout.split()) == set()
    assert "git diff | llm-services ask" in done.stdout


def test_it_runs_as_a_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the script is not on the path."""
    monkeypatch.setattr(sys, "argv", ["x", "usage", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("modules.llm_services.cli", run_name="__main__")
    assert caught.value.code == 0
    assert "llm-services usage [OPTIONS]" in capsys.readouterr().out


def test_without_its_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the remedy; any other missing module is a fault to be seen."""
    monkeypatch.delitem(sys.modules, "modules.llm_services.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    for name in [name for name in sys.modules if name.startswith("modules.llm_services.cli.comm")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit, match=r"pip install 'llm-services\[cli\]'"):
        entry.main()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "modules.llm_services.cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        entry.main()

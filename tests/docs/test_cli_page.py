"""What the page of the command line shows works."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from modules.llm_services.cli.app import app
from tests.docs.documents import ROOT, blocks
from tests.support.command_line import run
from tests.support.ledger import rows
from tests.support.overview import USERS, a_row, insert_rows

PAGES = [
    ROOT / name
    for name in ("docs/cli.md", "docs/tutorial.md", "docs/your-application.md", "README.md")
]
NAME = "llm-services"


def lines(language: str) -> list[str]:
    """The lines of the page's blocks in a language."""
    found = [b for page in PAGES for b in blocks(page.read_text(encoding="utf-8"))]
    return [line for b in found if b.is_in(language) for line in b.code.splitlines()]


def calls() -> Iterator[list[str]]:
    """Every call of the command in a pipeline of a shell block, as words."""
    for line in (line for line in lines("sh") if f"{NAME} " in line):
        words = shlex.split(line, comments=True)
        while NAME in words:
            words = words[words.index(NAME) + 1 :]
            ends = [n for n, word in enumerate(words) if word in {"|", ">", "||"}]
            yield words[: ends[0] if ends else None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("database_url", "vendor")
def test_the_examples_run() -> None:
    """One after the other, against the sandbox, each well."""
    insert_rows([a_row(user_id=USERS[0])])
    for line in lines("console"):
        if line.startswith(f"$ {NAME} "):
            known = line.replace("$ROW", str(rows()[-1]["id"])).replace("$USER", str(USERS[0]))
            result = run(*shlex.split(known[2:])[1:])
            assert result.exit_code == 0, f"{line}: {result.output}"


def test_the_options_of_pipelines_are_there() -> None:
    """Commands and options that a shell block names exist, with values that parse."""
    command: Any = typer.main.get_command(app)
    made = list(calls())
    assert len(made) >= 5
    for words in made:
        one, rest = command, words
        while hasattr(one, "commands"):
            one, rest = one.commands[rest[0]], rest[1:]
        one.make_context(NAME, rest)

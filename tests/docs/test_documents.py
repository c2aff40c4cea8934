"""What the documents say is true: their code runs, their links lead somewhere, tables are fresh."""

import ast
import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import sandbox
from docs import generate
from tests.docs.documents import (
    ROOT,
    Block,
    anchors,
    blocks,
    dead_links,
    documents,
    links,
    make_targets,
    make_targets_named,
)

PATIENCE = 90.0
"""Seconds after which a reader takes an example for one that hangs."""

each_document = pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in documents()]
)


@pytest.fixture(scope="module")
def server() -> Iterator[sandbox.Sandbox]:
    """The vendor of the documents' examples."""
    with sandbox.running() as running:
        yield running


@pytest.fixture
def namespace(server: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A fresh module for a document's blocks, in an environment as the documents describe it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sandbox")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    module = ModuleType("document")
    monkeypatch.setitem(sys.modules, "document", module)
    return vars(module)


def python_blocks(path: Path) -> list[Block]:
    """A document's Python, in order."""
    return [block for block in blocks(path.read_text(encoding="utf-8")) if block.is_in("python")]


async def run(path: Path, block: Block, namespace: dict[str, object]) -> None:
    """Compile a block, at its own line of its document, and run it unless it says ``no-run``."""
    source = "\n" * block.line + block.code
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, str(path), "exec", flags=flags, dont_inherit=True)
    if "no-run" not in block.words:
        awaitable = eval(code, namespace)  # noqa: S307 - our own documents
        if inspect.iscoroutine(awaitable):
            await awaitable


@each_document
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("database_url")
async def test_the_python_code_runs(path: Path, namespace: dict[str, object]) -> None:
    """Whoever pastes a document's blocks, one after the other, sees them work."""
    async with asyncio.timeout(PATIENCE):
        for block in python_blocks(path):
            await run(path, block, namespace)


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    """No relative link and no anchor is dead."""
    assert dead_links(path) == []


@each_document
def test_make_targets_exist(path: Path) -> None:
    """Every `make` that a document names can be called."""
    assert make_targets_named(path.read_text(encoding="utf-8")) <= make_targets()


@pytest.mark.parametrize("name", generate.pages())
def test_generated_pages_are_fresh(name: str) -> None:
    """The tables of settings and errors are those of the code."""
    path = ROOT / "docs" / name
    fresh = path.exists() and path.read_text(encoding="utf-8") == generate.pages()[name]
    assert fresh, f"docs/{name} is stale: run `python docs/generate.py`"


def test_the_generator_runs_anywhere(tmp_path: Path) -> None:
    """It needs no variable and no particular directory."""
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, env=bare, check=True)
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == generate.pages()


def test_the_settings_are_all_there() -> None:
    """The page holds the table as the configuration writes it."""
    assert generate.settings_table() in generate.pages()["settings.md"]


def test_the_errors_are_all_there() -> None:
    """Every class of the tree has a row, and what it says is the class's own."""
    rows = generate.errors_table().splitlines()[2:]
    assert len(rows) == len(set(rows)) > 15
    assert (
        "| `LLMQuotaExceededError` | `LLMRateLimitError` | QuotaExceeded | no | 429 "
        "| The account's credit or hard limit is used up: waiting does not help. |"
    ) in rows


async def test_a_block_that_fails_is_told_at_its_line() -> None:
    """A reader of the failure finds the line in the document."""
    (block,) = blocks("# Title\n\n```python\nx = 1\nawait nothing\n```\n")
    with pytest.raises(NameError) as caught:
        await run(Path("README.md"), block, {})
    assert caught.traceback[-1].lineno == 4  # counted from 0


async def test_a_block_that_shall_not_run_is_compiled() -> None:
    """It may miss names, but not the language."""
    good, bad = blocks("```python no-run\nawait f()\n```\n```python no-run\ndef\n```\n")
    await run(Path("README.md"), good, {})
    with pytest.raises(SyntaxError):
        await run(Path("README.md"), bad, {})


def test_markdown_is_read_as_github_reads_it() -> None:
    """Headings become anchors, links in code are none, and nested fences end with their own."""
    text = (
        "# See `it` work, now!\n## Twice\n## Twice\n[a](b.md#c) `[x](y)` ![p](q.png)\n"
        '[r]: s.md\n<a id="here"></a>\n````md\n```sh\n[no](link)\n# no heading\n```\n````\n'
    )
    assert anchors(text) == {"see-it-work-now", "twice", "twice-1", "here"}
    assert links(text) == ["b.md#c", "q.png", "s.md"]
    assert [block.words for block in blocks(text)] == [("md",)]
    with pytest.raises(ValueError, match="line 1"):
        blocks("```sh\nmake")


def test_make_is_found_in_code() -> None:
    """In shell blocks and spans, with variables on either side; not in sentences."""
    text = "make sense. `make a B=c` and\n```sh\nK=v make -s d e\necho make\n```\n"
    assert make_targets_named(text) == {"a", "d", "e"}
    assert {"demo", "check"} <= make_targets()


def test_a_dead_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing files and anchors, and ways out of the repository; addresses are not looked up."""
    monkeypatch.setattr("tests.docs.documents.ROOT", tmp_path)
    document = tmp_path / "a.md"
    document.write_text(
        "# Top\n[1](#top) [2](#no) [3](no.md) [4](../) [5](a.md#top) [6](https://x)"
    )
    assert dead_links(document) == ["#no", "no.md", "../"]

"""Rules of the house that no linter knows. Each docstring tells the bug that its rule prevents.

A rule is a function from a syntax tree to line numbers; `test_a_rule_bites` shows each of them a
line that it has to find, for a rule that finds nothing passes for ever.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.architecture.sources import (
    BACKEND,
    LLM,
    MODULES,
    ROOT,
    Function,
    committed_files,
    inside_functions,
    is_test,
    names_used,
    product_files,
    python_files,
    text_of,
    tree_of,
    where,
)

Rule: TypeAlias = Callable[[ast.Module], Iterable[int]]

PRODUCT_LINES, TEST_LINES = 300, 600

BROAD_EXCEPTS: Mapping[str, str] = {
    "llm_services/executor.py:_attempt": "notes that the attempt was interrupted, raises it again",
    "llm_services/retry.py:within": "what nobody foresaw still leaves as an LLMError",
    "llm_services/providers/tool_arguments.py:_parsed": "validators raise anything",
    "llm_services/providers/structured.py:read": "likewise, of an object that is half known",
    "llm_services/tooling/calling.py:_said": "a tool may raise anything, and is told",
    "llm_services/providers/credentials.py:_given": "what gives tokens is the operator's own",
    "llm_services/providers/structured.py:parsed": "validators of a caller's model raise anything",
    "llm_services/recording/recorder.py:_row": "a cancelled call gets its outcome, too",
    "llm_services/recording/batches.py:_rows": "the rows of a cancelled batch, likewise",
    "llm_services/arguments/basics.py:text_of": "a caller's object may raise anything",
    "llm_services/arguments/basics.py:guarded": "likewise, and is a wrong argument then",
    "llm_services/arguments/recording.py:_content": "a caller's file may raise anything",
    "llm_services/recorded_stream.py:begin": "closes the connection of whoever goes away",
    "llm_services/recording/payload.py:stored": "what a redactor chokes on is withheld, not leaked",
    "llm_services/repo/prepared.py:_taken": "what no driver takes is a StatementError, as ever",
    "llm_services/redaction/redactors.py:_load": "the operator's module may raise anything",
    "llm_services/thresholds.py:tell": "a listener of the application may raise anything",
    "llm_services/recording/store.py:_transact": "the one thread that writes must go on",
    "llm_services/recording/lease.py:round": "the one thread that beats must go on",
    "llm_services/recording/lease.py:leave": "the same at its end; the next who looks does it",
}
"""Functions of the modules that catch everything, and why."""

ENVIRONMENT_READERS: Mapping[str, str] = {
    "llm_services/config.py": "the module's settings",
    "llm_services/tokens.py": "tiktoken's own variable, to look where tiktoken would look",
    "shared/db.py": "DATABASE_URL, which is every module's",
}
"""Files of the modules that read the environment, and what for."""

IMPORTERS_BY_NAME: Mapping[str, str] = {
    "llm_services/providers/credentials.py": "what TOKEN_PROVIDER names is the operator's own",
    "llm_services/redaction/redactors.py": "what LLM_REDACTORS names is the operator's own",
    "llm_services/repo/inserting.py": "SQLAlchemy's dialect of the database in use",
    "llm_services/tokens.py": "the extra that counts tokens may be absent",
}
"""Files of the modules that import what only a string names, and what for."""

_UNREASONED = re.compile(r"#\s*type:\s*ignore(?!\[)|#\s*pragma:\s*no (cover|branch)")
_REGISTRY = re.compile(
    r"pypi\.(org|python\.org)|pythonhosted\.org|npmjs\.(org|com)|conda\.anaconda\.org"
    r"|proxy\.golang\.org|index\.crates\.io|[a]rtifactory|(?<!no-emit-)[i]ndex-url"
)
_HOME = re.compile(r"(?<![\w.])/(home|Users)/\w+|(?<![\w.])/[r]oot/|[A-Z]:\\Users\\")


def reads_environment(tree: ast.Module) -> Iterator[int]:
    """Lines that name the process's environment."""
    variables = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    yield from (line for name, line in names_used(tree) if name in variables)


def prints(tree: ast.Module) -> Iterator[int]:
    """Lines that use ``print``."""
    yield from (line for name, line in names_used(tree) if name == "print")


def imports_by_name(tree: ast.Module) -> Iterator[int]:
    """Lines that import what only a string names."""
    ways = {"importlib.import_module", "import_module", "__import__"}
    yield from (line for name, line in names_used(tree) if name in ways)


def sleeps_in_async(tree: ast.Module) -> Iterator[int]:
    """Lines of coroutines that block their event loop."""
    for node, function in inside_functions(tree):
        if isinstance(function, ast.AsyncFunctionDef) and _is_sleep(node):
            yield getattr(node, "lineno", 1)


def _is_sleep(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}


def commits(tree: ast.Module) -> Iterator[int]:
    """Lines that end a transaction."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "rollback"}:
            yield node.lineno


def catches(tree: ast.Module) -> Iterator[int]:
    """Lines with a ``try``."""
    yield from (node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try | ast.TryStar))


def imports_sqlalchemy(tree: ast.Module) -> Iterator[int]:
    """Lines that import SQLAlchemy."""
    yield from (line for name, line in names_used(tree) if name.split(".")[0] == "sqlalchemy")


def imports_anything(tree: ast.Module) -> Iterator[int]:
    """Lines with an import."""
    imports = (ast.Import, ast.ImportFrom)
    yield from (node.lineno for node in ast.walk(tree) if isinstance(node, imports))


def has_no_docstring(tree: ast.Module) -> Iterator[int]:
    """Line 1 of a module without a docstring."""
    if not ast.get_docstring(tree):
        yield 1


def leaves_public_names_bare(tree: ast.Module) -> Iterator[int]:
    """Lines of public classes, functions and methods without a docstring."""
    for node in _public_definitions(tree):
        if not ast.get_docstring(node):
            yield node.lineno


def _public_definitions(parent: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | Function]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public_definitions(node)


def broad_excepts(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions, with lines, that catch or suppress every exception."""
    for node, function in inside_functions(tree):
        if _is_broad(node):
            yield function.name if function else "", getattr(node, "lineno", 1)


def _is_broad(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return node.type is None or _names_everything(node.type)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(_names_everything(argument) for argument in node.args)
    return False


def _names_everything(kinds: ast.expr) -> bool:
    each = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
    return any(ast.unparse(kind) in {"Exception", "BaseException"} for kind in each)


def unreasoned_comments(text: str) -> Iterator[int]:
    """Lines that silence a checker wholesale."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and _UNREASONED.search(token.string):
            yield token.start[0]


def breaks(rule: Rule, files: Iterable[Path]) -> list[str]:
    """The places where files break a rule."""
    return [where(path, line) for path in files for line in rule(tree_of(path))]


def files_breaking(rule: Rule) -> set[str]:
    """The files of the modules that break a rule, for rules with known exceptions."""
    found = [path for path in product_files(MODULES) if any(rule(tree_of(path)))]
    return {path.relative_to(MODULES).as_posix() for path in found}


def test_no_file_outgrows_a_sitting() -> None:
    """A file that nobody reads in one sitting hides the second copy of what it already does."""
    sizes = {path: len(text_of(path).splitlines()) for path in python_files()}
    limits = {path: TEST_LINES if is_test(path) else PRODUCT_LINES for path in sizes}
    assert {where(p): n for p, n in sizes.items() if n > limits[p]} == {}


def test_only_the_configuration_reads_the_environment() -> None:
    """A variable read elsewhere is validated nowhere, and its fault shows up in the first call."""
    assert files_breaking(reads_environment) == ENVIRONMENT_READERS.keys()


def test_the_service_catches_nothing() -> None:
    """A use case that handles errors grows a second road beside the executor's, with its own."""
    assert breaks(catches, [LLM / "service.py"]) == []


def test_the_service_knows_no_sql() -> None:
    """A query in a use case escapes the rule that rows are found by their owner."""
    assert breaks(imports_sqlalchemy, [LLM / "service.py"]) == []


def test_repositories_end_no_transaction() -> None:
    """A repository that commits, commits its caller's half-done work as well."""
    repositories = [
        path for path in product_files(MODULES) if "repo" in (path.stem, path.parent.name)
    ]
    assert len(repositories) > 3
    assert breaks(commits, repositories) == []


def test_modules_print_nothing() -> None:
    """A print left behind writes prompts to a server's console, past the redaction."""
    assert breaks(prints, product_files(MODULES)) == []


def test_no_coroutine_blocks_the_event_loop() -> None:
    """One `time.sleep` in a coroutine stops every other request of the process."""
    assert breaks(sleeps_in_async, product_files()) == []


def test_broad_excepts_are_known() -> None:
    """`except Exception` turns a typing mistake into a provider's failure, with a retry on top."""
    found = {
        f"{path.relative_to(MODULES).as_posix()}:{function}"
        for path in product_files(MODULES)
        for function, _line in broad_excepts(tree_of(path))
    }
    assert found == BROAD_EXCEPTS.keys()


def test_nothing_outside_the_modules_catches_everything() -> None:
    """In the sandbox or at the root it hides the very faults that they exist to show."""
    files = set(product_files(BACKEND)) - set(product_files(MODULES))
    assert [where(p, n) for p in sorted(files) for _, n in broad_excepts(tree_of(p))] == []


def test_no_checker_is_silenced_wholesale() -> None:
    """A bare `type: ignore` hides tomorrow's error too; a line without cover hides that it rots."""
    lines = {where(path): list(unreasoned_comments(text_of(path))) for path in python_files()}
    assert {path: numbers for path, numbers in lines.items() if numbers} == {}


def test_every_module_says_what_it_is() -> None:
    """A file without a sentence of purpose becomes the drawer for what fits nowhere."""
    assert breaks(has_no_docstring, python_files()) == []


@pytest.mark.parametrize("room", ["public", "exceptions", "types", "protocols"])
def test_public_names_say_what_they_promise(room: str) -> None:
    """A name that siblings use without a written promise is promised whatever it does today."""
    files = [*LLM.glob(f"{room}.py"), *(LLM / room).glob("*.py")]
    assert files
    assert breaks(leaves_public_names_bare, files) == []


def test_packages_import_nothing() -> None:
    """A package that imports loads its module for whoever wants one type; no wall sees it."""
    packages = [*MODULES.glob("*/__init__.py"), LLM / "providers" / "__init__.py"]
    assert breaks(imports_anything, packages) == []


def test_imports_have_names() -> None:
    """An import by string walks through every wall unseen."""
    assert files_breaking(imports_by_name) == IMPORTERS_BY_NAME.keys()


def test_no_commit_tells_where_it_was_made() -> None:
    """A registry or a home directory in a file works on the machine of its author alone."""
    found = []
    for path in committed_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{where(path)}: {m[0]}" for p in (_REGISTRY, _HOME) for m in p.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (reads_environment, "import os\nkey = os.environ['K']", "import os\nos.getpid()"),
        (reads_environment, "\nfrom os import getenv", "from os import getpid"),
        (prints, "\nprint(1)", "def print_page(): ..."),
        (imports_by_name, "\n__import__('openai')", "import openai"),
        (imports_by_name, "\nfrom importlib import import_module", "import importlib.metadata"),
        (sleeps_in_async, "async def f():\n time.sleep(1)", "def f():\n time.sleep(1)"),
        (sleeps_in_async, "async def f():\n sleep(1)", "async def f():\n await asyncio.sleep(1)"),
        (commits, "def f(s):\n s.commit()", "def f(s):\n s.flush()"),
        (catches, "\ntry: f()\nexcept E: g()", "with suppress(E): f()"),
        (imports_sqlalchemy, "\nfrom sqlalchemy.orm import Session", "from .repo import Repo"),
        (imports_anything, "\nfrom .public import LLMError", '"""Words."""'),
        (leaves_public_names_bare, "'''m'''\nclass A: ...", "def _f(): ..."),
        (leaves_public_names_bare, "class A:\n def f(self): ...\n '''d'''", "x = 1"),
    ],
)
def test_a_rule_bites(rule: Rule, bad: str, good: str) -> None:
    """Each rule finds line 2 of a bad example, and nothing in its lawful neighbour."""
    assert 2 in rule(ast.parse(bad))
    assert list(rule(ast.parse(good))) == []


def test_a_missing_docstring_is_found() -> None:
    """A comment is no docstring."""
    assert list(has_no_docstring(ast.parse("# words\nx = 1"))) == [1]


@pytest.mark.parametrize(
    "handler",
    ["except:", "except Exception:", "except BaseException as e:", "except (OSError, Exception):"],
)
def test_a_broad_except_is_found(handler: str) -> None:
    """However it is written, also as `suppress`."""
    bad = f"def f():\n try: ...\n {handler} ..."
    assert list(broad_excepts(ast.parse(bad))) == [("f", 3)]
    assert list(broad_excepts(ast.parse("with contextlib.suppress(Exception): ..."))) == [("", 1)]
    assert list(broad_excepts(ast.parse("try: ...\nexcept (KeyError, OSError): ..."))) == []


def test_a_silenced_checker_is_found() -> None:
    """Comments count, text in strings does not, and a named error is allowed."""
    hush, cover = "type: " + "ignore", "pragma: " + "no cover"
    text = f"x = 1  # {hush}\ny = 2  # {hush}[misc]\nz = '# {hush}'\nw = 4  # {cover}\n"
    assert list(unreasoned_comments(text)) == [1, 4]


def test_a_place_is_found() -> None:
    """Hosts and homes are seen, and what only looks like them is not."""
    for bad in ("https://" + "pypi" + ".org/x", "files.python" + "hosted.org"):
        assert _REGISTRY.search(bad)
    for bad in ("at /ho" + "me/ann/x", "'/ro" + "ot/.cache'", "/Us" + "ers/ann"):
        assert _HOME.search(bad)
    assert not _HOME.search("https://example.com/home/page")
    assert not _REGISTRY.search("mode_registry.get_handlers")
    assert ROOT.is_dir()

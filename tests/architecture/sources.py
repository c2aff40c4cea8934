"""The repository's files, read once, and walks over their syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend"
MODULES = BACKEND / "modules"
LLM = MODULES / "llm_services"

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def committed_files() -> tuple[Path, ...]:
    """What a commit of everything would hold: tracked or new, and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = {ROOT / name for name in listing.stdout.split("\0") if name}
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(folder: Path = ROOT) -> list[Path]:
    """The Python files of a folder, tests included."""
    return [p for p in committed_files() if p.suffix == ".py" and p.is_relative_to(folder)]


def product_files(folder: Path = BACKEND) -> list[Path]:
    """The Python files of a folder without the tests that lie beside the code."""
    return [path for path in python_files(folder) if not is_test(path)]


def is_test(path: Path) -> bool:
    """Whether the file is a test or a test's support."""
    return path.is_relative_to(ROOT / "tests") or path.name.startswith("test_")


@cache
def text_of(path: Path) -> str:
    """The file's text."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(text_of(path), str(path))


def where(path: Path, line: int | None = None) -> str:
    """A place as editors read it: ``path:line`` from the repository's root."""
    name = path.relative_to(ROOT).as_posix()
    return name if line is None else f"{name}:{line}"


def inside_functions(
    node: ast.AST, function: Function | None = None
) -> Iterator[tuple[ast.AST, Function | None]]:
    """Every node with the innermost function around it."""
    for child in ast.iter_child_nodes(node):
        yield child, function
        inner = child if isinstance(child, Function) else function
        yield from inside_functions(child, inner)


def names_used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every dotted name that is read, and every name that is imported, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield ast.unparse(node), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from ((f"{source}.{alias.name}", node.lineno) for alias in node.names)

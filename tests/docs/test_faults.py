"""The table of promises names tests that exist."""

import ast
import re

import pytest

from tests.docs.documents import ROOT

PAGE = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)), ids="::".join)
def test_a_named_test_exists(path: str, name: str) -> None:
    """A rule is held by tests that are run, under the names that the table gives."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in tree.body if isinstance(node, functions)}


def test_every_row_names_a_test() -> None:
    """A promise that nothing holds is none."""
    promises = [line for line in PAGE.splitlines() if re.match(r"\| P\d+ \|", line)]
    assert len(promises) == 10
    assert all("::test_" in line for line in promises)

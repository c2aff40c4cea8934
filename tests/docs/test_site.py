"""The site is made of pages that there are, and of nothing from elsewhere."""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from docs.site_links import on_page_markdown, within
from docs.site_nav import completed, on_config
from tests.docs.documents import ROOT

DOCS = ROOT / "docs"
SITE = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
REFERENCE = [
    name
    for page in sorted((DOCS / "reference").glob("*.md"))
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


def pages(nav: Any) -> list[str]:
    """Every page of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in pages(entry)]


def test_every_page_is_in_the_navigation_once() -> None:
    """Also decisions and pages that were written after it."""
    config = on_config({"docs_dir": str(DOCS), "nav": yaml.safe_load(SITE)["nav"]})
    named = pages(config["nav"])
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(named) == len(set(named))
    assert set(named) == {page for page in there if not page.startswith("sources/")}


def test_a_page_that_was_forgotten_is_found(tmp_path: Path) -> None:
    """Without a line of its own it stands among the how-tos."""
    (tmp_path / "decisions").mkdir()
    for name in ("index.md", "new.md", "decisions/0002-b.md", "decisions/0001-a.md"):
        (tmp_path / name).touch()
    nav = completed(["index.md", {"How to": []}], tmp_path)
    decisions = ["decisions/0001-a.md", "decisions/0002-b.md"]
    assert nav == ["index.md", {"How to": ["new.md"]}, {"Decisions": decisions}]


def test_links_to_code_keep_their_words() -> None:
    """The site has no code; what lies within it stays a link."""
    text = "[the table](../backend/x.py#a), [rules](../faults.md), ![shot](../images/a.png)"
    assert within(text, "decisions") == text
    assert within(text, "") == "the table, rules, ![shot](../images/a.png)"
    page = SimpleNamespace(file=SimpleNamespace(src_uri="decisions/0001.md"))
    assert on_page_markdown("[a](../../backend/x.py)", page=page, files=None) == "a"


def test_the_site_asks_nobody_else() -> None:
    """No font, script or style from another server, and every dead link ends the build."""
    site = yaml.safe_load(SITE)
    assert site["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css"} & site.keys()
    assert "http" not in SITE
    assert site["strict"] is True
    assert "mermaid" not in SITE  # the theme would load it from a CDN


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_names_what_there_is(name: str) -> None:
    """A module, or something in one."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, member = name.rpartition(".")
        assert getattr(importlib.import_module(module), member).__doc__


def test_the_threat_model_names_tests() -> None:
    """Each threat is held off by tests that exist."""
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    threats = text.partition("## Threats")[2].partition("##")[0].strip().splitlines()[2:]
    assert len(threats) >= 10
    for threat in threats:
        named = re.findall(r"`(tests/[\w/]+\.py)`", threat)
        assert named, threat
        assert [name for name in named if not (ROOT / name).is_file()] == []

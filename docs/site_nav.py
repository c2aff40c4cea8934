"""A hook of MkDocs: decisions, and pages that the navigation forgot, are in it all the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

OTHERS = "How to"


def on_config(config: Any) -> Any:
    """Complete the navigation by what is in the folder."""
    folder = Path(config["docs_dir"])
    config["nav"] = completed(config["nav"], folder)
    return config


def completed(nav: list[Any], folder: Path) -> list[Any]:
    """The navigation with every page of the folder in it, decisions in their order."""
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))
    decisions = [page for page in pages if page.startswith("decisions/")]
    known = {*_pages(nav), *decisions}
    forgotten = [page for page in pages if page not in known and not page.startswith("sources/")]
    return [*(_with(entry, forgotten) for entry in nav), {"Decisions": decisions}]


def _with(entry: Any, pages: list[str]) -> Any:
    if isinstance(entry, dict) and OTHERS in entry:
        return {OTHERS: [*entry[OTHERS], *pages]}
    return entry


def _pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for entry in nav.values():
            yield from _pages(entry)
    else:
        for entry in nav:
            yield from _pages(entry)

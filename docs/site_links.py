"""A hook of MkDocs: links out of ``docs/``, to code that GitHub shows, keep their words alone."""

import posixpath
import re
from functools import partial
from typing import Any

_LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_site: object) -> str:
    """The page's text as the site takes it."""
    return within(markdown, posixpath.dirname(page.file.src_uri))


def within(markdown: str, folder: str) -> str:
    """The text of a page in a folder of ``docs/``, without links that lead out of it."""
    return _LINK.sub(partial(_kept, folder), markdown)


def _kept(folder: str, link: re.Match[str]) -> str:
    leaves = posixpath.normpath(posixpath.join(folder, link["target"])).startswith("..")
    return link["words"] if leaves else link[0]

"""What a web search found, whoever searched: pages out of citations, and text fit to be shown.

URLs, titles and texts come from the web by way of a model: nothing in them is trusted.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit, urlunsplit

from modules.llm_services.types import SearchAnswer, SearchCitation, SearchResult, SearchSource

from .base import Reply

TITLE_LIMIT = 300
SNIPPET_LIMIT = 500
_URL_LIMIT = 8_000
_READ_BEFORE = 2_000  # characters before a citation in which its snippet is looked for
_TRACKING = "utm_source=openai"
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,1000}>")
_LINK = re.compile(r"\(?\[([^\[\]]{0,500})\]\(\s?[^()\s]{0,2000}\s?\)\)?")
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
_LIST_MARK = re.compile(r"^(?:[-*•#>]+|\d{1,3}[.)])\s+")
_Page: TypeAlias = tuple[str, str, str, SearchSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a search brought, in the answer's order: cited places, and the URLs of pages that were
    read. ``calls`` are the uses of the tool, ``searches`` the ones among them that cost money.
    Citations stand behind what they are for, or, as ``spans_claims`` says, are its own place.
    """

    citations: tuple[SearchCitation, ...]
    consulted: tuple[str, ...]
    calls: int
    searches: int
    spans_claims: bool = False


def web_url(text: str) -> str | None:
    """The address of a web page without the vendor's tracking, or ``None`` for anything that is
    not one: another scheme (``javascript:``), no host, a name and password before the host.
    """
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None
    except ValueError:
        return None
    if not sound or len(text) > _URL_LIMIT:
        return None
    query = "&".join(word for word in parts.query.split("&") if word != _TRACKING)
    return urlunsplit(parts._replace(query=query))


def plain(text: str, limit: int) -> str:
    """One line of text without tags and invisible characters, cut to a length.

    It is not escaped: what looks like HTML after this (``a < b``) is still text.
    """
    words = _UNSEEN.sub(" ", _TAG.sub(" ", text)).strip()
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


def search_answer(
    query: str, reply: Reply, findings: Findings, domains: Sequence[str], most: int
) -> SearchAnswer:
    """The answer to one query, its pages each once: the cited ones, then those only read."""
    pages: dict[str, _Page] = {}
    for page in _pages(reply.text, findings):
        if _allowed(page[0], domains):
            pages.setdefault(_identity(page[0]), page)
    results = (
        SearchResult(query=query, position=n, url=url, title=title, snippet=said, source=source)
        for n, (url, title, said, source) in enumerate(list(pages.values())[:most], 1)
    )
    return SearchAnswer(
        query=query,
        text=reply.text,
        citations=tuple(c for c in findings.citations if c.end and _allowed(c.url, domains)),
        results=tuple(results),
        searches=findings.searches,
        finish_reason=reply.finish_reason,
    )


def _pages(text: str, findings: Findings) -> Iterator[_Page]:
    ends = [citation.end for citation in findings.citations]
    for citation in findings.citations:
        title = citation.title or _host(citation.url)
        claim = _said(text[citation.start : citation.end]) if findings.spans_claims else ""
        yield citation.url, title, claim or _snippet(text, citation, ends), "citation"
    for url in findings.consulted:
        yield url, _host(url), "", "consulted"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _allowed(url: str, domains: Sequence[str]) -> bool:
    """The vendor was told; a model may cite what it likes all the same."""
    host = _host(url)
    return not domains or any(f".{host}".endswith(f".{domain}") for domain in domains)


def _identity(url: str) -> str:
    """Pages that differ in the place on the page, or a slash at the end, are one."""
    parts: SplitResult = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), parts.query, ""))


def _snippet(text: str, citation: SearchCitation, ends: Sequence[int]) -> str:
    """What is said on the page's authority: the text of the line before the citation, from the
    citation before it; for several in a row, what stands before the first of them.
    """
    if not citation.end:
        return ""
    line = text.rfind("\n", 0, citation.start) + 1
    earliest = max(line, citation.start - _READ_BEFORE)
    starts = sorted({earliest, *(e for e in ends if earliest < e <= citation.start)}, reverse=True)
    for start in starts:
        if said := _said(text[start : citation.start]):
            return said
    return _said(text[citation.start : citation.end])


def _said(markdown: str) -> str:
    """The words of a piece of Markdown, without list marks and links; of a long one, its end."""
    words = _LIST_MARK.sub("", _LINK.sub(" ", markdown).strip())
    words = plain(words, _READ_BEFORE)
    return words if len(words) <= SNIPPET_LIMIT else f"…{words[1 - SNIPPET_LIMIT :]}"

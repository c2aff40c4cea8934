"""Web search without a web: pages on `sandbox.invalid`, derived from the words of the query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sandbox.asks import Citation, SearchResult
from sandbox.reading import read
from sandbox.words import shorten, slug, title_case

SITE = "https://sandbox.invalid"
_PAGES = (
    ("overview", "An overview of {q} names the main facts and where they come from."),
    ("guide", "This guide to {q} explains the basic terms step by step."),
    ("latest", "Recent notes on {q} collect what changed and what stayed the same."),
    ("questions", "Common questions about {q} are answered in short paragraphs."),
    ("background", "The background of {q} shows how the subject developed."),
)
_LINE = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+(.{2,200}?)\s*$")
_QUOTED = re.compile(r"[\"“]([^\"”\n]{2,200})[\"”]")
_LABELLED = re.compile(r"(?im)^\W*(?:query|queries|search(?: for)?|topic)\s*:\s*(.{2,200}?)\s*$")
_QUERY_LENGTH = 120


def queries_of(prompt: str) -> list[str]:
    """What to search for: listed lines, quoted phrases, or the prompt's own topic; each once."""
    for pattern in (_LABELLED, _LINE, _QUOTED):
        found = [q.strip(" \"'“”") for q in pattern.findall(prompt)]
        if found:
            return list(dict.fromkeys(found))
    return [_topic(prompt)]


def _topic(prompt: str) -> str:
    line = next((x.strip() for x in prompt.splitlines() if x.strip()), "sandbox")
    if len(line) <= _QUERY_LENGTH:
        return re.sub(r"(?i)^(?:please\s+)?search(?: the web)?(?: for)?\s+", "", line).rstrip(
            ".?! "
        )
    return read((prompt,), "").topic or shorten(line, _QUERY_LENGTH)


def results_for(query: str, domains: Sequence[str] = ()) -> list[SearchResult]:
    """The pages for one query, always the same ones, on the domains that are allowed."""
    sites = [f"https://{domain}" for domain in domains] or [SITE]
    name = shorten(" ".join(re.findall(r"[\w'’-]+", query)) or "sandbox", _QUERY_LENGTH)
    return [
        SearchResult(
            query=query,
            title=f"{title_case(name)}: {kind.title()}",
            url=f"{sites[n % len(sites)]}/{slug(name)}/{kind}?utm_source=openai",
            snippet=text.format(q=name),
        )
        for n, (kind, text) in enumerate(_PAGES)
    ]


def report(results: Iterable[SearchResult]) -> str:
    """The answer's text: each finding with its page behind it, as OpenAI writes them."""
    return "\n".join(f"{r.snippet} ([{r.title}]({r.url}))" for r in results)


def citations(text: str, results: Iterable[SearchResult]) -> Iterator[Citation]:
    """Where the text names each page: the whole bracketed link, or the bare address."""
    for result in results:
        link = f"([{result.title}]({result.url}))"
        shown = link if link in text else result.url
        start = text.find(shown)
        if start >= 0:
            yield Citation(start=start, end=start + len(shown), result=result)

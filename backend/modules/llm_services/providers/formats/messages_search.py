"""Web search on Anthropic's Messages API: the server tool ``web_search``, read in November 2026.

No version of the tool can be forced on every model, so the task's words ask for the search. Of
its versions ``20250305`` is the one that searches without running code.
"""

from dataclasses import replace
from typing import Any

from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.findings import TITLE_LIMIT, Findings, plain, web_url
from modules.llm_services.types import JsonObject, SearchCitation

from . import messages
from .base import Request, Wire, WireFormat, read

_LONGEST_KEPT = 2_000
_MOST_SEARCHES = {"low": 1, "medium": 2, "high": 5}
"""The API reads as much of a page as it likes; what can be said is how often it may search."""


class _Page(Wire):
    url: str | None = None
    title: str | None = None


class _Block(Wire):
    type: str
    name: str | None = None
    text: str | None = None
    citations: list[_Page] | None = None
    content: list[_Page] | JsonObject | None = None


class _Message(Wire):
    content: list[_Block]


def body(request: Request) -> JsonObject:
    """The request's JSON: the conversation as for text, and the tool."""
    given = request.parameters
    plainly = {name: given[name] for name in given if name == "max_tokens"}
    tool: JsonObject = {
        "type": "web_search_20250305",
        "name": "web_search",
        "max_uses": _MOST_SEARCHES[given["context_size"]],
    }
    if "location" in given:
        tool["user_location"] = {"type": "approximate", **given["location"]}
    if "allowed_domains" in given:
        tool["allowed_domains"] = given["allowed_domains"]
    return {**messages.body(replace(request, parameters=plainly)), "tools": [tool]}


def reply(value: JsonObject) -> Reply:
    """The answer in our words, ``parsed`` being its `Findings`."""
    answer = messages.reply(value)
    content = read(_Message, value).content
    asked = sum(block.type == "server_tool_use" for block in content)
    counted = answer.usage.web_searches if answer.usage else None
    searches = asked if counted is None else counted
    return replace(
        answer,
        usage=answer.usage and replace(answer.usage, web_searches=searches),
        parsed=_findings(content, searches),
        raw=_bounded(answer.raw),
    )


def _findings(content: list[_Block], searches: int) -> Findings:
    """A search that failed has an error in place of its pages, and counts as none."""
    found = [block.content for block in content if isinstance(block.content, list)]
    urls = (web_url(page.url or "") for pages in found for page in pages)
    return Findings(
        citations=tuple(_citations(content)),
        consulted=tuple(url for url in urls if url),
        calls=len(found),
        searches=searches,
        spans_claims=True,
    )


def _citations(content: list[_Block]) -> list[SearchCitation]:
    """A block of text that has citations is what its pages say."""
    found, offset = [], 0
    for block in content:
        end = offset + len(block.text or "")
        for page in block.citations or ():
            url, title = web_url(page.url or ""), plain(page.title or "", TITLE_LIMIT)
            if url is not None:
                found.append(SearchCitation(start=offset, end=end, url=url, title=title))
        offset = end
    return found


def _bounded(value: Any) -> Any:
    """The reply for the row, without the pages' sealed words and with no long ones."""
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items() if key != "encrypted_content"}
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    return value[:_LONGEST_KEPT] if isinstance(value, str) else value


MESSAGES_SEARCH = WireFormat(path=messages.MESSAGES.path, body=body, reply=reply)

"""Web search on OpenAI's Responses API: the ``web_search`` tool, read in November 2026.

The tool choice is ``required`` with this one tool: that forces a search, and unlike
``{"type": "web_search"}`` it is in the published schema.
"""

from dataclasses import replace
from typing import Any

from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.findings import TITLE_LIMIT, Findings, plain, web_url
from modules.llm_services.types import JsonObject, SearchCitation

from . import responses
from .base import Count, Request, Wire, WireFormat, read

_LONGEST_KEPT = 2_000


class _Annotation(Wire):
    type: str
    url: str | None = None
    title: str | None = None
    start_index: Count | None = None
    end_index: Count | None = None


class _Part(Wire):
    type: str
    text: str | None = None
    annotations: list[_Annotation] | None = None


class _Source(Wire):
    url: str | None = None


class _Action(Wire):
    type: str | None = None
    sources: list[_Source] | None = None


class _Item(Wire):
    type: str
    content: list[_Part] | None = None
    action: _Action | None = None


class _WebSearchUse(Wire):
    num_requests: Count | None = None


class _ToolUse(Wire):
    web_search: _WebSearchUse | None = None


class _Response(Wire):
    output: list[_Item]
    tool_usage: _ToolUse | None = None


def body(request: Request) -> JsonObject:
    """The request's JSON: the conversation as for text, and the tool that must be used."""
    given = request.parameters
    plainly = {name: given[name] for name in given if name == "max_tokens"}
    tool: JsonObject = {
        "type": "web_search",
        "search_context_size": given["context_size"],
        # Without a location vendors assume the United States.
        "user_location": {"type": "approximate", **given.get("location", {})},
    }
    if "allowed_domains" in given:
        tool["filters"] = {"allowed_domains": given["allowed_domains"]}
    return {
        **responses.body(replace(request, parameters=plainly)),
        "tools": [tool],
        "tool_choice": "required",
        "include": ["web_search_call.action.sources"],
    }


def reply(value: JsonObject) -> Reply:
    """The answer in our words, ``parsed`` being its `Findings`. Searches are paid for whatever
    became of the answer, so errors know of them, too.
    """
    response = read(_Response, value)
    findings = _findings(response)
    try:
        answer = responses.reply(value)
    except LLMError as error:
        if error.usage is not None:
            error.usage = replace(error.usage, web_searches=findings.searches)
        raise
    usage = answer.usage and replace(answer.usage, web_searches=findings.searches)
    details = {**(answer.usage_details or {}), "tool_usage": value.get("tool_usage")}
    return replace(
        answer,
        usage=usage,
        usage_details=details,
        parsed=findings,
        raw=_bounded(answer.raw),
    )


def _findings(response: _Response) -> Findings:
    calls = [item for item in response.output if item.type == "web_search_call"]
    actions = [item.action or _Action() for item in calls]
    urls = (source.url for action in actions for source in action.sources or ())
    return Findings(
        citations=_citations(response),
        consulted=tuple(url for told in urls if (url := web_url(told or ""))),
        calls=len(calls),
        searches=_billed(response, actions),
    )


def _billed(response: _Response, actions: list[_Action]) -> int:
    """Opening a page and looking into it are free; what is not said to be that is a search."""
    use = response.tool_usage.web_search if response.tool_usage else None
    if use is not None and use.num_requests is not None:
        return use.num_requests
    return sum(action.type in {"search", None} for action in actions)


def _citations(response: _Response) -> tuple[SearchCitation, ...]:
    """Places count from the beginning of the whole text, of which a part may be only a piece."""
    found, offset = [], 0
    for item in response.output:
        for part in (item.content or ()) if item.type == "message" else ():
            length = len(part.text or "")
            found += [_citation(a, offset, length) for a in part.annotations or ()]
            offset += length
    return tuple(citation for citation in found if citation is not None)


def _citation(annotation: _Annotation, offset: int, length: int) -> SearchCitation | None:
    """A page that is cited; at a place that the text does not have, it is cited nowhere."""
    url = web_url(annotation.url or "")
    if annotation.type != "url_citation" or url is None:
        return None
    start, end = annotation.start_index or 0, annotation.end_index or 0
    if not start < end <= length:
        start = end = 0
    title = plain(annotation.title or "", TITLE_LIMIT)
    return SearchCitation(start=start + offset, end=end + offset, url=url, title=title)


def _bounded(value: Any) -> Any:
    """The reply for the row, where no page's words may take a megabyte."""
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    return value[:_LONGEST_KEPT] if isinstance(value, str) else value


SEARCH = WireFormat(path=responses.RESPONSES.path, body=body, reply=reply)

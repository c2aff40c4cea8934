"""Grounding with Google Search: the ``google_search`` tool, and what the answer says on whose
authority. Pages have addresses of Google's own that lead to them, and their host for a title.
"""

from dataclasses import replace

from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.findings import TITLE_LIMIT, Findings, plain, web_url
from modules.llm_services.providers.formats.base import Count, Request, WireFormat, read
from modules.llm_services.types import JsonObject, SearchCitation
from modules.llm_services.types.search import SearchLocation

from .body import body as text_body
from .body import parts_of
from .reply import GENERATE
from .reply import reply as text_reply
from .wire import GoogleWire

_CHARGED_BY_PROMPT = ("gemini-1", "gemini-2")


class _Web(GoogleWire):
    uri: str = ""
    title: str = ""


class _Chunk(GoogleWire):
    web: _Web = _Web()


class _Segment(GoogleWire):
    part_index: Count = 0
    start_index: Count = 0
    end_index: Count = 0


class _Support(GoogleWire):
    segment: _Segment = _Segment()
    grounding_chunk_indices: tuple[Count, ...] = ()


class _Grounding(GoogleWire):
    grounding_chunks: tuple[_Chunk, ...] = ()
    grounding_supports: tuple[_Support, ...] = ()
    web_search_queries: tuple[str, ...] = ()


class _Candidate(GoogleWire):
    grounding_metadata: _Grounding = _Grounding()


class _Response(GoogleWire):
    candidates: tuple[_Candidate, ...] = ()
    model_version: str = ""


def body(request: Request) -> JsonObject:
    """The request's JSON: the conversation as for text, and the tool."""
    given = request.parameters
    plainly = {name: given[name] for name in given if name == "max_tokens"}
    wire = text_body(replace(request, parameters=plainly))
    wire["tools"] = [{"googleSearch": {}}]
    if "location" in given:
        parts = wire.setdefault("systemInstruction", {"parts": []})["parts"]
        parts.append({"text": f"The user is here: {_place(given['location'])}."})
    return wire


def _place(location: SearchLocation) -> str:
    """The tool has no parameter for it, so the model is told."""
    names = (location.get(name) for name in ("city", "region", "country", "timezone"))
    return ", ".join(str(name) for name in names if name)


def reply(value: JsonObject) -> Reply:
    """The answer in our words, ``parsed`` being its `Findings`. Searches are paid for whatever
    became of the answer, so errors know of them, too.
    """
    response = read(_Response, value)
    grounding = response.candidates[0].grounding_metadata if response.candidates else _Grounding()
    findings = _findings(grounding, value, response.model_version)
    try:
        answer = text_reply(value)
    except LLMError as error:
        if error.usage is not None:
            error.usage = replace(error.usage, web_searches=findings.searches)
        raise
    usage = answer.usage and replace(answer.usage, web_searches=findings.searches)
    return replace(answer, usage=usage, parsed=findings)


def _findings(grounding: _Grounding, value: JsonObject, model: str) -> Findings:
    """Gemini 2 is charged for each prompt that was searched for, later models for each query
    (ai.google.dev/gemini-api/docs/pricing).
    """
    queries = len(grounding.web_search_queries)
    pages = [web_url(chunk.web.uri) for chunk in grounding.grounding_chunks]
    return Findings(
        citations=tuple(_citations(grounding, pages, value)),
        consulted=tuple(url for url in pages if url),
        calls=queries,
        searches=min(queries, 1) if model.startswith(_CHARGED_BY_PROMPT) else queries,
        spans_claims=True,
    )


def _citations(
    grounding: _Grounding, pages: list[str | None], value: JsonObject
) -> list[SearchCitation]:
    texts = [_said(part) for part in parts_of(value)]
    found = []
    for support in grounding.grounding_supports:
        start, end = _span(support.segment, texts)
        for index in support.grounding_chunk_indices:
            url = pages[index] if index < len(pages) else None
            if url is not None:
                title = plain(grounding.grounding_chunks[index].web.title, TITLE_LIMIT)
                found.append(SearchCitation(start=start, end=end, url=url, title=title))
    return sorted(found, key=lambda citation: (citation.start, citation.end))


def _said(part: JsonObject) -> str:
    return "" if part.get("thought") else str(part.get("text") or "")


def _span(segment: _Segment, texts: list[str]) -> tuple[int, int]:
    """Characters of the whole text: Google counts bytes of a part. Nowhere, when it is none."""
    if segment.part_index >= len(texts):
        return 0, 0
    offset = sum(map(len, texts[: segment.part_index]))
    data = texts[segment.part_index].encode("utf-8", "surrogatepass")
    if not segment.start_index < segment.end_index <= len(data):
        return 0, 0
    before = len(data[: segment.start_index].decode("utf-8", "ignore"))
    upto = len(data[: segment.end_index].decode("utf-8", "ignore"))
    return offset + before, offset + upto


SEARCH = WireFormat(path=GENERATE.path, body=body, reply=reply)

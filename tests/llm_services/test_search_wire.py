"""Web search on the wire: what is sent, and what is believed of what comes back."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from pydantic import SecretStr

from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMError,
    LLMProviderError,
    LLMRefusedError,
    LLMTruncatedError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.providers.findings import Findings, plain, search_answer, web_url
from modules.llm_services.providers.searching import SearchingProvider
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import (
    Call,
    LLMMessageDTO,
    SearchAnswer,
    SearchCitation,
    SearchResult,
    Usage,
)

Json = dict[str, Any]
USAGE = {"input_tokens": 100, "output_tokens": 20}
Answer = Callable[[httpx2.Request], httpx2.Response]


def a_call(**parameters: object) -> Call:
    """A search as the service freezes it."""
    return Call(
        id=uuid7(),
        operation="search",
        provider="house",
        model="m",
        requested_model=None,
        messages=(
            LLMMessageDTO(role="developer", content="Search."),
            LLMMessageDTO(role="user", content="lava"),
        ),
        parameters={"context_size": "medium", "max_results": 10, **parameters},
        timeout=10,
        max_retries=0,
        resend=False,
    )


async def searched(answer: Answer, call: Call | None = None) -> Reply:
    """One attempt on a transport that answers, through the SDK's own client."""
    settings = ProviderSettings(api_key=SecretStr("k"), base_url="http://house.test/v1")
    adapter = SearchingProvider("house", settings, "responses")
    adapter._client = AsyncOpenAI(
        api_key="k",
        base_url="http://house.test/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )
    try:
        return await adapter.search_web(call or a_call(), Attempt(number=1, seconds_left=10))
    finally:
        await adapter.aclose()


def a_search(*urls: str | None, kind: str | None = "search") -> Json:
    """A use of the tool."""
    sources = [{"type": "url", "url": url} for url in urls]
    return {"type": "web_search_call", "id": "ws", "action": {"type": kind, "sources": sources}}


def a_message(text: str, *cited: tuple[int | None, int | None, object, object]) -> Json:
    """What the model says, and where it cites what."""
    annotations = [
        {"type": "url_citation", "start_index": a, "end_index": b, "url": url, "title": title}
        for a, b, url, title in cited
    ]
    part = {"type": "output_text", "text": text, "annotations": annotations}
    return {"type": "message", "content": [part]}


def a_response(*output: Json, **facts: object) -> Json:
    """A whole reply."""
    return {"model": "m-1", "status": "completed", "usage": USAGE, "output": output, **facts}


async def found(
    *output: Json, domains: tuple[str, ...] = (), most: int = 10, **facts: Any
) -> SearchAnswer:
    """What a caller gets of a reply."""
    body = a_response(*output, **facts)
    reply = await searched(lambda _: httpx2.Response(200, json=body))
    assert isinstance(reply.parsed, Findings)
    return search_answer("lava", reply, reply.parsed, domains, most)


async def failure(*output: Json, **facts: Any) -> LLMError:
    """The error that a reply becomes."""
    with pytest.raises(LLMError) as caught:
        await found(*output, **facts)
    return caught.value


async def test_a_search_is_forced_and_assumes_no_place() -> None:
    """The tool alone, required, with its sources, and without the vendor's American default."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=a_response(a_search("https://a.org/"), a_message("x")))

    reply = await searched(answer, a_call(max_tokens=500))
    [request] = seen
    assert request.url == "http://house.test/v1/responses"
    assert json.loads(request.content) == {
        "model": "m",
        "input": [
            {"role": "developer", "content": "Search."},
            {"role": "user", "content": "lava"},
        ],
        "store": False,
        "max_output_tokens": 500,
        "tools": [
            {
                "type": "web_search",
                "search_context_size": "medium",
                "user_location": {"type": "approximate"},
            }
        ],
        "tool_choice": "required",
        "include": ["web_search_call.action.sources"],
    }
    assert (reply.http_status, reply.model) == (200, "m-1")


async def test_domains_and_place_are_sent() -> None:
    """As filters and as an approximate location."""
    bodies: list[Json] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.content))
        return httpx2.Response(200, json=a_response(a_search(), a_message("x")))

    place = {"country": "AT", "city": "Graz"}
    await searched(answer, a_call(allowed_domains=["a.org"], location=place, context_size="low"))
    assert bodies[0]["tools"] == [
        {
            "type": "web_search",
            "search_context_size": "low",
            "user_location": {"type": "approximate", "country": "AT", "city": "Graz"},
            "filters": {"allowed_domains": ["a.org"]},
        }
    ]


async def test_pages_come_once_the_cited_ones_first() -> None:
    """A citation wins over a page that was only read; tracking, place and slash do not count."""
    text = "Lava is hot. ([A](https://a.org/x))"
    answer = await found(
        a_search(
            "https://b.org/y?utm_source=openai&p=1", "https://A.org/x/", "https://b.org/y?p=1"
        ),
        a_message(
            text,
            (13, 35, "https://a.org/x?utm_source=openai#:~:text=lava", "A page"),
            (13, 35, "https://a.org/x", "Again"),
        ),
    )
    assert answer.results == (
        SearchResult(
            query="lava",
            position=1,
            url="https://a.org/x#:~:text=lava",
            title="A page",
            snippet="Lava is hot.",
            source="citation",
        ),
        SearchResult(
            query="lava",
            position=2,
            url="https://b.org/y?p=1",
            title="b.org",
            snippet="",
            source="consulted",
        ),
    )
    assert len(answer.citations) == 2


async def test_only_so_many_pages_as_asked_for() -> None:
    """The rest is left out, and positions stay whole."""
    answer = await found(
        a_search(*(f"https://a.org/{n}" for n in range(9))), a_message("x"), most=2
    )
    assert [result.position for result in answer.results] == [1, 2]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "ftp://a.org/",
        "https://",
        "https://user:pw@a.org/",
        "//a.org/x",
        "https://[::1",
        "a.org/x",
        "",
        "https://a.org/" + "x" * 8_000,
        None,
    ],
)
async def test_what_is_no_web_page_is_left_out(url: str | None) -> None:
    """Neither cited nor consulted: only http and https, with a host, without credentials."""
    answer = await found(
        a_search(url, "http://a.org/"), a_message("Lava. (x)", (6, 9, url, "Trap"))
    )
    assert [result.url for result in answer.results] == ["http://a.org/"]
    assert answer.citations == ()


async def test_titles_and_snippets_are_short_plain_text() -> None:
    """Tags, line breaks and invisible signs are out, a megabyte is cut, also on the row."""
    title = "<b>Lava</b>\n\u202e<img src=x onerror=alert(1)>flows\x00 " + "x" * 1_000_000
    text = "<script>alert(1)</script> **Lava** is hot " + "y" * 1_000 + " end. ([A](https://a.org))"
    body = a_response(
        a_search(), a_message(text, (len(text) - 20, len(text), "https://a.org", title))
    )
    reply = await searched(lambda _: httpx2.Response(200, json=body))
    assert isinstance(reply.parsed, Findings)
    [result] = search_answer("lava", reply, reply.parsed, (), 10).results
    assert result.title.startswith("Lava flows xxx")
    assert len(result.title) == 300
    assert len(result.snippet) == 500
    assert result.snippet.startswith("…yyy")
    assert result.snippet.endswith("y end.")
    assert len(json.dumps(reply.raw)) < 10_000


async def test_a_snippet_is_what_stands_before_its_citation() -> None:
    """From the citation before it on; several in a row share what they stand behind."""
    text = "# Hot\n- Lava flows. [A](u) Ash falls. [B](u) [C](u)\n[D](u) Tuff lies."
    spans = [(text.index(f"[{name}]"), text.index(f"[{name}]") + 6) for name in "ABCD"]
    answer = await found(
        a_search(),
        a_message(text, *((a, b, f"https://{a}.org/", "t") for a, b in spans)),
    )
    assert [r.snippet for r in answer.results] == ["Lava flows.", "Ash falls.", "Ash falls.", ""]


async def test_a_citation_that_spans_words_shows_them() -> None:
    """Some answers mark the sentence instead of a link behind it."""
    answer = await found(a_search(), a_message("Lava is hot.", (0, 12, "https://a.org", "A")))
    assert answer.results[0].snippet == "Lava is hot."


@pytest.mark.parametrize(("start", "end"), [(5, 5), (9, 3), (0, 9_999), (None, None), (50, 60)])
async def test_a_citation_of_no_place_still_names_its_page(
    start: int | None, end: int | None
) -> None:
    """Odd indices cost the snippet and the span, not the page."""
    answer = await found(a_search(), a_message("Lava is hot.", (start, end, "https://a.org", "")))
    assert [(r.title, r.snippet) for r in answer.results] == [("a.org", "")]
    assert answer.citations == ()


async def test_places_count_over_all_parts() -> None:
    """A text in pieces is one text, and spans fit it."""
    answer = await found(
        a_search(),
        a_message("Lava is hot. "),
        a_message("Ash is not. (B)", (12, 15, "https://b.org", "B")),
    )
    assert [answer.text[c.start : c.end] for c in answer.citations] == ["(B)"]
    assert answer.results[0].snippet == "Lava is hot. Ash is not."


async def test_other_marks_are_no_citations() -> None:
    """Files and containers are not the web."""
    message = a_message("x", (0, 1, "https://a.org", "A"))
    message["content"][0]["annotations"][0]["type"] = "file_citation"
    assert (await found(a_search(), message)).results == ()


async def test_a_page_outside_the_allowed_domains_is_left_out() -> None:
    """Whatever the model cites; subdomains are inside, lookalikes are not."""
    urls = ["https://a.org/", "https://sub.a.org/", "https://nota.org/", "https://a.org.evil.com/"]
    answer = await found(
        a_search(*urls), a_message("x", (0, 1, "https://b.org/", "B")), domains=("a.org",)
    )
    assert [r.url for r in answer.results] == urls[:2]
    assert answer.citations == ()


@pytest.mark.parametrize(
    ("facts", "searches"),
    [
        ({"tool_usage": {"web_search": {"num_requests": 7}}}, 7),
        ({"tool_usage": {"web_search": {"num_requests": 0}}}, 0),
        ({"tool_usage": {"web_search": None}}, 2),
        ({"tool_usage": None}, 2),
        ({}, 2),
    ],
)
async def test_billable_searches_are_counted(facts: Json, searches: int) -> None:
    """As the vendor says; else searches count, and opening pages or looking into them is free."""
    body = a_response(
        a_search(),
        {"type": "web_search_call"},  # older endpoints do not say what it did
        a_search(kind="open_page"),
        a_search(kind="find_in_page"),
        a_message("x"),
        **facts,
    )
    reply = await searched(lambda _: httpx2.Response(200, json=body))
    assert reply.usage == Usage(prompt_tokens=100, completion_tokens=20, web_searches=searches)


async def test_without_tokens_the_usage_is_not_known() -> None:
    """Searches alone would be priced too low."""
    body = a_response(a_search("https://a.org"), a_message("x"), usage=None)
    reply = await searched(lambda _: httpx2.Response(200, json=body))
    assert reply.usage is None


async def test_pages_without_a_word_are_an_answer() -> None:
    """The model read and said nothing: the pages are there all the same."""
    answer = await found(a_search("https://a.org"))
    assert [r.source for r in answer.results] == ["consulted"]


async def test_nothing_found_is_an_answer() -> None:
    """A search may find nothing."""
    assert (await found(a_search(), a_message("There is nothing."))).results == ()


@pytest.mark.parametrize(
    ("output", "facts", "error"),
    [
        ([a_message("I know that.")], {}, LLMBadResponseError),
        ([], {}, LLMBadResponseError),
        ([a_search()], {}, LLMBadResponseError),
        (
            [a_search("https://a.org")],
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            LLMTruncatedError,
        ),
        (
            [a_search(), {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}],
            {},
            LLMRefusedError,
        ),
        ([a_search()], {"status": "failed", "error": {"code": "x"}}, LLMProviderError),
    ],
)
async def test_a_success_that_is_no_search_is_an_error(
    output: list[Json], facts: Json, error: type[LLMError]
) -> None:
    """It knows its tokens and the searches that were paid for."""
    caught = await failure(*output, **facts)
    assert type(caught) is error
    assert caught.usage is not None
    assert caught.usage.prompt_tokens == 100
    assert caught.usage.web_searches == sum(o["type"] == "web_search_call" for o in output)


async def test_a_failure_without_tokens_stays_without() -> None:
    """A usage that nobody reported is not made up."""
    caught = await failure(a_search(), status="failed", usage=None)
    assert caught.usage is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "m", "output": None},
        {"model": "m", "output": [{"type": 7}]},
        {"model": "m", "output": [{"type": "web_search_call", "action": []}]},
        {"model": "m", "output": [{"type": "web_search_call", "action": {"sources": "x"}}]},
        {"model": "m", "output": [a_message("x", (-1, 5, "https://a.org", "A"))]},
        {"model": "m", "output": [a_message("x", (0, 5, ["https://a.org"], "A"))]},
        {"model": "m", "output": [], "tool_usage": {"web_search": {"num_requests": -1}}},
        {"model": "m", "output": [], "tool_usage": {"web_search": {"num_requests": "many"}}},
    ],
)
async def test_an_unexpected_shape_is_told(body: Json) -> None:
    """A 200 is not an answer: the error says where it is odd, and that it may have been paid."""
    with pytest.raises(LLMBadResponseError, match="unexpected shape at ") as caught:
        await searched(lambda _: httpx2.Response(200, json=body))
    assert caught.value.maybe_billed


# --- promises for any input ---------------------------------------------------------------------


@given(st.text() | st.from_regex(r"(?i)https?://[^ ]{0,40}|[a-z]{1,12}:.{0,20}"))
def test_an_address_is_a_web_page_or_nothing(text: str) -> None:
    """Whatever a model says: http or https with a host, and clean a second time."""
    url = web_url(text)
    if url is not None:
        assert url.lower().startswith(("http://", "https://"))
        assert web_url(url) == url


@given(st.text(), st.integers(1, 50))
def test_plain_text_is_one_short_line(text: str, limit: int) -> None:
    """No control characters, no line breaks, no longer than it may be."""
    words = plain(text, limit)
    assert len(words) <= limit
    assert not any(sign in words for sign in "\n\r\t\x00\u202e\u2028")


@given(
    st.text(alphabet="ab \n[]().-*<>", max_size=80),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=5),
)
def test_snippets_never_fail(text: str, spans: list[tuple[int, int]]) -> None:
    """Any text with any citations gives pages with bounded snippets."""
    citations = tuple(
        SearchCitation(start=a, end=b, url=f"https://{n}.org", title="t")
        for n, (a, b) in enumerate(spans)
        if a < b <= len(text)
    )
    findings = Findings(citations=citations, consulted=(), calls=1, searches=1)
    answer = search_answer("q", Reply(text=text, model="m"), findings, (), 10)
    assert len(answer.results) == len(citations)
    assert all(len(result.snippet) <= 500 for result in answer.results)

"""Web search as callers see it: pages, their row, what it costs, and what is refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from modules.llm_services.config import create_llm_config_from_env
from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMInputError,
    LLMRefusedError,
)
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import SearchesWeb
from modules.llm_services.providers.factory import create_llm_provider
from modules.llm_services.public import LLMServicesProvider, SearchAnswer, open_llm_services
from modules.llm_services.roles import DEFAULT_ROLES
from modules.llm_services.types import Usage
from sandbox import Sandbox
from tests.support.ledger import rows

Json = dict[str, Any]


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


# --- through the sandbox ------------------------------------------------------------------------


async def test_pages_and_their_row(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Dicts with exactly the promised keys; one row with an attempt for each query."""
    user = uuid4()
    pages, request_id = await llm.search_web(
        ["volcano alerts", "lava flows"],
        user,
        max_results=3,
        feature="research",
        recency="week",
        location={"country": "is", "timezone": "Atlantic/Reykjavik"},
    )
    assert [(page["query"], page["position"]) for page in pages] == [
        (query, n) for query in ("volcano alerts", "lava flows") for n in (1, 2, 3)
    ]
    assert pages[0] == {
        "query": "volcano alerts",
        "position": 1,
        "url": "https://sandbox.invalid/volcano-alerts/overview",
        "title": "Volcano Alerts: Overview",
        "snippet": "An overview of volcano alerts names the main facts and where they come from.",
        "source": "citation",
    }
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.operation, row.requested_model) == ("completed", "search", "search")
    assert (row.user_id, row.feature) == (user, "research")
    assert row.messages is not None
    assert [m["content"] for m in row.messages[1:]] == ["volcano alerts", "lava flows"]
    assert "last 7 days" in row.messages[0]["content"]
    assert row.additional_params == {
        "context_size": "medium",
        "recency": "week",
        "location": {"country": "IS", "timezone": "Atlantic/Reykjavik"},
        "max_results": 3,
    }
    assert row.attempts is not None
    assert [attempt["outcome"] for attempt in row.attempts] == ["answered", "answered"]
    assert [entry.client_request_id for entry in vendor.journal()] == [str(request_id)] * 2


async def test_searches_are_paid_for(llm: LLMServicesProvider) -> None:
    """Each billable search costs a cent besides its tokens."""
    _, request_id = await llm.search_web(["volcano", "lava", "ash"])
    row = llm.get_request(request_id)
    assert row is not None
    assert row.attempts is not None
    assert [attempt["usage"]["web_searches"] for attempt in row.attempts] == [1, 1, 1]
    assert row.cost_details is not None
    assert row.cost_details["web_search"] == "0.03"
    assert row.cost_estimate is not None
    assert row.cost_estimate > 0.03


async def test_each_distinct_query_is_searched_once(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Duplicates cost nothing, and the order is the caller's."""
    answers, _ = await llm.search_answers(["lava", "ash", " lava ", "lava", "tuff"])
    assert [answer.query for answer in answers] == ["lava", "ash", "tuff"]
    assert len(vendor.journal()) == 3


async def test_an_answer_says_where_it_cites_what(llm: LLMServicesProvider) -> None:
    """The text as it came, and spans of it."""
    [answer], request_id = await llm.search_answers(["volcano"], max_results=2)
    assert type(answer) is SearchAnswer
    assert (len(answer.results), len(answer.citations), answer.searches) == (2, 5, 1)
    for citation in answer.citations:
        assert citation.title in answer.text[citation.start : citation.end]
    row = llm.get_request(request_id)
    assert row is not None
    assert row.response_content == answer.text
    assert answer.text not in str(row.response_raw)


async def test_results_come_from_the_allowed_domains(llm: LLMServicesProvider) -> None:
    """And from nowhere else."""
    pages, _ = await llm.search_web(["lava"], allowed_domains=["Example.org", "usgs.gov"])
    assert {page["url"].split("/")[2] for page in pages} == {"example.org", "usgs.gov"}


async def test_a_server_error_is_tried_again(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """What surely was not answered may be repeated."""
    pages, request_id = await llm.search_web(["lava"], model="openai:gpt-6-luna:status=500,times=1")
    row = llm.get_request(request_id)
    assert row is not None
    assert pages
    assert row.retry_attempt == len(vendor.journal()) == 2


@pytest.mark.parametrize(("resend", "requests"), [(None, 1), (False, 1), (True, 2)])
async def test_a_search_that_may_be_paid_is_not_sent_again(
    llm: LLMServicesProvider, vendor: Sandbox, resend: object, requests: int
) -> None:
    """Only who asks for it pays twice for a connection that broke."""
    with pytest.raises(LLMConnectionError) as caught:
        await llm.search_web(
            ["lava"],
            model="openai:gpt-6-luna:drop",
            max_retries=1,
            resend=resend,  # type: ignore[arg-type]
        )
    assert caught.value.maybe_billed
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", "Connection")
    assert row["retry_attempt"] == len(vendor.journal()) == requests


async def test_an_empty_answer_is_not_paid_for_twice(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """It has a price, which is on the row."""
    with pytest.raises(LLMBadResponseError):
        await llm.search_web(["lava"], model="openai:gpt-6-luna:empty")
    [row] = rows()
    assert row["prompt_tokens"] > 0
    assert len(vendor.journal()) == 1


async def test_a_refusal_keeps_its_price(llm: LLMServicesProvider) -> None:
    """Tokens were used, and the row says how many."""
    with pytest.raises(LLMRefusedError):
        await llm.search_web(["lava"], model="openai:gpt-6-luna:refuse")
    [row] = rows()
    assert (row["error_type"], row["prompt_tokens"] > 0) == ("Refused", True)


async def test_a_query_that_fails_costs_only_itself(
    llm: LLMServicesProvider, vendor: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The pages of the others come back; answer, row and log tell of the one that has none."""
    asked = ["lava", "ash", "tuff"]
    answers, request_id = await llm.search_answers(
        asked, model="openai:gpt-6-luna:code=content_policy_violation,times=1"
    )
    assert [answer.query for answer in answers] == asked
    [failed] = [n for n, answer in enumerate(answers) if answer.error]
    assert (answers[failed].error_type, answers[failed].text) == ("Refused", "")
    assert answers[failed].results == ()
    assert all(answer.results for n, answer in enumerate(answers) if n != failed)
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.error_type, row.http_status) == ("completed", None, 200)
    assert row.error_message is not None
    assert row.error_message.startswith(
        f"1 of 3 parts failed: part {failed + 1}: Refused: HTTP 400"
    )
    assert row.response_raw is not None
    assert row.response_raw["parts"][failed]["error_type"] == "Refused"
    assert row.cost_details is not None
    assert row.cost_details["web_search"] == "0.02"
    assert f"request_id={request_id}: 1 of 3 searches failed: Refused" in caplog.text
    assert "lava" not in caplog.text
    assert len(vendor.journal()) == 3


async def test_pages_of_the_other_queries_are_kept(llm: LLMServicesProvider) -> None:
    """`search_web` gives what was found, and fails when every query does."""
    pages, _ = await llm.search_web(["lava", "ash"], model="openai:gpt-6-luna:refuse,times=1")
    assert len({page["query"] for page in pages}) == 1
    with pytest.raises(LLMRefusedError):
        await llm.search_web(["lava", "ash"], model="openai:gpt-6-luna:refuse")
    assert [row["status"] for row in rows("status = 'failed'")] == ["failed"]


async def test_the_configured_cap_holds(
    llm: LLMServicesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAX_TOKENS caps searches, too, and a report that was cut off says so."""
    monkeypatch.setenv("MAX_TOKENS", "60")
    async with open_llm_services() as capped:
        [answer], request_id = await capped.search_answers(["lava"])
        row = capped.get_request(request_id)
    assert answer.finish_reason == "length"
    assert answer.results
    assert row is not None
    assert row.max_tokens == 60


async def test_queries_are_searched_side_by_side_but_not_all_at_once(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Twelve queries are under way together, and never more than four of them."""
    _, request_id = await llm.search_web(
        [f"query {n}" for n in range(12)], model="openai:gpt-6-luna:slow=0.05"
    )
    row = llm.get_request(request_id)
    assert row is not None
    starts = [datetime.fromisoformat(a["started_at"]) for a in row.attempts or ()]
    ends = [
        start + timedelta(milliseconds=a["ms"] - 2)  # both are rounded
        for start, a in zip(starts, row.attempts or (), strict=True)
    ]
    under_way = [
        sum(start <= at < end for start, end in zip(starts, ends, strict=True)) for at in starts
    ]
    assert len(starts) == len(vendor.journal()) == 12
    assert 1 < max(under_way) <= 4


# --- nothing is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("queries", "options", "told"),
    [
        ([], {}, "queries is empty"),
        (None, {}, "queries must be a list of str, not None"),
        ("lava", {}, "put the one query into a list"),
        (b"lava", {}, "not bytes"),
        ({"lava"}, {}, "not set"),
        ([""], {}, r"queries\[0\] must be text"),
        (["a", "  "], {}, r"queries\[1\] must be text"),
        (["a", None], {}, r"queries\[1\] must be a str, not None"),
        (["\ud800"], {}, "lone surrogate"),
        (["x" * 2001], {}, "1 to 2000 characters"),
        ([f"q{n}" for n in range(1000)], {}, "has 1000 entries; at most 100"),
        (["a"], {"max_results": 0}, "max_results must be a whole number from 1 to 100"),
        (["a"], {"max_results": -1}, "max_results"),
        (["a"], {"max_results": 10**9}, "max_results"),
        (["a"], {"max_results": "5"}, "max_results"),
        (["a"], {"max_results": True}, "max_results"),
        (["a"], {"recency": "hour"}, "recency must be one of day, week, month, year"),
        (["a"], {"context_size": "huge"}, "context_size must be one of low, medium, high"),
        (["a"], {"resend": 1}, "resend must be True or False"),
        (["a"], {"allowed_domains": "example.org"}, "list of domains"),
        (["a"], {"allowed_domains": []}, "give 1 to 100 domains"),
        (["a"], {"allowed_domains": ["a.org"] * 101}, "has 101 entries; at most 100"),
        (["a"], {"allowed_domains": ["https://example.org"]}, "without https://"),
        (["a"], {"allowed_domains": ["a.org", "localhost"]}, r"allowed_domains\[1\]"),
        (["a"], {"allowed_domains": [7]}, r"allowed_domains\[0\]"),
        (["a"], {"location": "Vienna"}, "location must map some of country, city"),
        (["a"], {"location": {}}, "location must map"),
        (["a"], {"location": {"town": "x"}}, "unknown key 'town'"),
        (["a"], {"location": {"country": "Austria"}}, "two letters such as AT"),
        (["a"], {"location": {"country": 43}}, "two letters"),
        (["a"], {"location": {"timezone": "CET+1 "}}, "Europe/Vienna"),
        (["a"], {"location": {"city": ""}}, r"location\['city'\] must be text"),
        (["a"], {"user_id": "me"}, "user_id"),
        (["a"], {"timeout": -1}, "timeout"),
        (["a"], {"model": 7}, "model must be a str"),
        (["a"], {"recentcy": "day"}, "did you mean recency"),
        (["a"], {"max_result": 3}, "did you mean max_results"),
        (["a"], {"temperature": 1}, "unknown keyword parameter 'temperature'"),
    ],
)
async def test_bad_input_is_told_before_anything_is_sent(
    llm: LLMServicesProvider, vendor: Sandbox, queries: Any, options: Json, told: str
) -> None:
    """The argument's name and what would be right; no request, no row, nothing paid."""
    with pytest.raises(LLMInputError, match=told):
        await llm.search_web(queries, **options)
    assert rows() == []
    assert vendor.journal() == []


@pytest.mark.parametrize("name", ["ENABLE_WEB_SEARCH", "LLM_ENABLE_WEB_SEARCH"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_searching_can_be_switched_off(
    name: str, llm: LLMServicesProvider, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable; nothing is sent."""
    monkeypatch.setenv(name, "false")
    async with open_llm_services() as off:
        with pytest.raises(LLMConfigurationError, match=f"^{name} is false"):
            await off.search_web(["lava"])
    assert rows() == []
    assert vendor.journal() == []


async def test_an_endpoint_without_the_responses_api_cannot_search(
    llm: LLMServicesProvider, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told before anything is sent, with what to do about it."""
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", vendor.base_url)
    async with open_llm_services() as other:
        with pytest.raises(LLMInputError, match=r"'house' cannot search .* LLM_ROLES__SEARCH"):
            await other.search_web(["lava"], model="house:llama4")
        assert rows() == []
        monkeypatch.setenv("LLM_PROVIDERS__HOUSE__API", "responses")
    async with open_llm_services() as able:
        pages, _ = await able.search_web(["lava"], model="house:gpt-4o")
    assert pages
    assert len(vendor.journal()) == 1


async def test_being_able_to_search_is_having_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter is asked by its class: it cannot claim what it lacks."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", "http://house.test/v1")
    config = create_llm_config_from_env()
    able = []
    for name in ("openai", "house"):
        adapter = create_llm_provider(config, name)
        able.append(isinstance(adapter, SearchesWeb))
        await adapter.aclose()
    assert able == [True, False]


def test_the_role_has_a_price_for_searches() -> None:
    """What is searched with by default costs what we know."""
    provider, _, model = DEFAULT_ROLES["search"].partition(":")
    usage = Usage(prompt_tokens=1, completion_tokens=1, web_searches=1)
    assert PriceList().price(provider, model, usage, datetime(2026, 11, 22, tzinfo=UTC)).total

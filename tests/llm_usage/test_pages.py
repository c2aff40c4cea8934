"""The pages over HTTP: what they show, what they hide, and what they answer to nonsense."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text as sql

from modules.llm_services.public import open_llm_services_admin
from modules.llm_usage import pages, service
from modules.llm_usage.assets import assets
from modules.shared.db import get_engine
from tests.llm_usage.application import CACHED, FAILED, FIRST, MARKUP, REQUEST, USER, a_ledger
from tests.support.overview import a_row, insert_rows

PART = {"HX-Request": "true"}
TEXT = "An answer."
NOBODYS = UUID(int=7)


class _Elements(HTMLParser):
    """The tags of a page with their attributes, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def links(self) -> Iterator[str]:
        for _, attributes in self.found:
            for name in ("href", "src", "hx-get", "action"):
                if value := attributes.get(name):
                    yield value


def _get(client: TestClient, path: str = "", **options: Any) -> str:
    reply = client.get(f"/llm-usage{path}", **options)
    assert reply.status_code == 200, reply.text
    return reply.text


@pytest.fixture
def shown(client: TestClient) -> TestClient:
    a_ledger()
    return client


def test_the_overview_tells_what_was_spent(shown: TestClient) -> None:
    """Sums of the window, charts with their numbers, rankings, and parts that come later."""
    text = _get(shown)
    assert "$73.35" in text  # 0.75, and 1 to 120 cents
    assert "124" in text
    assert "0.81\u202f%" in text
    for panel in ("savings", "users", "errors", "latency"):
        assert f"/panels/{panel}?days=30" in text
    charts = [a["data-chart"] for _, a in _Elements(text).found if "data-chart" in a]
    assert len(charts) == 3
    assert '"unit": "usd"' in str(charts[0])


def test_retiring_models_are_told_of(shown: TestClient) -> None:
    """Whoever looks learns which models in use will not answer any more, and when."""
    insert_rows([a_row(model="gpt-4o", retry_attempt=1)])
    text = _get(shown)
    assert "Retiring models in use" in text
    assert "on 2027-01-14" in text


def test_parts_come_by_themselves_and_as_pages(shown: TestClient) -> None:
    """A script gets a part; a browser without scripts gets the same as a page."""
    for name, words in {
        "savings": "$0.25",
        "users": str(USER),
        "errors": "RateLimited",
        "latency": "p99",
    }.items():
        part = _get(shown, f"/panels/{name}", headers=PART)
        page = _get(shown, f"/panels/{name}")
        assert words in part
        assert words in page
        assert "<html" not in part
        assert "<html" in page


async def test_failures_of_deleted_requests_have_no_link(client: TestClient) -> None:
    """Their number and last day stay on the page."""
    day = datetime.now(UTC) - timedelta(days=3)
    insert_rows([a_row(status="failed", error_type="Timeout", created_at=day, retry_attempt=1)])
    async with open_llm_services_admin() as admin:
        await admin.refresh_daily_usage()
    with get_engine().begin() as connection:
        connection.execute(sql("DELETE FROM llm_requests"))
    text = _get(client, "/panels/errors", headers=PART)
    assert f"last on {day.date()}" in text
    assert "/requests/" not in text


def test_a_long_search_goes_on_where_it_ended(
    shown: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks at so many requests; what it has not reached is a link away."""
    monkeypatch.setattr(service, "MOST_LOOKED_AT", 100)
    query = {"text": "question 119", "days": "30"}
    text = _get(shown, "/requests", params=query)
    assert "Looked through back to" in text
    assert "No requests fit" not in text
    further = next(link for link in _Elements(text).links() if "after=" in link)
    assert "question 119" in shown.get(further, headers=PART).text


def test_an_empty_ledger_has_pages(client: TestClient) -> None:
    """Before the first request there is nothing, and nothing fails."""
    for path in ("", "/requests", *(f"/panels/{n}" for n in ("users", "errors", "latency"))):
        text = _get(client, path)
        assert "Nothing" in text or "No requests fit" in text
    assert "0 hits" in _get(client, "/panels/savings")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "failed"}, {FAILED}),
        ({"error_type": "RateLimited", "maybe_paid": "true"}, {FAILED}),
        ({"cached": "true"}, {CACHED}),
        ({"user_id": str(USER)}, {REQUEST, FIRST}),
        ({"conversation_id": "talk-1", "days": "1"}, {REQUEST, FIRST}),
        ({"feature": MARKUP, "model": "gpt-5", "provider": "openai"}, {REQUEST, FIRST}),
        ({"text": "HELLO", "operation": "chat"}, {FIRST}),
        ({"tenant": "nobody"}, set()),
    ],
)
def test_requests_are_found(shown: TestClient, query: dict[str, str], found: set[UUID]) -> None:
    """Each filter shows what fits, and only that."""
    text = _get(shown, "/requests", params=query)
    links = {link.rsplit("/", 1)[-1] for link in _Elements(text).links() if "/requests/" in link}
    today = datetime.now(UTC)
    assert links == {str(row) for row in found} or today.hour == today.minute == 0


def test_old_requests_of_a_user_are_found_without_days(client: TestClient) -> None:
    """Where an index helps, all days are looked at; elsewhere the last seven."""
    long_ago = datetime.now(UTC) - timedelta(days=200)
    insert_rows([a_row(created_at=long_ago, user_id=USER, feature="old", retry_attempt=1)])
    assert "gpt-5" in _get(client, "/requests", params={"user_id": str(USER)}, headers=PART)
    assert "No requests fit" in _get(client, "/requests", params={"feature": "old"})


def test_pages_of_requests_follow_each_other(shown: TestClient) -> None:
    """Every request is on exactly one page, also by the scripts' way."""
    path: str | None = "/llm-usage/requests?days=30"
    seen: list[str] = []
    while path:
        reply = shown.get(path, headers=PART)
        links = list(_Elements(reply.text).links())
        seen += [link for link in links if "/requests/" in link]
        path = next((link for link in links if "after=" in link), None)
    assert len(seen) == len(set(seen)) == 124


def test_a_request_has_a_page(shown: TestClient) -> None:
    """Messages, answer, attempts, cost, facts, and the conversation with its links."""
    text = _get(shown, f"/requests/{REQUEST}")
    for words in (
        *(TEXT, "weather", "$0.75", "$0.50", "a table", "temperature", "req-2"),
        *("HTTP 429", "maybe paid", "900 ms", "this one", "As the vendor sent it"),
    ):
        assert words in text, words
    assert f"/llm-usage/requests/{FIRST}" in text
    assert 'width="50.0%"' in text  # the second attempt: two of four seconds


def test_a_cached_answer_leads_to_its_source(shown: TestClient) -> None:
    """What was saved, where it came from, and that its content has gone since."""
    text = _get(shown, f"/requests/{CACHED}")
    assert f"/llm-usage/requests/{REQUEST}" in text
    assert "saved $0.25" in text
    assert "has been removed since" in text
    assert "nothing was sent" in text


def test_a_failure_says_why(shown: TestClient) -> None:
    """The error, its status and whether it may have cost something."""
    text = _get(shown, f"/requests/{FAILED}")
    assert "HTTP 429" in text
    assert "may have charged" in text


def test_a_replay_leads_to_its_request(shown: TestClient) -> None:
    """Which request it tried again, and which model was to answer."""
    text = _get(shown, f"/requests/{FAILED}")
    assert f"/llm-usage/requests/{REQUEST}" in text
    assert "Replay of" in text
    assert "openai:gpt-6" in text


def test_a_request_can_be_taken_along(shown: TestClient) -> None:
    """The whole row as JSON, as a file and never as a page."""
    reply = shown.get(f"/llm-usage/requests/{REQUEST}/download")
    assert reply.json()["response_content"].startswith(TEXT)
    assert reply.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path",
    ["", "/requests?days=30", f"/requests/{REQUEST}", f"/requests/{FAILED}", "/panels/errors"],
)
def test_content_is_never_markup(shown: TestClient, path: str) -> None:
    """What a prompt brings stays text: no element, no handler, no script of it, nowhere."""
    reply = shown.get(f"/llm-usage{path}")
    elements = _Elements(reply.text).found
    assert all(attributes.get("src") for tag, attributes in elements if tag == "script")
    assert not [tag for tag, _ in elements if tag in {"img", "style", "iframe"}]
    assert not [name for _, a in elements for name in a if name.startswith("on") or name == "style"]
    assert "\u202e" not in reply.text
    assert "\x1b" not in reply.text


@pytest.mark.parametrize("path", ["", "/requests", "/static/usage.js", f"/requests/{NOBODYS}"])
def test_pages_may_load_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    """A strict policy goes with every answer, and no address leads outside."""
    reply = client.get(f"/llm-usage{path}")
    policy = reply.headers["content-security-policy"]
    assert policy == pages.POLICY
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    if "static" not in path:
        assert reply.headers["cache-control"] == "no-store"
        assert all(link.startswith(("/", "#")) for link in _Elements(reply.text).links())


def test_files_may_be_kept_until_they_change(client: TestClient) -> None:
    """The page names each file with its content's hash."""
    named = [link for link in _Elements(_get(client)).links() if "/static/" in link]
    assert len(named) == len(set(named)) == 6
    for link in named:
        reply = client.get(link)
        assert reply.status_code == 200
        assert "immutable" in reply.headers["cache-control"]
    assert {"htmx.LICENSE.txt", "uPlot.LICENSE.txt"} <= assets().keys()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("?days=0", 400, "days must be"),
        ("?days=9999999999999999999", 400, "days must be"),
        ("?from=yesterday", 400, "from must be a day"),
        ("?from=2026-03-01&to=2026-02-01", 400, "must not be after"),
        ("?from=2020-01-01&to=2026-02-01", 400, "366 days at most"),
        ("?from=0001-01-01&to=0001-01-02", 400, "must lie between"),
        ("?to=0001-01-02", 400, "must lie between"),
        ("/panels/passwords", 404, "no such page"),
        ("/requests?user_id=me", 400, "must be a UUID"),
        ("/requests?cached=maybe", 400, "true or false"),
        ("/requests?status=odd", 400, "status"),
        ("/requests?model=a%00b", 400, "NUL"),
        ("/requests?after=%3Cscript%3E", 400, "next_cursor"),
        ("/requests/me", 404, "no such request"),
        (f"/requests/{NOBODYS}", 404, "no request"),
        ("/static/../routes.py", 404, ""),
        ("/static/none.js", 404, "no such file"),
    ],
)
def test_nonsense_gets_a_clear_answer(
    client: TestClient, path: str, status: int, words: str
) -> None:
    """A page that says what is wrong, and never a failure of ours."""
    reply = client.get(f"/llm-usage{path}")
    assert reply.status_code == status
    assert words in reply.text
    assert "<script>" not in reply.text


def test_windows_can_be_chosen(shown: TestClient) -> None:
    """Days up to now, or from one day to another; what was chosen stays in the links."""
    assert 'aria-current="true">7 days' in _get(shown, "?days=7")
    text = _get(shown, "?from=2026-01-01&to=2026-01-31")
    assert "2026-01-01 – 2026-01-31" in text
    assert "from=2026-01-01&amp;to=2026-01-31" in text


def test_half_a_letter_breaks_no_page(client: TestClient) -> None:
    """JSON may hold what UTF-8 cannot; it is shown as a question mark."""
    insert_rows([a_row(id=FIRST, retry_attempt=1)])
    stored = '[{"role": "user", "content": "x\\ud800y"}]'
    with get_engine().begin() as connection:
        connection.execute(sql("UPDATE llm_requests SET messages = :said"), {"said": stored})
    assert "x?y" in _get(client, f"/requests/{FIRST}")
    assert client.get(f"/llm-usage/requests/{FIRST}/download").status_code == 200


def test_who_has_no_jinja_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is an extra of the package; its absence names it."""
    pages._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    reply = client.get("/llm-usage")
    assert reply.status_code == 503
    assert "llm-services[usage]" in reply.text

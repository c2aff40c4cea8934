"""The module over HTTP: the real application, the real LLM module, and the sandbox as the model."""

import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

import sandbox
from main import create_app
from modules.llm_services.public import LLMRequestDTO, open_llm_services

TOPICS = "/api/v1/content_creation/topics"
SOURCE = """\
# Tides

A tide is the rise and fall of the sea. The Moon pulls the water that faces it. A bulge of water \
forms on the near side and another on the far side.

## The Sun

The Sun pulls the water as well, about half as strongly as the Moon. When Sun and Moon stand in \
line, their pulls add up to a spring tide. When they stand at a right angle, there is a neap tide.
"""
PARTS = 5  # outline, two sections, glossary, questions


@pytest.fixture
def models(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.Sandbox]:
    """The sandbox, set up as the only provider; no retries, so that each fault is one request."""
    with sandbox.running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sandbox")
        monkeypatch.setenv("MAX_RETRIES", "0")
        yield server


@pytest.fixture
def client(models: sandbox.Sandbox) -> Iterator[TestClient]:
    with TestClient(create_app()) as client:
        yield client


@pytest.fixture
def broken(models: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The application with a role `fast` (the glossary's) that always fails."""
    with monkeypatch.context() as patch:
        patch.setenv("OPENAI_MODEL", "gpt-5.4-mini")
        patch.setenv("LLM_ROLES__FAST", "openai:sandbox-fault:status=500")
        with TestClient(create_app()) as client:
            yield client


def _post(client: TestClient, user_id: UUID | None = None, **body: Any) -> Any:
    headers = {"Content-Type": "application/json", **_as_user(user_id)}
    text = json.dumps({"source_material": SOURCE, **body})
    return client.post(TOPICS, content=text, headers=headers)


def _as_user(user_id: UUID | None) -> dict[str, str]:
    return {"X-User-Id": str(user_id)} if user_id else {}


async def _row(request_id: str) -> LLMRequestDTO:
    async with open_llm_services() as llm:
        row = llm.get_request(UUID(request_id))
    assert row is not None
    return row


def test_a_text_becomes_a_lesson(
    client: TestClient, models: sandbox.Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """201 with the whole lesson, made in one request to a model per part, without a warning."""
    reply = _post(client, title="The Tides", level="advanced")
    topic = reply.json()
    assert reply.status_code == 201, topic
    assert reply.headers["Location"] == f"{TOPICS}/{topic['id']}"
    assert (topic["status"], topic["title"], topic["level"]) == (
        "completed",
        "The Tides",
        "advanced",
    )
    assert topic["learning_objectives"]
    assert all(section["text"] and section["key_points"] for section in topic["sections"])
    assert topic["glossary"]
    assert topic["questions"]
    assert len(models.journal()) == len(topic["parts"]) == PARTS
    assert client.get(reply.headers["Location"]).json() == topic
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_every_part_has_its_row_in_the_ledger(client: TestClient) -> None:
    """A part's request id leads to a completed row with the user, the topic and the part."""
    user_id = uuid4()
    topic = _post(client, user_id).json()
    for part in topic["parts"]:
        row = await _row(part["request_id"])
        assert row.status == "completed"
        assert (row.user_id, row.conversation_id) == (user_id, topic["id"])
        assert row.feature == "content_creation"
        assert row.context_data == {"part": part["kind"], "position": part["position"]}


async def test_a_failed_part_is_told_with_its_row(broken: TestClient) -> None:
    """201 with an incomplete topic: the failed part names the failed row and no internals."""
    reply = _post(broken)
    topic = reply.json()
    assert (reply.status_code, topic["status"]) == (201, "incomplete")
    [failed] = [part for part in topic["parts"] if part["status"] == "failed"]
    assert (failed["kind"], failed["error_type"]) == ("glossary", "ProviderError")
    row = await _row(failed["request_id"])
    assert (row.status, row.error_type) == ("failed", "ProviderError")
    assert "sandbox" not in failed["error_message"]


def test_resume_sends_one_request_for_one_missing_part(
    broken: TestClient, models: sandbox.Sandbox
) -> None:
    """After the cause is repaired, only the missing part is asked for."""
    topic_id = _post(broken).json()["id"]
    models.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LLM_ROLES__FAST")
        with TestClient(create_app()) as repaired:
            topic = repaired.post(f"{TOPICS}/{topic_id}/resume").json()
    assert topic["status"] == "completed"
    assert len(models.journal()) == 1


def test_without_an_outline_the_problem_names_topic_and_row(
    models: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate limit is a 429 with Retry-After; the topic is kept as failed and can be resumed."""
    monkeypatch.setenv("LLM_ROLES__SMART", "openai:sandbox-fault:status=429,retry_after=7")
    with TestClient(create_app()) as client:
        reply = _post(client)
        problem = reply.json()
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert problem["type"] == "urn:problem-type:llm:RateLimited"
        assert problem["retryable"] is True
        topic = client.get(f"{TOPICS}/{problem['topic_id']}").json()
        assert topic["status"] == "failed"
        assert topic["parts"][0]["request_id"] == problem["request_id"]
    monkeypatch.delenv("LLM_ROLES__SMART")
    with TestClient(create_app()) as client:
        assert client.post(f"{TOPICS}/{topic['id']}/resume").json()["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"source_material": " \n"}, "source_material: the source material is empty"),
        ({"source_material": "x" * 200_001}, "at most 200,000"),
        ({"source_material": "a\x00b"}, "NUL"),
        ({"source_material": "a\ud800b"}, "broken characters"),
        ({"source_material": None}, "source_material"),
        ({"title": "two\nlines"}, "title"),
        ({"level": "genius"}, "level"),
        ({"tilte": "Tides"}, "tilte"),
    ],
    ids=["blank", "long", "binary", "surrogate", "null", "title", "level", "unknown"],
)
def test_bad_input_is_refused_before_anything_happens(
    client: TestClient, models: sandbox.Sandbox, body: dict[str, Any], complaint: str
) -> None:
    """422 that says why without repeating what was sent; nothing is stored, nothing asked."""
    reply = _post(client, **body)
    assert reply.status_code == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert complaint in reply.json()["detail"]
    assert len(reply.content) < 1_000
    assert client.get(TOPICS).json() == []
    assert models.journal() == []


def test_users_see_their_own_topics_only(client: TestClient) -> None:
    """With a user's header, another user's topic is a 404 and in no list."""
    owner, stranger = uuid4(), uuid4()
    topic_id = _post(client, owner).json()["id"]
    for user_id, status, listed in ((owner, 200, 1), (stranger, 404, 0)):
        headers = _as_user(user_id)
        assert client.get(f"{TOPICS}/{topic_id}", headers=headers).status_code == status
        assert client.post(f"{TOPICS}/{topic_id}/resume", headers=headers).status_code == status
        assert len(client.get(TOPICS, headers=headers).json()) == listed


def test_a_list_holds_no_contents(client: TestClient) -> None:
    """A list shows what topics there are, page by page, and stays small."""
    made = [_post(client).json()["id"] for _ in range(2)]
    [newest] = client.get(TOPICS, params={"limit": 1}).json()
    assert newest["id"] == made[1]
    assert set(newest) == {
        *("id", "user_id", "title", "level", "status", "created_at", "completed_at")
    }
    assert [t["id"] for t in client.get(TOPICS, params={"offset": 1}).json()] == made[:1]
    assert client.get(TOPICS, params={"limit": 0}).status_code == 422


def test_a_lesson_with_a_picture_and_pages_to_read_on(client: TestClient) -> None:
    """`illustrate` and `research` are parts like the others, each with its row and its cost."""
    lesson = _post(client, illustrate=True, research=True).json()
    assert lesson["status"] == "completed"
    assert lesson["illustration"]["url"].startswith("data:image/png;base64,")
    links = lesson["further_reading"]
    assert links
    assert all(link["url"].startswith("https://") and link["title"] for link in links)
    kinds = [part["kind"] for part in lesson["parts"]]
    assert kinds[-2:] == ["illustration", "reading"]
    assert len({part["request_id"] for part in lesson["parts"]}) == PARTS + 2


def test_a_picture_that_fails_costs_the_lesson_only_the_picture(
    models: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing picture leaves a readable lesson, and a resume asks for the picture alone."""
    with monkeypatch.context() as patch:
        patch.setenv("LLM_ROLES__IMAGE", "openai:sandbox-fault:status=400")
        with TestClient(create_app()) as client:
            lesson = _post(client, illustrate=True).json()
    assert (lesson["status"], lesson["illustration"]) == ("incomplete", None)
    before = len(models.journal())
    with TestClient(create_app()) as client:
        whole = client.post(f"{TOPICS}/{lesson['id']}/resume").json()
    assert whole["illustration"]["url"]
    assert [entry.path for entry in models.journal()[before:]] == ["/v1/images/generations"]

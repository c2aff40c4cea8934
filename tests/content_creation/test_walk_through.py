"""A walk through a topic: server-sent events, read by clients that stay and by one that leaves."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from fastapi.testclient import TestClient

from main import create_app
from sandbox import Sandbox
from tests.support.ledger import rows

TOPICS = "/api/v1/content_creation/topics"
SOURCE = """\
Tides are the rise and fall of the sea. The Moon pulls the water that faces it. A bulge of water \
forms on the near side and another on the far side. The Sun pulls the water as well.
"""


@pytest.fixture
def client(database_url: str, vendor: Sandbox) -> Iterator[TestClient]:
    """The application with the sandbox as its model."""
    with TestClient(create_app()) as client:
        yield client


def a_topic(client: TestClient) -> str:
    """The path of a topic that was made."""
    made = client.post(TOPICS, json={"source_material": SOURCE})
    return f"{TOPICS}/{made.json()['id']}"


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events as kinds and data."""
    found = []
    for block in text.strip().split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_walk_is_told_piece_by_piece(client: TestClient) -> None:
    """The pieces make the text of the ledger's row; the last event names it and its cost."""
    path = a_topic(client)
    told = client.get(f"{path}/stream")
    assert told.headers["content-type"].startswith("text/event-stream")
    *deltas, (last, data) = events(told.text)
    assert last == "done"
    assert {kind for kind, _ in deltas} == {"delta"}
    [row] = rows("stream")
    assert "".join(data["text"] for _, data in deltas) == row["response_content"]
    assert data["request_id"].replace("-", "") == str(row["id"]).replace("-", "")
    assert data["cost"] == row["cost_estimate"]
    assert row["status"] == "completed"


def test_no_topic_no_stream(client: TestClient) -> None:
    """A topic that is not there, or another user's, is a problem response and asks no model."""
    path = a_topic(client)
    assert client.get(f"{TOPICS}/{uuid4()}/stream").status_code == 404
    other = client.get(f"{path}/stream", headers={"X-User-Id": str(uuid4())})
    assert other.status_code == 404
    assert rows("stream") == []


def test_a_model_that_fails_is_the_last_event(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader is told that it failed and whether to try again, and nothing of the inside."""
    path = a_topic(client)
    monkeypatch.setenv("LLM_MODEL", "openai:gpt-4o:cut=8")
    *deltas, (last, data) = events(client.get(f"{path}/stream").text)
    assert deltas
    assert last == "error"
    assert data == {
        "detail": "The language model could not answer this request.",
        "retryable": True,
    }
    [row] = rows("stream")
    assert (row["status"], row["error_type"]) == ("failed", "StreamCut")


@contextmanager
def serving() -> Iterator[int]:
    """The application on a real port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def test_a_client_that_goes_away_is_an_outcome(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real client closes its connection midway: the row ends cancelled, with the text so far."""
    path = a_topic(client)
    monkeypatch.setenv("LLM_MODEL", "openai:gpt-4o:drip=0.1")
    with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path}/stream HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await reader.readuntil(b"event: delta")
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(30):
            while rows("stream")[0]["status"] == "pending":  # noqa: ASYNC110 - the server is a thread
                await asyncio.sleep(0.02)
    [row] = rows("stream")
    assert row["status"] == "cancelled"
    assert row["response_content"]
    assert row["usage_source"] == "estimated"

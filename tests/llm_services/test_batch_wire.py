"""Batches on the wire: odd files, odd states, and downloads that break."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

import httpx2
import pytest
from openai import AsyncOpenAI

from modules.llm_services import arguments
from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMError,
    LLMInputError,
    LLMProviderError,
    LLMTimeoutError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers import batching
from modules.llm_services.providers.base import Attempt, BatchLine, HandlesBatches
from modules.llm_services.providers.formats import batch as wire
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, LLMMessageDTO

FIRST = Attempt(number=1, seconds_left=10)
ID = UUID(int=7)
BATCH: dict[str, Any] = {
    "id": "batch_1",
    "status": "completed",
    "endpoint": "/v1/responses",
    "created_at": 1_790_000_000,
}
GOOD = {"model": "m-1", "output": [{"type": "message", "content": [{"type": "t", "text": "hi"}]}]}


def a_call(text: str = "hello", timeout: float = 10) -> Call:
    """A call, as it is frozen for a batch."""
    return Call(
        id=uuid7(),
        operation="batch",
        provider="house",
        model="m",
        requested_model=None,
        messages=(LLMMessageDTO(role="user", content=text),),
        parameters={},
        timeout=timeout,
        max_retries=0,
    )


def desk(answer: Callable[[httpx2.Request], Any]) -> HandlesBatches:
    """The adapter's batches, with the SDK's own HTTP client on a transport that answers."""
    settings = ProviderSettings(base_url="http://house.test/v1")
    made = OpenAIProvider("house", settings, "responses")
    made._client = AsyncOpenAI(
        api_key="k",
        base_url="http://house.test/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )
    return made.batches


def a_line(**parts: Any) -> bytes:
    """A line of a file of results."""
    return json.dumps({"custom_id": str(ID), **parts}).encode()


async def read(chunks: Sequence[bytes], call: Call | None = None) -> list[BatchLine]:
    """The lines of a file that comes in these chunks."""

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    at = desk(lambda _: httpx2.Response(200, content=body()))
    return [line async for line in await at.lines(call or a_call(), FIRST, "file-1")]


async def test_lines_end_with_newlines_only() -> None:
    """JSON may hold other separators of lines, and chunks end anywhere."""
    text = f"a\u2028b\x85c{'d' * 50}"
    lines = [a_line(error={"message": text}), a_line(error={"message": "x"})]
    raw = [json.dumps(json.loads(line), ensure_ascii=False).encode() for line in lines]
    whole = b"\r\n".join([raw[0], b"", raw[1]])
    found = await read([whole[at : at + 7] for at in range(0, len(whole), 7)])
    assert [line.message for line in found] == [text, "x"]
    assert [line.message for line in await read([whole, b"\n"])] == [text, "x"]
    assert await read([b"\n \n"]) == await read([]) == []


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b"{}", b'{"custom_id": 7}', a_line(response={"status_code": "x"})]
)
async def test_a_file_that_is_no_result(line: bytes) -> None:
    """What is no line of results is an error, not a missing answer."""
    with pytest.raises(LLMBadResponseError):
        await read([line])


async def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is not gathered in memory for ever."""
    monkeypatch.setattr(batching, "_LONGEST_LINE", 10)
    with pytest.raises(LLMProviderError, match="beyond 10 bytes"):
        await read([b"x" * 6, b"x" * 6])


async def test_a_download_that_stalls_or_breaks() -> None:
    """Nobody waits for ever for the rest of a file, and a broken connection is an error of ours."""

    async def stalls() -> AsyncIterator[bytes]:
        yield a_line() + b"\n"
        await asyncio.Event().wait()

    async def breaks() -> AsyncIterator[bytes]:
        yield a_line() + b"\n"
        raise httpx2.ReadError("reset")

    for body, error in ((stalls, LLMTimeoutError), (breaks, LLMConnectionError)):
        at = desk(lambda _, body=body: httpx2.Response(200, content=body()))  # type: ignore[misc]
        lines = await at.lines(a_call(timeout=0.05), FIRST, "file-1")
        assert (await anext(lines)).call_id == ID
        with pytest.raises(error):
            await anext(lines)


async def test_a_download_that_does_not_begin() -> None:
    """A status that is no success is the vendor's error, before any line."""
    at = desk(lambda _: httpx2.Response(404, json={"error": {"message": "gone"}}))
    with pytest.raises(LLMBadRequestError, match="gone"):
        await at.lines(a_call(), FIRST, "file-1")


def line_of(**parts: Any) -> BatchLine:
    """A line as it was read."""
    return wire.read_line(a_line(**parts))


@pytest.mark.parametrize(
    ("line", "error", "told"),
    [
        ({"error": {"code": "batch_expired", "message": "late"}}, LLMTimeoutError, "late"),
        ({"error": {"code": "batch_cancelled"}}, LLMProviderError, "no reason"),
        ({}, LLMProviderError, "no reason"),
        ({"response": {"status_code": 400, "body": None}}, LLMBadRequestError, "HTTP 400"),
        ({"response": {"status_code": 200, "body": "text"}}, LLMBadResponseError, "HTTP 200"),
        ({"response": {"status_code": 200, "body": {}}}, LLMBadResponseError, "shape"),
    ],
)
def test_a_line_that_is_no_answer(line: Any, error: type[LLMError], told: str) -> None:
    """Each says what became of its request; none of it is worth repeating by itself."""
    at = desk(lambda _: httpx2.Response(500))
    with pytest.raises(error, match=told) as caught:
        at.reply(a_call(), line_of(**line), "/responses")
    assert isinstance(caught.value, LLMBadResponseError) or not caught.value.retryable


def test_an_answer_of_an_unknown_endpoint_is_read_as_chat() -> None:
    """Vendors may spell the path in a way of their own; most of them speak Chat Completions."""
    at = desk(lambda _: httpx2.Response(500))
    body = {"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    line = line_of(response={"status_code": 200, "request_id": "r", "body": body})
    reply = at.reply(a_call(), line, "/openai/chat")
    assert (reply.text, reply.http_status, reply.provider_request_id) == ("hi", 200, "r")
    good = line_of(response={"status_code": 200, "body": GOOD})
    assert at.reply(a_call(), good, "/responses").text == "hi"


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ({"status": "failed"}, "no reason was given"),
        ({"status": "failed", "errors": {"data": [{"message": "bad"}]}}, "batch: bad"),
        ({"status": "failed", "errors": {"data": [{"message": "b", "line": 3}]}}, "line 3: b"),
        ({"status": "cancelled"}, "was cancelled"),
        ({"status": "expired"}, "expired"),
        ({}, "without an answer"),
    ],
)
async def test_why_a_request_has_no_line(batch: dict[str, Any], told: str) -> None:
    """The batch's own end is the reason, as the vendor says it; each request has its own error."""
    at = desk(lambda _: httpx2.Response(200, json={**BATCH, **batch}))
    seen = await at.look(a_call(), FIRST, "batch_1")
    first, second = at.unanswered(seen), at.unanswered(seen)
    assert told in str(first)
    assert first is not second


@pytest.mark.parametrize("wrong", [{"status": "paused"}, {"created_at": "now"}, {"id": None}])
async def test_a_state_that_means_nothing(wrong: dict[str, Any]) -> None:
    """A success whose body is no batch is an error with the body."""
    at = desk(lambda _: httpx2.Response(200, json={**BATCH, **wrong}))
    with pytest.raises(LLMBadResponseError):
        await at.look(a_call(), FIRST, "batch_1")


async def test_ids_are_quoted_in_paths() -> None:
    """An id is a segment of a path and nothing more."""
    paths: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        paths.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx2.Response(200, json=BATCH)

    seen = await desk(answer).look(a_call(), FIRST, "../files?x")
    assert paths == ["GET /v1/batches/..%2Ffiles%3Fx"]
    assert (seen.files, seen.ours, seen.status.expires_at) == ((), None, None)


async def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's limit is found on the disk, before anything is sent."""
    monkeypatch.setattr(batching, "MAX_BYTES", 1_000_000)
    at = desk(lambda _: httpx2.Response(500))
    with pytest.raises(LLMInputError, match="more than 1 MB"):
        await at.write([a_call("x" * 600_000), a_call("x" * 600_000)], io.BytesIO())


async def test_lone_surrogates_are_written_as_json() -> None:
    """Whatever text a call holds, a line is one line."""
    file = io.BytesIO()
    await desk(lambda _: httpx2.Response(500)).write([a_call("a\n\u2028b")], file)
    [line] = file.getvalue().splitlines()
    assert json.loads(line)["body"]["input"][0]["content"] == "a\n\u2028b"


def test_classes_are_known_by_name() -> None:
    """What is no list of classes is refused."""
    with pytest.raises(LLMInputError, match="response_models"):
        arguments.response_models(7)

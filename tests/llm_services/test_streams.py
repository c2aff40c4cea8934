"""Answers that come piece by piece: every way in which a stream can end is one final row."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMConnectionError,
    LLMError,
    LLMInputError,
    LLMProviderError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMStreamCutError,
    LLMTimeoutError,
    LLMValidationError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.providers.formats import sse
from modules.llm_services.providers.formats.sse import ServerEvent, server_events
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.public import LLMMessageDTO, LLMServicesProvider, open_llm_services
from modules.llm_services.recorded_stream import RecordedStream, Replay
from modules.llm_services.setting_types import ApiFormat, ProviderSettings
from modules.llm_services.types import Call
from modules.llm_services.types.stream import (
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)
from modules.llm_services.use_cases.streams import ResponseStream
from sandbox import Sandbox
from tests.support.ledger import rows

RIVERS = [
    LLMMessageDTO(
        role="user",
        content="Rivers carry sand to the sea. Rain falls on mountains and runs into brooks. "
        "Brooks join and become rivers, and rivers end in deltas.",
    )
]
APIS = [pytest.param({}, id="responses"), pytest.param({"seed": 1}, id="chat")]


class Lesson(BaseModel):
    """A lesson."""

    title: str
    points: list[str] = Field(min_length=1)


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_is_an_answer_in_pieces(
    llm: LLMServicesProvider, vendor: Sandbox, api: dict[str, Any]
) -> None:
    """The pieces make the text of the row; tokens, cost and the first token's time are known."""
    async with llm.stream_response(RIVERS, model="gpt-4o", feature="lessons", **api) as stream:
        [opened] = rows()
        pieces = [piece async for piece in stream]
    response = stream.response
    row = llm.get_request(stream.request_id)
    assert row is not None
    assert opened["status"] == "pending"
    assert len(pieces) > 3
    assert "".join(p.text for p in pieces if isinstance(p, TextDelta)) == response.content
    assert (row.status, row.stream, row.response_content) == ("completed", True, response.content)
    [seen] = vendor.journal()
    assert (row.prompt_tokens, row.completion_tokens) == (
        seen.prompt_tokens,
        seen.completion_tokens,
    )
    assert row.usage_source == "reported"
    assert row.cost_estimate == response.cost_estimate
    assert row.cost_estimate
    assert row.time_to_first_token_ms is not None
    assert response.time_to_first_token_ms == row.time_to_first_token_ms
    assert row.execution_time_ms is not None
    assert row.time_to_first_token_ms <= row.execution_time_ms


@pytest.mark.parametrize("api", APIS)
async def test_the_plain_case_is_text(llm: LLMServicesProvider, api: dict[str, Any]) -> None:
    """``text()`` gives strings, and the whole answer is the same as without a stream."""
    async with llm.stream_response(RIVERS, model="gpt-4o", **api) as stream:
        said = "".join([piece async for piece in stream.text()])
    whole, _ = await llm.generate_response(RIVERS, model="gpt-4o", **api)
    assert said == whole.content == stream.response.content
    assert stream.response.finish_reason == "stop"


@pytest.mark.parametrize("api", APIS)
async def test_leaving_early_is_an_outcome(
    llm: LLMServicesProvider, vendor: Sandbox, api: dict[str, Any]
) -> None:
    """Who leaves has the text so far on a cancelled row, and tokens marked as estimated."""
    model = "openai:gpt-4o:drip=0.05"
    async with llm.stream_response(RIVERS, model=model, **api) as stream:
        async for piece in stream.text():
            assert piece
            break
    with pytest.raises(LLMInputError, match="not read to its end"):
        _ = stream.response
    row = llm.get_request(stream.request_id)
    assert row is not None
    assert row.status == "cancelled"
    assert row.response_content
    assert row.usage_source == "estimated"
    assert row.prompt_tokens
    assert row.completion_tokens
    assert row.maybe_paid


async def test_who_never_reads_leaves_a_row(llm: LLMServicesProvider) -> None:
    """A stream that is opened and left is cancelled, not forgotten."""
    async with llm.stream_response(RIVERS, model="gpt-4o"):
        pass
    assert [row["status"] for row in rows()] == ["cancelled"]


async def test_a_cancelled_reader_leaves_a_row(llm: LLMServicesProvider) -> None:
    """A task that is cancelled while it waits for the next piece ends in a cancelled row."""
    reading = asyncio.Event()

    async def read() -> None:
        async with llm.stream_response(RIVERS, model="openai:gpt-4o:drip=0.3") as stream:
            async for _ in stream:
                reading.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(reading.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("cancelled", None)


async def test_the_readers_own_error_is_no_failure_of_the_model(
    llm: LLMServicesProvider,
) -> None:
    """An exception of the caller's passes through, and the row says that the caller left."""

    async def read() -> None:
        async with llm.stream_response(RIVERS, model="openai:gpt-4o:drip=0.05") as stream:
            async for _ in stream:
                _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await read()
    [row] = rows()
    assert row["status"] == "cancelled"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("fault", "error", "error_type"),
    [
        ("cut=8", LLMStreamCutError, "StreamCut"),
        ("sever=8", LLMConnectionError, "Connection"),
        ("stream_error,cut=8", LLMProviderError, "ProviderError"),
    ],
)
async def test_a_stream_that_breaks_is_a_failure(
    llm: LLMServicesProvider,
    vendor: Sandbox,
    api: dict[str, Any],
    fault: str,
    error: type[LLMError],
    error_type: str,
) -> None:
    """A break after the first piece is an error with the text so far, and is not tried again."""
    pieces = io.StringIO()

    async def read() -> None:
        async with llm.stream_response(RIVERS, model=f"openai:gpt-4o:{fault}", **api) as stream:
            async for piece in stream.text():
                pieces.write(piece)

    with pytest.raises(error) as caught:
        await read()
    said = pieces.getvalue()
    assert said
    assert caught.value.partial_text == said
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", error_type)
    assert row["response_content"] == said
    assert row["usage_source"] == "estimated"
    assert len(vendor.journal()) == 1


async def test_an_error_that_the_reader_swallows_is_on_the_row(llm: LLMServicesProvider) -> None:
    """A reader that catches the break and goes on cannot make a failed call look like another."""
    async with llm.stream_response(RIVERS, model="openai:gpt-4o:cut=8") as stream:
        try:
            _ = [piece async for piece in stream]
        except LLMStreamCutError:
            assert [piece async for piece in stream] == []
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", "StreamCut")


async def test_what_fails_before_the_first_piece_is_tried_again(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Two refusals of a busy vendor, then a stream: three attempts, one completed row."""
    model = "openai:gpt-4o:status=429,retry_after_ms=1,times=2"
    async with llm.stream_response(RIVERS, model=model) as stream:
        _ = [piece async for piece in stream]
    row = llm.get_request(stream.request_id)
    assert row is not None
    assert (row.status, row.retry_attempt) == ("completed", 3)
    with pytest.raises(LLMRateLimitError):
        async with llm.stream_response(
            RIVERS, model="openai:gpt-4o:status=429,retry_after_ms=1", max_retries=1
        ):
            pytest.fail("there is nothing to read")
    assert [row["retry_attempt"] for row in rows("status = 'failed'")] == [2]


async def test_the_deadline_counts_the_provider_and_not_the_reader(
    llm: LLMServicesProvider,
) -> None:
    """A slow reader does not use up the deadline; a provider that stalls does."""
    async with llm.stream_response(RIVERS, model="gpt-4o", timeout=1) as stream:
        slow = True
        async for _ in stream:
            if slow:
                await asyncio.sleep(1.2)
            slow = False
    assert stream.response.content
    with pytest.raises(LLMTimeoutError):
        async with llm.stream_response(
            RIVERS, model="openai:gpt-4o:drip=20", timeout=0.5
        ) as stream:
            _ = [piece async for piece in stream]
    with pytest.raises(LLMTimeoutError) as caught:
        async with llm.stream_response(
            RIVERS, model="openai:gpt-4o:drip=0.2", timeout=1.5
        ) as stream:
            _ = [piece async for piece in stream]
    assert caught.value.partial_text
    for row in rows("status = 'failed'"):
        assert row["error_type"] == "Timeout"
        assert row["maybe_paid"]


@pytest.mark.parametrize("api", APIS)
async def test_a_refusal_is_an_error_at_the_end(
    llm: LLMServicesProvider, api: dict[str, Any]
) -> None:
    """What the model says instead is streamed, and then told apart from an answer."""
    with pytest.raises(LLMRefusedError) as caught:
        async with llm.stream_response(RIVERS, model="openai:gpt-4o:refuse", **api) as stream:
            _ = [piece async for piece in stream.text()]
    assert caught.value.partial_text
    assert caught.value.usage is not None


@pytest.mark.parametrize("api", APIS)
async def test_an_object_grows(llm: LLMServicesProvider, api: dict[str, Any]) -> None:
    """Each piece is the object so far; the last word is a validated instance of the class."""
    async with llm.stream_structured_response(RIVERS, Lesson, model="gpt-4o", **api) as stream:
        grown = [lesson.model_dump() async for lesson in stream]
    assert type(stream.result) is Lesson
    assert len(grown) > 2
    assert grown[-1] == stream.result.model_dump()
    assert stream.response.tokens_used
    row = llm.get_request(stream.request_id)
    assert row is not None
    assert (row.operation, row.status) == ("structured", "completed")


async def test_an_object_that_does_not_fit_is_an_error(llm: LLMServicesProvider) -> None:
    """What was streamed cannot be taken back: a misfit is told at the end and not asked again."""
    with pytest.raises(LLMValidationError):
        async with llm.stream_structured_response(
            RIVERS, Lesson, model="openai:gpt-4o:invalid_json"
        ) as stream:
            _ = [lesson async for lesson in stream]
    with pytest.raises(LLMInputError, match="no result yet"):
        _ = stream.result
    [row] = rows()
    assert (row["error_type"], row["retry_attempt"]) == ("Validation", 1)


async def test_missing_usage_is_unknown(llm: LLMServicesProvider) -> None:
    """A stream whose end reports no tokens has none, and no cost: NULL, not 0."""
    async with llm.stream_response(RIVERS, model="openai:gpt-4o:no_usage") as stream:
        _ = [piece async for piece in stream]
    [row] = rows()
    assert (row["status"], row["tokens_used"], row["cost_estimate"]) == ("completed", None, None)
    assert row["usage_source"] is None


async def test_text_is_text_alone() -> None:
    """Thoughts and calls of tools are not part of the text."""

    async def pieces() -> AsyncIterator[StreamEvent]:
        yield ReasoningDelta("hm")
        yield TextDelta("so")

    recorded = cast("RecordedStream", pieces())
    assert [piece async for piece in ResponseStream(a_call(), recorded).text()] == ["so"]


# ---- the wire, event by event


def framed(*events: object, end: str = "") -> bytes:
    """Events as a server frames them."""
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + end.encode()


def a_call() -> Call:
    """A call that is to be streamed."""
    return Call(
        id=uuid7(),
        operation="chat",
        provider="house",
        model="m",
        requested_model=None,
        messages=(LLMMessageDTO(role="user", content="hello"),),
        parameters={},
        timeout=10,
        max_retries=0,
        stream=True,
    )


async def streamed(
    body: bytes, api: ApiFormat = "chat", content_type: str = "text/event-stream"
) -> list[StreamEvent]:
    """The pieces of one stream through the real SDK; raises what the stream raises."""
    adapter = OpenAIProvider("house", ProviderSettings(base_url="http://h.test/v1"), api)
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, content=body, headers={"content-type": content_type})
    )
    adapter._client = AsyncOpenAI(
        api_key="k",
        base_url="http://h.test/v1",
        http_client=httpx2.AsyncClient(transport=transport),
    )
    stream = await adapter.stream_text(a_call(), Attempt(number=1, seconds_left=9))
    try:
        return [piece async for piece in stream]
    finally:
        await stream.aclose()
        await adapter.aclose()


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    """A chunk of Chat Completions."""
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def test_an_endpoint_that_answers_at_once_is_one_piece() -> None:
    """Asked for a stream and answered in JSON: the paid answer is not thrown away."""
    body = {"model": "m", "choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}
    assert await streamed(json.dumps(body).encode(), content_type="application/json") == [
        TextDelta("all")
    ]


async def test_a_stream_without_done_but_with_a_finish_is_whole() -> None:
    """Some servers never say ``[DONE]``; the finish reason is what counts."""
    body = framed(chunk(content="a"), chunk(finish="stop"))
    assert await streamed(body) == [TextDelta("a")]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_nothing_after_done_is_waited_for(api: ApiFormat) -> None:
    """``[DONE]`` ends the stream; without a finish before it the stream was cut."""
    with pytest.raises(LLMStreamCutError):
        await streamed(b"data: [DONE]\n\n", api)


async def test_tool_calls_and_thoughts_come_as_they_are() -> None:
    """Pieces of tool calls and of reasoning keep their kind."""
    call = {"index": 0, "id": "c1", "function": {"name": "add", "arguments": '{"a"'}}
    more = {"index": 0, "function": {"arguments": ":1}"}}
    body = framed(
        chunk(reasoning_content="hm"),
        chunk(tool_calls=[call]),
        chunk(tool_calls=[more]),
        chunk(content="so", finish="stop"),
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    )
    assert await streamed(body) == [
        ReasoningDelta("hm"),
        ToolCallDelta(0, '{"a"', id="c1", name="add"),
        ToolCallDelta(0, ":1}"),
        TextDelta("so"),
    ]


async def test_the_responses_api_streams_thoughts_and_tools() -> None:
    """Its typed events are read; those that nobody needs are left out."""
    item = {"type": "function_call", "call_id": "c1", "name": "add"}
    message = {"type": "message", "content": [{"type": "output_text", "text": "so"}]}
    body = framed(
        {"type": "response.created", "response": {}},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message"}},
        {"type": "response.output_item.added", "output_index": 1, "item": item},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"},
        {"type": "response.output_text.delta", "delta": 5},
        {"type": "response.output_text.delta", "delta": "so"},
        {"type": "response.completed", "response": {"model": "m", "output": [message]}},
    )
    assert await streamed(body, "responses") == [
        ReasoningDelta("hm"),
        ToolCallDelta(1, "", id="c1", name="add"),
        ToolCallDelta(1, "{}"),
        TextDelta("so"),
    ]


@pytest.mark.parametrize(
    ("api", "event"),
    [
        ("chat", {"error": {"message": "busy", "code": "rate_limit_exceeded"}}),
        ("responses", {"type": "error", "code": "server_error", "message": "busy"}),
        ("responses", {"type": "error", "error": {"message": "busy"}}),
    ],
)
async def test_an_error_event_is_an_error(api: ApiFormat, event: dict[str, object]) -> None:
    """A failure that is told in the stream has its message and the class of its code."""
    with pytest.raises(LLMError, match="busy"):
        await streamed(framed(event), api)


@pytest.mark.parametrize("data", [b"data: {broken\n\n", b"data: 5\n\n", b"data: \xff\n\n"])
async def test_an_event_that_is_no_json_is_a_bad_response(data: bytes) -> None:
    """Garbage in the middle of a stream ends it with an error that says so."""
    with pytest.raises(LLMBadResponseError, match="stream"):
        await streamed(framed(chunk(content="a")) + data)


async def test_odd_chunks_are_passed_over() -> None:
    """Choices that are missing, empty or strange say nothing, and break nothing."""
    body = framed(
        {"choices": None},
        {"choices": ["x"]},
        {"choices": []},
        {"choices": [{"index": 0}]},
        chunk(content=None, refusal=None),
        chunk(content="a", finish="stop"),
    )
    assert await streamed(body) == [TextDelta("a")]


async def split(chunks: Iterable[bytes]) -> list[ServerEvent]:
    """Events of a body that comes in these chunks."""

    async def arriving() -> AsyncIterator[bytes]:
        for piece in chunks:
            yield piece

    return [event async for event in server_events(arriving())]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_events_do_not_depend_on_how_bytes_arrive(size: int, newline: str) -> None:
    """Every split of the same bytes gives the same events: names, many lines, comments, UTF-8."""
    text = ": hello|event: greet|data: a|data: ü|id: 7||event:b|data:b|||data: cut off|"
    raw = text.replace("|", newline).encode()
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    assert await split(chunks) == [
        ServerEvent("greet", "a\nü".encode()),
        ServerEvent("b", b"b"),
    ]


@pytest.mark.parametrize("body", [b"data: " + b"x" * 64, b"data: xxxxxxxxxx\n" * 9])
async def test_an_endless_event_is_refused(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line or an event that never ends does not fill the memory."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 50)
    with pytest.raises(LLMBadResponseError, match="too long"):
        await streamed(body)


async def test_a_known_answer_is_a_stream_of_one_piece() -> None:
    """What is given again comes as it would have come, only at once."""
    assert [piece async for piece in Replay(Reply(text="Yes.", model=None))] == [TextDelta("Yes.")]

"""Anthropic's answers piece by piece, and what its searches find."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMStreamCutError,
)
from modules.llm_services.types import Call, ToolSpec, Usage
from modules.llm_services.types.stream import ReasoningDelta, TextDelta, ToolCallDelta

from .test_anthropic import FIRST, GOOD, STRICT, THOUGHT, Json, message, provider, text
from .test_openai_provider import a_call


def events(*said: Json) -> bytes:
    """A stream of events."""
    return b"".join(
        f"event: {one.get('type')}\ndata: {json.dumps(one)}\n\n".encode() for one in said
    )


START = {"type": "message_start", "message": message(usage={"input_tokens": 7, "output_tokens": 1})}
STOP = {"type": "message_stop"}


def begun(index: int, block: Json) -> Json:
    """A block that is announced."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: int, **delta: Any) -> Json:
    """A piece of a block."""
    return {"type": "content_block_delta", "index": index, "delta": delta}


def ended(reason: str, **usage: Any) -> Json:
    """The end of a message."""
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage or None}


async def streamed(said: bytes, tools: Sequence[ToolSpec] = ()) -> tuple[list[Any], Any]:
    """The pieces of a stream, and its reply."""
    headers = {"content-type": "text/event-stream", "request-id": "req-5"}
    adapter = provider(lambda _request: httpx2.Response(200, content=said, headers=headers))
    stream = await adapter.stream_text(replace(a_call(), tools=tuple(tools)), FIRST)
    try:
        pieces = [piece async for piece in stream]
    finally:
        await stream.aclose()
        await adapter.aclose()
    return pieces, stream.reply


async def test_a_stream_is_put_together() -> None:
    """Thoughts, text and calls come in pieces; the end counts anew and keeps what it leaves out."""
    said = events(
        START,
        {"type": "ping"},
        begun(0, {"type": "thinking", "thinking": "", "signature": ""}),
        more(0, type="thinking_delta", thinking="Hm."),
        more(0, type="thinking_delta", thinking=""),
        more(0, type="signature_delta", signature="sealed"),
        begun(1, {"type": "text", "text": "A"}),
        more(1, type="text_delta", text=" word"),
        more(1, type="citations_delta", citation={}),
        more(9, type="text_delta", text="lost"),
        begun(2, {"type": "tool_use", "id": "t1", "name": "look", "input": {}}),
        more(2, type="input_json_delta", partial_json='{"n"'),
        more(2, type="input_json_delta", partial_json=": 1}"),
        {"type": "of_tomorrow"},
        ended("tool_use", output_tokens=12, cache_read_input_tokens=None),
        STOP,
    )
    pieces, reply = await streamed(said, [ToolSpec(name="look", parameters=STRICT)])
    assert pieces == [
        ReasoningDelta("Hm."),
        TextDelta("A"),
        TextDelta(" word"),
        ToolCallDelta(2, "", id="t1", name="look"),
        ToolCallDelta(2, '{"n"'),
        ToolCallDelta(2, ": 1}"),
    ]
    assert (reply.text, reply.finish_reason) == ("A word", "tool_calls")
    assert reply.usage == Usage(prompt_tokens=7, completion_tokens=12)
    assert reply.tool_calls[0].arguments == {"n": 1}
    assert reply.reasoning == ((0, THOUGHT),)
    assert reply.provider_request_id == "req-5"


async def test_arguments_that_are_no_json_are_told() -> None:
    """A call without arguments has none; half a JSON object is the model's mistake."""
    said = events(
        START,
        begun(0, {"type": "tool_use", "id": "t1", "name": "look"}),
        begun(1, {"type": "tool_use", "id": "t2", "name": "look"}),
        more(1, type="input_json_delta", partial_json='{"n'),
        ended("tool_use"),
        STOP,
    )
    _, reply = await streamed(said, [ToolSpec(name="look", parameters=STRICT)])
    first, second = reply.tool_calls
    assert (first.arguments, first.error) == ({}, None)
    assert second.error is not None
    assert reply.usage == Usage(prompt_tokens=7, completion_tokens=1)


@pytest.mark.parametrize(
    ("last", "error", "retryable"),
    [
        ((), LLMStreamCutError, None),
        ((ended("end_turn"),), LLMStreamCutError, None),
        (({"type": "error", "error": {"type": "overloaded_error"}},), LLMProviderError, True),
        (({"type": "error", "error": {"type": "rate_limit_error"}},), LLMRateLimitError, True),
        (({"type": "error", "error": {"type": "billing_error"}},), LLMQuotaExceededError, False),
        (({"type": "error"},), LLMProviderError, True),
        ((begun(-1, text("")),), LLMBadResponseError, None),
        ((more(0, type="text_delta", text="!"), STOP), None, None),
    ],
)
async def test_a_stream_that_ends_badly(
    last: tuple[Json, ...],
    error: type[LLMError] | None,
    retryable: bool | None,  # noqa: FBT001 - a value
) -> None:
    """Without its last event it was cut; an error in it is one; what was said so far is kept."""
    said = events(START, begun(0, text("")), more(0, type="text_delta", text="Half"), *last)
    if error is None:
        assert (await streamed(said))[1].text == "Half!"
        return
    with pytest.raises(error) as caught:
        await streamed(said)
    assert caught.value.partial_text == "Half"
    assert retryable is None or caught.value.retryable is retryable


async def test_an_answer_at_once_is_a_stream_of_one_piece() -> None:
    """Gateways may not stream."""
    adapter = provider(lambda _request: httpx2.Response(200, json=GOOD))
    stream = await adapter.stream_text(a_call(), FIRST)
    assert [piece async for piece in stream] == [TextDelta("hi")]
    await stream.aclose()
    await adapter.aclose()


def searched_call(**parameters: object) -> Call:
    """A search as the use case makes it."""
    return replace(a_call(context_size="medium", **parameters), operation="search")


async def found_by(answer: Json, **parameters: object) -> tuple[Json, Any]:
    """The body of a search, and its reply."""
    seen: list[Json] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=answer)

    adapter = provider(reply)
    made = await adapter.search_web(searched_call(**parameters), FIRST)
    await adapter.aclose()
    return seen[0], made


PAGE = {"url": "https://a.test/x", "title": "A", "encrypted_content": "s"}
CITED = {"type": "web_search_result_location", "url": "https://a.test/x", "title": "A <b>page</b>"}


async def test_a_search_says_where_it_read_what() -> None:
    """A cited block of text is what its page says; pages that were only read are listed, too."""
    answer = message(
        text("I search."),
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [PAGE, {"url": "ftp:x"}]},
        {**text("Lava is hot."), "citations": [CITED, {**CITED, "url": "javascript:x"}]},
    )
    body, reply = await found_by(
        answer, location={"country": "AT"}, allowed_domains=["a.test"], max_tokens=50
    )
    [tool] = body["tools"]
    assert (tool["type"], tool["max_uses"]) == ("web_search_20250305", 2)
    assert tool["user_location"] == {"type": "approximate", "country": "AT"}
    assert tool["allowed_domains"] == ["a.test"]
    assert body["max_tokens"] == 50
    [citation] = reply.parsed.citations
    assert reply.text[citation.start : citation.end] == "Lava is hot."
    assert citation.title == "A page"
    assert reply.parsed.consulted == ("https://a.test/x",)
    assert reply.usage.web_searches == reply.parsed.searches == 1
    assert "encrypted_content" not in json.dumps(reply.raw)


async def test_a_search_without_pages_is_none() -> None:
    """The tool failed, and the model made something up; it is paid for all the same."""
    usage = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 1}}
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    failed = {"type": "web_search_tool_result", "tool_use_id": "s", "content": error}
    with pytest.raises(LLMBadResponseError, match="without searching") as caught:
        await found_by(message(failed, text("I guess."), usage=usage))
    assert caught.value.usage == Usage(prompt_tokens=1, completion_tokens=1, web_searches=1)

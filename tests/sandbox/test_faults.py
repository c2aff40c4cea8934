"""Every fault of the grammar, seen through the real SDK."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

import sandbox
from sandbox.faults import NO_FAULT, parse, split_model
from sandbox.wire import ApiError

HELLO: Any = [{"role": "user", "content": "Tell me about rivers"}]
SCHEMA: Any = {
    "type": "json_schema",
    "name": "Note",
    "schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
    },
}


async def chat(client: AsyncOpenAI, fault: str, **more: Any) -> Any:
    return await client.chat.completions.create(model=f"gpt-4.1:{fault}", messages=HELLO, **more)


async def ask(client: AsyncOpenAI, fault: str, **more: Any) -> Any:
    return await client.responses.create(model=f"gpt-6-luna:{fault}", input="Rivers", **more)


def test_the_grammar_reads_words_and_values() -> None:
    """Words alone and with values; what nobody knows is refused."""
    fault = parse("status=429, retry_after=soon,times=2,drip=0.5,refuse")
    assert (fault.status, fault.retry_after, fault.times) == (429, "soon", 2)
    assert (fault.drip, fault.refuse, fault.drop) == (0.5, True, False)
    assert parse("") == NO_FAULT
    for wrong in ("slw=1", "slow=fast", "times=-1", "slow=nan"):
        with pytest.raises(ApiError):
            parse(wrong)


def test_a_colon_in_a_models_name_is_no_fault() -> None:
    """Fine-tuned names keep their colons."""
    assert split_model("ft:gpt-4o:acme::7p4") == ("ft:gpt-4o:acme::7p4", "")
    assert split_model("gpt-6-luna:refuse") == ("gpt-6-luna", "refuse")
    assert split_model("sandbox-fault:typo") == ("sandbox-fault", "typo")


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("status=400", openai.BadRequestError, None),
        ("status=401", openai.AuthenticationError, "invalid_api_key"),
        ("status=403", openai.PermissionDeniedError, None),
        ("status=404", openai.NotFoundError, "model_not_found"),
        ("status=409", openai.ConflictError, None),
        ("status=422", openai.UnprocessableEntityError, None),
        ("status=429", openai.RateLimitError, "rate_limit_exceeded"),
        ("status=500", openai.InternalServerError, "server_error"),
        ("status=529", openai.InternalServerError, None),
        ("code=insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("code=context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("code=model_not_found", openai.NotFoundError, "model_not_found"),
        ("status=503,code=odd", openai.InternalServerError, "odd"),
    ],
)
async def test_a_status_comes_in_openais_shape(
    client: AsyncOpenAI, fault: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    """Each status is the SDK's own error class and carries its code."""
    with pytest.raises(error) as caught:
        await chat(client, fault)
    assert caught.value.code == code
    assert (caught.value.request_id or "").startswith("req_sandbox_")


async def test_times_counts_by_call(client: AsyncOpenAI, server: sandbox.Sandbox) -> None:
    """The first N requests with one client id fail, the next succeeds; other calls count apart."""
    for call in ("one", "two"):
        for _ in range(2):
            with pytest.raises(openai.RateLimitError):
                await chat(
                    client, "status=429,times=2", extra_headers={"X-Client-Request-Id": call}
                )
        done = await chat(client, "status=429,times=2", extra_headers={"X-Client-Request-Id": call})
        assert done.choices[0].finish_reason == "stop"
    entries = server.journal()
    assert [e.status for e in entries] == [429, 429, 200] * 2
    assert [e.client_request_id for e in entries] == ["one"] * 3 + ["two"] * 3


async def test_the_sdks_own_retries_succeed(server: sandbox.Sandbox) -> None:
    """Without a client id, requests that begin alike are one call; Retry-After is obeyed."""
    async with AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=2) as client:
        done = await chat(client, "status=429,retry_after_ms=1,times=2")
    assert done.choices[0].message.content
    assert len(server.journal()) == 3


async def test_retry_headers_are_sent_as_told(client: AsyncOpenAI) -> None:
    """Sensible and senseless values alike."""
    with pytest.raises(openai.RateLimitError) as caught:
        await chat(client, "status=429,retry_after=soon,retry_after_ms=-5,should_retry=false")
    headers = caught.value.response.headers
    assert headers["retry-after"] == "soon"
    assert headers["retry-after-ms"] == "-5"
    assert headers["x-should-retry"] == "false"
    with pytest.raises(openai.RateLimitError) as caught:
        await chat(client, "status=429,retry_after_date=60")
    assert caught.value.response.headers["retry-after"].endswith("GMT")


async def test_a_fault_may_come_by_header(client: AsyncOpenAI, server: sandbox.Sandbox) -> None:
    """`X-Sandbox-Fault` works with any model, and adds to the name's."""
    with pytest.raises(openai.InternalServerError):
        await client.responses.create(
            model="gpt-6-luna", input="x", extra_headers={"X-Sandbox-Fault": "status=500"}
        )
    assert server.journal()[0].model == "gpt-6-luna"


async def test_an_unknown_fault_is_refused(client: AsyncOpenAI) -> None:
    """A typing error can't pass for a success."""
    with pytest.raises(openai.BadRequestError) as caught:
        await chat(client, "statsu=500")
    assert caught.value.code == "invalid_sandbox_fault"


async def test_slow_waits(client: AsyncOpenAI, server: sandbox.Sandbox) -> None:
    """A slow answer runs into the client's timeout; the journal knows that nobody read it."""
    with pytest.raises(openai.APITimeoutError):
        await chat(client, "slow=0.2", timeout=0.05)
    began = time.monotonic()
    await chat(client, "slow=0.3")
    assert time.monotonic() - began >= 0.3
    assert [e.outcome for e in server.journal()] == ["client_left", "completed"]
    assert server.journal()[0].completion_tokens


async def test_answers_that_are_none(client: AsyncOpenAI) -> None:
    """HTML, half a JSON, nothing at all, and a closed connection."""
    assert "<html>" in await chat(client, "html")
    for fault in ("garbage", "empty_body"):
        with pytest.raises(json.JSONDecodeError):
            await chat(client, fault)
    with pytest.raises(openai.APIConnectionError):
        await chat(client, "drop")
    assert (await chat(client, "empty")).choices[0].message.content is None
    assert (await ask(client, "empty")).output_text == ""


async def test_refusals(client: AsyncOpenAI, server: sandbox.Sandbox) -> None:
    """A refusal is a content part on Responses, a field on Chat, and streams on both."""
    assert (await chat(client, "refuse")).choices[0].message.refusal
    message = (await ask(client, "refuse")).output[-1]
    assert message.content[0].type == "refusal"
    kinds = [e.type async for e in await ask(client, "refuse", stream=True)]
    assert "response.refusal.delta" in kinds
    chunks = [c async for c in await chat(client, "refuse", stream=True)]
    assert any(c.choices[0].delta.refusal for c in chunks)
    assert {e.outcome for e in server.journal()} == {"refused"}


async def test_filtered_and_truncated(client: AsyncOpenAI) -> None:
    """Both end early, each with its own reason."""
    assert (await chat(client, "filter")).choices[0].finish_reason == "content_filter"
    assert (await chat(client, "truncate")).choices[0].finish_reason == "length"
    assert (await ask(client, "filter")).incomplete_details.reason == "content_filter"
    cut = await ask(client, "truncate")
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    failed = await ask(client, "failed")
    assert (failed.status, failed.error.code) == ("failed", "server_error")


async def test_structured_output_that_does_not_fit(client: AsyncOpenAI) -> None:
    """Wrong once, right the second time; or no JSON at all."""
    more: Any = {"text": {"format": SCHEMA}, "extra_headers": {"X-Client-Request-Id": "r1"}}
    wrong = json.loads((await ask(client, "invalid_json,times=1", **more)).output_text)
    assert not isinstance(wrong.get("title"), str)
    right = json.loads((await ask(client, "invalid_json,times=1", **more)).output_text)
    assert isinstance(right["title"], str)
    with pytest.raises(json.JSONDecodeError):
        json.loads((await ask(client, "broken_json", **more)).output_text)


async def test_usage_and_model_can_be_wrong(client: AsyncOpenAI) -> None:
    """No usage, another model's name, cached tokens."""
    assert (await chat(client, "no_usage")).usage is None
    assert (await ask(client, "no_usage")).usage is None
    assert (await ask(client, "wrong_model")).model == "sandbox-other-model"
    assert (await ask(client, "slow=0")).model == "gpt-6-luna"
    assert (await ask(client, "cached=3")).usage.input_tokens_details.cached_tokens == 3


async def test_a_stream_is_cut_tidily(client: AsyncOpenAI, server: sandbox.Sandbox) -> None:
    """After N events the body ends, without a finish and without an error."""
    chunks = [c async for c in await chat(client, "cut=3", stream=True)]
    assert len(chunks) == 3
    assert all(c.choices[0].finish_reason is None for c in chunks)
    events = [e async for e in await ask(client, "cut=4", stream=True)]
    assert len(events) == 4
    assert [e.outcome for e in server.journal()] == ["cut", "cut"]


async def test_a_stream_is_severed(client: AsyncOpenAI) -> None:
    """After N events the connection dies, which the SDK passes on as it is."""
    stream = await chat(client, "sever=3,drip=0.01", stream=True)
    seen = [await anext(stream) for _ in range(3)]
    assert len(seen) == 3
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError, openai.APIError)):
        await anext(stream)


async def test_a_stream_breaks_with_an_error(client: AsyncOpenAI) -> None:
    """Chat's error line raises in the SDK; the Responses API has an event for it."""
    with pytest.raises(openai.APIError, match="had an error"):
        async for _ in await chat(client, "stream_error", stream=True):
            pass
    events = [e async for e in await ask(client, "stream_error", stream=True)]
    assert events[-1].type == "error"
    assert events[-1].code == "server_error"


async def test_a_client_that_leaves_a_stream_is_noted(
    client: AsyncOpenAI, server: sandbox.Sandbox
) -> None:
    """Closing early is seen by the server, which stops."""
    stream = await chat(client, "drip=0.05", stream=True)
    async for _ in stream:
        break
    await stream.close()
    await chat(client, "slow=0.2")
    assert server.journal()[0].outcome == "client_left"

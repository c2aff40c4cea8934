"""Anthropic's adapter through its real SDK: what is sent, and what becomes of what comes back."""

import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from pydantic import BaseModel, Field, SecretStr

from modules.llm_services.config import LLMConfig
from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMContextLengthError,
    LLMError,
    LLMNotFoundError,
    LLMPermissionError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMTruncatedError,
)
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.anthropic import AnthropicProvider
from modules.llm_services.providers.base import Attempt, Correction
from modules.llm_services.providers.factory import create_llm_provider
from modules.llm_services.providers.response_guard import guard
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import (
    AudioPart,
    Call,
    DocumentPart,
    ImagePart,
    LLMMessageDTO,
    ReasoningItem,
    TextPart,
    ToolCall,
    ToolSpec,
    Usage,
)

from .test_openai_provider import a_call

Json = dict[str, Any]
Answer = Callable[[httpx2.Request], httpx2.Response]
KEY = "a1b2c3d4e5f6secret"
FIRST = Attempt(number=1, seconds_left=10)
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "sealed"}
SPENT = {"error_code": "enforced_spend_limit_reached"}
PICTURE = b"\x89PNG\r\n\x1a\n"


def message(*content: Json, **more: Any) -> Json:
    """A message of the API."""
    usage = {"input_tokens": 7, "output_tokens": 5}
    said = {"model": "claude-m", "stop_reason": "end_turn", "usage": usage, **more}
    return {"type": "message", "role": "assistant", "content": list(content), **said}


def text(words: str) -> Json:
    """A block of text."""
    return {"type": "text", "text": words}


GOOD = message(text("hi"))


def provider(answer: Answer) -> AnthropicProvider:
    """The adapter with its SDK's client on a transport that answers, behind the guard."""
    settings = ProviderSettings(api_key=SecretStr(KEY), base_url="http://house.test/v1")
    made = AnthropicProvider("house", settings)
    client = httpx2.AsyncClient(
        transport=httpx2.MockTransport(answer), event_hooks={"response": [guard]}
    )
    made._client = AsyncAnthropic(
        api_key=KEY, base_url=made._client.base_url, max_retries=0, http_client=client
    )
    return made


async def asked(call: Call, attempt: Attempt = FIRST, answer: Json = GOOD) -> tuple[Json, Any]:
    """The body that is sent for a call, and the reply to it."""
    seen: list[Json] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=answer)

    adapter = provider(reply)
    made = await adapter.generate_text(call, attempt)
    await adapter.aclose()
    return seen[0], made


async def failure(answer: Answer, call: Call | None = None) -> LLMError:
    """The error of one attempt."""
    adapter = provider(answer)
    with pytest.raises(LLMError) as caught:
        await adapter.generate_text(call or a_call(), FIRST)
    await adapter.aclose()
    return caught.value


def saying(*messages: LLMMessageDTO, **parameters: object) -> Call:
    """A call with a conversation."""
    return replace(a_call(**parameters), model="claude-opus-5", messages=messages)


async def test_a_request_carries_key_id_and_version() -> None:
    """The key authenticates, the row's id travels along, and the reply's id comes back."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        assert request.headers["authorization"] == f"Bearer {KEY}"
        packed = gzip.compress(json.dumps(GOOD).encode())
        headers = {"request-id": "req-1", "content-encoding": "gzip"}
        return httpx2.Response(200, content=packed, headers=headers)

    call = a_call(service_tier="fast")
    adapter = provider(answer)
    reply = await adapter.generate_text(call, FIRST)
    await adapter.aclose()
    [request] = seen
    assert request.url == "http://house.test/v1/messages"
    assert request.headers["x-client-request-id"] == str(call.id)
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert request.headers["anthropic-beta"] == "fast-mode-2026-02-01"
    assert "authorization" not in request.headers
    body = json.loads(request.content)
    assert (body["max_tokens"], body["speed"]) == (32_000, "fast")
    assert (reply.text, reply.provider_request_id, reply.http_status) == ("hi", "req-1", 200)


async def test_a_conversation_becomes_turns_of_blocks() -> None:
    """Instructions stand before it, names are said, and results of one round are one turn."""
    called = (ToolCall(id="t1", name="look", arguments={"n": 1}), ToolCall(id="t2", name="look"))
    thought = ReasoningItem(provider="house", model="claude-opus-5", before=1, item=THOUGHT)
    body, _ = await asked(
        saying(
            LLMMessageDTO(role="system", content="You teach."),
            LLMMessageDTO(role="user", content="Mars?", name="ann"),
            LLMMessageDTO(
                role="assistant", content="Wait.", tool_calls=called, reasoning=[thought]
            ),
            LLMMessageDTO(role="tool", content="7", tool_call_id="t1"),
            LLMMessageDTO(role="tool", content="8", tool_call_id="t2"),
            LLMMessageDTO(role="developer", content="Be brief."),
            LLMMessageDTO(role="user", content="So?"),
        ),
        Attempt(number=2, seconds_left=9, correction=Correction(text="x", problem="Wrong.")),
    )
    assert body["system"] == "You teach.\n\nBe brief."
    asking, thinking, results, again, wrong, mended = body["messages"]
    assert asking == {"role": "user", "content": "ann: Mars?"}
    assert thinking["content"] == [
        text("Wait."),
        THOUGHT,
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"n": 1}},
        {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
    ]
    assert results["role"] == "user"
    assert [one["tool_use_id"] for one in results["content"]] == ["t1", "t2"]
    assert again["content"] == "So?"
    assert wrong == {"role": "assistant", "content": "x"}
    assert mended["content"].startswith("Wrong.")


async def test_pictures_and_documents_are_blocks() -> None:
    """As bytes or as addresses, which Anthropic fetches; megabytes go piece by piece."""
    shown = [
        TextPart(text="What is this?"),
        ImagePart(data=PICTURE + bytes(300_000), media_type="image/png"),
        ImagePart(url="https://example.com/a.png"),
        DocumentPart(data=b"%PDF-1.4", media_type="application/pdf", filename="a.pdf"),
        DocumentPart(url="https://example.com/b.pdf"),
    ]
    body, _ = await asked(saying(LLMMessageDTO(role="user", content=shown, name="ann")))
    [turn] = body["messages"]
    name, question, picture, linked, document, other = turn["content"]
    assert (name, question) == (text("ann:"), text("What is this?"))
    assert picture["source"]["media_type"] == "image/png"
    assert picture["source"]["data"].startswith("iVBORw0KGgo")
    assert linked == {
        "type": "image",
        "source": {"type": "url", "url": "https://example.com/a.png"},
    }
    assert (document["type"], document["title"]) == ("document", "a.pdf")
    assert document["source"]["type"] == "base64"
    assert other["source"] == {"type": "url", "url": "https://example.com/b.pdf"}


async def test_sound_is_refused_wherever_it_comes_from() -> None:
    """A call that nobody has checked fails like one that Anthropic has."""
    call = saying(LLMMessageDTO(role="user", content=[AudioPart(data=b"RIFF")]))
    assert type(await failure(lambda _request: httpx2.Response(200), call)) is LLMBadRequestError


STRICT = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", True, {"type": "any", "disable_parallel_tool_use": False}),
        ("look", False, {"type": "tool", "name": "look", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
async def test_tools_are_offered(choice: str | None, parallel: bool | None, said: Any) -> None:  # noqa: FBT001 - a value
    """Strict ones in Anthropic's subset, with what it does not know said in words."""
    tools = (
        ToolSpec(name="look", parameters=STRICT, description="Looks.", strict=True),
        ToolSpec(name="odd", parameters={"type": "object", "properties": {"x": {}}}, strict=True),
        ToolSpec(name="loose", parameters={"type": "object", "maxProperties": 3}),
    )
    call = replace(a_call(), tools=tools, tool_choice=choice, parallel_tool_calls=parallel)
    body, _ = await asked(call)
    assert body.get("tool_choice") == said
    look, odd, loose = body["tools"]
    assert (look["description"], look["strict"]) == ("Looks.", True)
    assert look["input_schema"]["properties"]["n"] == {
        "type": "integer",
        "description": "{minimum: 1}",
    }
    assert "strict" not in odd
    assert loose == {"name": "loose", "input_schema": {"type": "object", "maxProperties": 3}}


class Planet(BaseModel):
    """What is asked for."""

    name: str = Field(max_length=40)
    mass: float | None = Field(None, ge=0)


class Notes(BaseModel):
    """What no closed schema can say."""

    notes: dict[str, str]


async def test_an_object_has_the_apis_own_format() -> None:
    """Its schema is in the subset that Anthropic takes; effort stands beside it."""
    call = replace(a_call(reasoning_effort="low"), model="claude-opus-5-5", output_type=Planet)
    said = message(text('{"name": "Mars", "mass": 0.1}'))
    body, reply = await asked(call, answer=said)
    form = body["output_config"]["format"]
    assert body["output_config"]["effort"] == "low"
    assert form["type"] == "json_schema"
    assert form["schema"]["required"] == ["name", "mass"]
    assert "maxLength" not in form["schema"]["properties"]["name"]
    assert "system" not in body
    assert reply.parsed == Planet(name="Mars", mass=0.1)


async def test_an_object_of_no_fixed_shape_is_asked_for_in_words() -> None:
    """The format would allow no notes at all."""
    call = replace(a_call(), output_type=Notes)
    body, reply = await asked(call, answer=message(text('{"notes": {"a": "b"}}')))
    assert "output_config" not in body
    assert "fits this schema" in body["system"]
    assert reply.parsed == Notes(notes={"a": "b"})


async def test_a_reply_in_our_words() -> None:
    """Cached tokens are among the input's, thinking among the output's; what is sealed is not
    stored, and comes back with the place where it stood.
    """
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 25},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
        "speed": "fast",
    }
    hidden = {"type": "redacted_thinking", "data": "more"}
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"n": 1}}
    said = message(
        THOUGHT, text("Wait."), hidden, use, THOUGHT, usage=usage, stop_reason="tool_use"
    )
    tools = (ToolSpec(name="look", parameters=STRICT),)
    _, reply = await asked(replace(a_call(), tools=tools), answer=said)
    assert reply.usage == Usage(
        prompt_tokens=130,
        completion_tokens=30,
        cache_read_tokens=100,
        cache_write_tokens=20,
        reasoning_tokens=25,
        web_searches=2,
    )
    assert (reply.finish_reason, reply.service_tier) == ("tool_calls", "fast")
    assert reply.reasoning == ((0, THOUGHT), (1, hidden))
    assert [call.arguments for call in reply.tool_calls] == [{"n": 1}]
    assert not {"signature", "data", "thinking"} & reply.raw["content"][0].keys()
    assert reply.raw["content"][0]["sealed"]["bytes"] == len("sealed")
    assert reply.raw["content"][2]["sealed"]["bytes"] == len("more")
    assert "text" not in reply.raw["content"][1]


USED = Usage(prompt_tokens=7, completion_tokens=5)


@pytest.mark.parametrize(
    ("said", "error", "used"),
    [
        (message(stop_reason="refusal"), LLMRefusedError, USED),
        (message(text("No"), stop_reason="refusal", stop_details={}), LLMRefusedError, USED),
        (message(stop_reason="max_tokens"), LLMTruncatedError, USED),
        (message(stop_reason="model_context_window_exceeded"), LLMTruncatedError, USED),
        (message(stop_reason="pause_turn"), LLMBadResponseError, USED),
        (message(stop_reason=None, usage=None), LLMBadResponseError, None),
        ({"type": "message"}, LLMBadResponseError, None),
        (message({"no": "type"}), LLMBadResponseError, None),
    ],
)
async def test_an_answer_that_is_none(
    said: Json, error: type[LLMError], used: Usage | None
) -> None:
    """Refusals, cut answers and nonsense are told apart, and know what was used."""
    found = await failure(lambda _request: httpx2.Response(200, json=said))
    assert type(found) is error
    assert found.usage == used


async def test_a_refusal_says_why() -> None:
    """The explanation is all there is to show."""
    details = {"type": "refusal", "category": "bio", "explanation": "Not that."}
    said = message(stop_reason="refusal", stop_details=details)
    found = await failure(lambda _request: httpx2.Response(200, json=said))
    assert found.partial_text == "Not that."


@pytest.mark.parametrize(
    ("status", "kind", "details", "error"),
    [
        (400, "invalid_request_error", None, LLMBadRequestError),
        (401, "authentication_error", None, LLMAuthenticationError),
        (402, "billing_error", None, LLMQuotaExceededError),
        (403, "permission_error", None, LLMPermissionError),
        (404, "not_found_error", None, LLMNotFoundError),
        (413, "request_too_large", None, LLMBadRequestError),
        (429, "rate_limit_error", None, LLMRateLimitError),
        (429, "rate_limit_error", {"error_code": "ramp_limit_exceeded"}, LLMRateLimitError),
        (429, "rate_limit_error", SPENT, LLMQuotaExceededError),
        (500, "api_error", None, LLMProviderError),
        (504, "timeout_error", None, LLMProviderError),
        (529, "overloaded_error", {"error_code": None}, LLMProviderError),
    ],
)
async def test_errors_by_type_and_code(
    status: int, kind: str, details: Json | None, error: type[LLMError]
) -> None:
    """Each is ours that means it, with the time to wait and the request's id, and no key."""
    body = {"type": "error", "error": {"type": kind, "message": f"no {KEY}", "details": details}}
    headers = {"request-id": "req-9", "retry-after": "3"}
    found = await failure(lambda _request: httpx2.Response(status, json=body, headers=headers))
    assert type(found) is error
    assert found.status_code == status
    assert (found.provider_request_id, found.retry_after) == ("req-9", 3.0)
    assert KEY not in repr(vars(found))
    assert KEY not in repr(vars(found.__cause__))


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (400, "prompt is too long: 208310 tokens > 200000 maximum", LLMContextLengthError),
        (400, "input length and `max_tokens` exceed context limit: 3", LLMContextLengthError),
        (400, "messages.0: your prompt is too long", LLMBadRequestError),
        (500, "prompt is too long", LLMProviderError),
    ],
)
async def test_a_conversation_that_is_too_long(
    status: int, said: str, error: type[LLMError]
) -> None:
    """The one error that only its message tells apart."""
    body = {"error": {"type": "invalid_request_error", "message": said}}
    assert type(await failure(lambda _request: httpx2.Response(status, json=body))) is error


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"error": "no"}', b""])
async def test_an_error_of_any_shape_has_its_status(body: bytes) -> None:
    """Proxies answer as they like."""
    found = await failure(lambda _request: httpx2.Response(502, content=body))
    assert (type(found), found.status_code) == (LLMProviderError, 502)


async def test_prompts_do_not_follow_redirects() -> None:
    """They go where the settings say, and nowhere else."""
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.host)
        return httpx2.Response(307, headers={"location": "http://other.test/v1/messages"})

    found = await failure(answer)
    assert seen == ["house.test"]
    assert (type(found), found.retryable) == (LLMBadResponseError, False)


@pytest.mark.parametrize(
    ("cause", "error", "billed"),
    [
        (httpx2.ConnectError("no"), LLMConnectionError, False),
        (httpx2.ConnectTimeout("no"), LLMConnectionError, False),
        (httpx2.ReadTimeout("no"), LLMTimeoutError, True),
        (httpx2.ReadError("no"), LLMConnectionError, True),
        (ValueError("no"), LLMConnectionError, False),
    ],
)
async def test_a_broken_connection_says_whether_it_may_have_been_paid(
    cause: Exception,
    error: type[LLMError],
    billed: bool,  # noqa: FBT001 - a value of the table
) -> None:
    """What was never sent costs nothing."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if isinstance(cause, httpx2.HTTPError):
            cause.request = request
        raise cause

    found = await failure(answer)
    assert type(found) is error
    assert found.maybe_billed is billed


def test_cached_tokens_have_their_prices() -> None:
    """Reads and writes of the cache cost what Anthropic says: a tenth, and a quarter more."""
    usage = Usage(
        prompt_tokens=3_000_000,
        completion_tokens=1_000_000,
        cache_read_tokens=1_000_000,
        cache_write_tokens=1_000_000,
        web_searches=1_000,
    )
    price = PriceList().price(
        "anthropic", "claude-opus-5", usage, datetime.now(UTC), service_tier="standard"
    )
    assert price.total == Decimal(5) + Decimal("0.5") + Decimal("6.25") + 25 + 10


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed the SDK is told how to."""
    monkeypatch.delitem(sys.modules, "modules.llm_services.providers.anthropic", raising=False)
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with pytest.raises(LLMConfigurationError, match=r"llm-services\[anthropic\]"):
        create_llm_provider(LLMConfig(), "anthropic")


def test_a_missing_key_is_named() -> None:
    """By the variable that everybody sets."""
    with pytest.raises(LLMConfigurationError, match="ANTHROPIC_API_KEY is not set"):
        create_llm_provider(LLMConfig(), "anthropic")

"""The adapter through the real SDK: what is sent, and what becomes of what comes back."""

import json
from collections.abc import Callable

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    LLMUnsupportedParameterError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, GenerationParameters, LLMMessageDTO

KEY = "a1b2c3d4e5f6secret"
GOOD = {"model": "m-1", "output": [{"type": "message", "content": [{"type": "t", "text": "hi"}]}]}
Answer = Callable[[httpx2.Request], httpx2.Response]


def a_call(**parameters: object) -> Call:
    """A call with parameters, as the service freezes it."""
    return Call(
        id=uuid7(),
        operation="chat",
        provider="house",
        model="m",
        requested_model=None,
        messages=(LLMMessageDTO(role="user", content="hello"),),
        parameters=GenerationParameters(**parameters),  # type: ignore[typeddict-item]
        timeout=10,
        max_retries=0,
    )


FIRST = Attempt(number=1, seconds_left=10)


def provider(answer: Answer) -> OpenAIProvider:
    """The adapter with the SDK's own HTTP client on a transport that answers."""
    settings = ProviderSettings(api_key=SecretStr(KEY), base_url="http://house.test/v1")
    made = OpenAIProvider("house", settings, "responses")
    made._client = AsyncOpenAI(
        api_key=KEY,
        base_url="http://house.test/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )
    return made


async def failure(answer: Answer, **parameters: object) -> LLMError:
    """The error of one attempt."""
    adapter = provider(answer)
    with pytest.raises(LLMError) as caught:
        await adapter.generate_text(a_call(**parameters), FIRST)
    await adapter.aclose()
    return caught.value


async def test_a_request_carries_key_id_and_privacy() -> None:
    """The key authenticates, the row's id travels along, and nothing is stored at the vendor."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=GOOD, headers={"x-request-id": "req-1"})

    call = a_call(max_tokens=5)
    adapter = provider(answer)
    reply = await adapter.generate_text(call, FIRST)
    await adapter.aclose()
    [request] = seen
    assert request.url == "http://house.test/v1/responses"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-client-request-id"] == str(call.id)
    body = json.loads(request.content)
    assert body["store"] is False
    assert body["max_output_tokens"] == 5
    assert (reply.text, reply.provider_request_id, reply.http_status) == ("hi", "req-1", 200)


async def test_a_refused_parameter_is_dropped_once_and_remembered() -> None:
    """The model says that it does not take a parameter: the next request goes without it."""
    seen: list[dict[str, object]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        seen.append(body)
        if "temperature" not in body:
            return httpx2.Response(200, json=GOOD)
        error = {"message": "no", "code": "unsupported_value", "param": "temperature"}
        return httpx2.Response(400, json={"error": error})

    adapter = provider(answer)
    with pytest.raises(LLMUnsupportedParameterError):
        await adapter.generate_text(a_call(temperature=0.2), FIRST)
    reply = await adapter.generate_text(a_call(temperature=0.2), FIRST)
    await adapter.aclose()
    assert reply.dropped_params == ("temperature",)
    assert ["temperature" in body for body in seen] == [True, False]


@pytest.mark.parametrize(
    ("code", "param", "parameters"),
    [
        ("unsupported_value", "stop", {"stop": "x"}),
        ("unsupported_value", "temperature", {}),
        ("invalid_value", "temperature", {"temperature": 1}),
        ("unsupported_value", None, {"temperature": 1}),
    ],
)
async def test_what_would_change_the_answer_is_not_dropped(
    code: str, param: str | None, parameters: dict[str, object]
) -> None:
    """Only what was sent, can be left out, and was plainly refused is left out."""
    error = {"error": {"message": "no", "code": code, "param": param}}
    caught = await failure(lambda _: httpx2.Response(400, json=error), **parameters)
    assert type(caught) is LLMBadRequestError
    assert not caught.retryable


async def test_the_key_is_in_no_error() -> None:
    """A provider that quotes the key, and an SDK error that holds it, give nothing away."""
    body = {"error": {"message": f"Incorrect key {KEY}", "code": "invalid_api_key"}}
    caught = await failure(lambda _: httpx2.Response(401, json=body))
    assert isinstance(caught, LLMAuthenticationError)
    cause = caught.__cause__
    assert cause is not None
    told = [str(caught), repr(caught), str(vars(caught)), str(cause.request.headers)]  # type: ignore[attr-defined]
    assert not [text for text in told if KEY in text]


async def test_an_html_error_is_not_quoted() -> None:
    """A proxy's error page becomes one sentence; the page is kept, capped, for the row."""
    caught = await failure(lambda _: httpx2.Response(502, text="<html>" + "x" * 9_999))
    assert str(caught) == "HTTP 502 from the provider, without an explanation"
    assert caught.response_body is not None
    assert len(caught.response_body) == 2_000


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_prompts_do_not_follow_redirects(status: int) -> None:
    """A redirect is an error: nothing is sent to where it points."""
    hosts: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        hosts.append(request.url.host)
        return httpx2.Response(status, headers={"location": "http://elsewhere.test/v1"})

    caught = await failure(answer)
    assert isinstance(caught, LLMBadResponseError)
    assert not caught.retryable
    assert hosts == ["house.test"]


@pytest.mark.parametrize(
    ("cause", "error", "billed"),
    [
        (httpx2.ConnectError("refused"), LLMConnectionError, False),
        (httpx2.ConnectTimeout("slow"), LLMConnectionError, False),
        (httpx2.ReadError("reset"), LLMConnectionError, True),
        (httpx2.RemoteProtocolError("gone"), LLMConnectionError, True),
        (httpx2.ReadTimeout("slow"), LLMTimeoutError, True),
    ],
)
async def test_a_broken_connection_says_whether_it_may_have_been_paid(
    cause: Exception, error: type[LLMError], billed: object
) -> None:
    """Only a request that may have arrived may have been answered, and charged."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise cause

    caught = await failure(answer)
    assert type(caught) is error
    assert caught.maybe_billed is billed
    assert "house.test" in str(caught)


async def test_a_bad_reply_is_kept_for_the_row() -> None:
    """What came instead of an answer is stored, capped, with the vendor's request id."""
    caught = await failure(
        lambda _: httpx2.Response(
            200,
            json={"model": "m", "output": [], "status": "queued"},
            headers={"x-request-id": "r"},
        )
    )
    assert isinstance(caught, LLMBadResponseError)
    assert (caught.provider_request_id, caught.status_code) == ("r", 200)
    assert "queued" in (caught.response_body or "")

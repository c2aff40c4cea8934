"""Speech that comes in events, whose end says what it cost: read, bounded, priced."""

import base64
import json
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr

from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMConnectionError,
    LLMError,
    LLMProviderError,
    LLMStreamCutError,
    LLMUnsupportedParameterError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.providers.formats import speech as speech_format
from modules.llm_services.providers.formats import sse
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.public import LLMServicesProvider, open_llm_services
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, Usage
from sandbox import Sandbox

TTS = "gpt-4o-mini-tts"
MODELS = (TTS, "tts-1", "tts-1-hd")
HTTP = "http://house.test/v1"
MP3 = b"\xff\xfb\x90\xc4" + bytes(413)
EVENTS = "text/event-stream; charset=utf-8"
FIRST = Attempt(number=1, seconds_left=9)
Answer = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


async def test_speech_of_the_default_model_has_its_cost(llm: LLMServicesProvider) -> None:
    """Text in at one price, sound out at another: tokens, cost and the vendor's words are kept."""
    audio, request_id = await llm.generate_audio("Lava flows out of the volcano.")
    row = llm.get_request(request_id)
    assert row is not None
    assert audio.data[:2] == b"\xff\xfb"
    assert (row.prompt_tokens, row.completion_tokens) == (8, 40)
    assert row.usage_source == "reported"
    assert row.cost_estimate == pytest.approx(8 * 0.6e-6 + 40 * 12e-6)
    assert row.cost_details == {"input": "0.0000048", "audio_output": "0.00048"}
    assert row.usage_details == {"input_tokens": 8, "output_tokens": 40, "total_tokens": 48}


async def test_parts_of_speech_are_paid_together(llm: LLMServicesProvider) -> None:
    """A long text costs what all of its requests cost."""
    _, request_id = await llm.generate_audio("Lava flows out of the volcano. " * 130)
    row = llm.get_request(request_id)
    assert row is not None
    assert row.attempts is not None
    assert len(row.attempts) == 3
    made = [attempt["usage"]["audio_output_tokens"] for attempt in row.attempts]
    assert row.completion_tokens == sum(made)
    assert row.cost_estimate == pytest.approx((row.prompt_tokens or 0) * 0.6e-6 + sum(made) * 12e-6)


@pytest.mark.parametrize(
    ("fault", "error_type", "attempts"),
    [
        ("cut=0", "StreamCut", 3),
        ("cut=1", "StreamCut", 3),
        ("sever=1", "Connection", 3),
        ("stream_error", "ProviderError", 3),
        ("empty", "BadResponse", 2),
        ("status=400", "BadRequest", 1),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_broken_speech_is_a_row(
    llm: LLMServicesProvider, fault: str, error_type: str, attempts: int
) -> None:
    """Sound without its end is an error, never a short answer."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_audio("Lava. " * 200, model=f"openai:{TTS}:{fault}", max_retries=2)
    assert caught.value.request_id is not None
    row = llm.get_request(caught.value.request_id)
    assert row is not None
    assert (row.status, row.error_type, row.retry_attempt) == ("failed", error_type, attempts)
    assert row.response_raw is None or "//uQ" not in json.dumps(row.response_raw)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_unreported_usage_has_no_cost(llm: LLMServicesProvider) -> None:
    """What a stream does not say stays unknown: it is not free."""
    _, request_id = await llm.generate_audio("Lava.", model=f"openai:{TTS}:no_usage")
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.cost_estimate, row.prompt_tokens) == ("completed", None, None)
    assert row.usage_details is None


def adapter(answer: Answer) -> OpenAIProvider:
    """The adapter with the SDK's own HTTP client on a transport that answers."""
    settings = ProviderSettings(api_key=SecretStr("sk-house-secret"), base_url=HTTP)
    made = OpenAIProvider("house", settings, "chat")
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    made._client = AsyncOpenAI(
        api_key="sk-house-secret", base_url=HTTP, max_retries=0, http_client=client
    )
    return made


def a_call(model: str = TTS) -> Call:
    """A call as the service freezes it."""
    return Call(
        id=uuid7(),
        operation="speech",
        provider="house",
        model=model,
        requested_model=None,
        messages=(),
        parameters={"voice": "alloy", "format": "mp3"},
        timeout=10,
        max_retries=0,
    )


async def spoken(body: bytes, content_type: str = EVENTS) -> Reply:
    """What the adapter makes of a body."""
    headers = {"content-type": content_type, "x-request-id": "r-1"}
    provider = adapter(lambda _request: httpx2.Response(200, content=body, headers=headers))
    try:
        return await provider.speak(a_call(), FIRST, "Hi.")
    finally:
        await provider.aclose()


def delta(data: bytes) -> bytes:
    """An event with a piece of sound."""
    audio = base64.b64encode(data).decode()
    return b"data: " + json.dumps({"type": "speech.audio.delta", "audio": audio}).encode() + b"\n\n"


def done(usage: object) -> bytes:
    """The last event."""
    return b"data: " + json.dumps({"type": "speech.audio.done", "usage": usage}).encode() + b"\n\n"


USAGE = {"input_tokens": 2, "output_tokens": 40, "total_tokens": 42}


async def test_pieces_become_one_sound() -> None:
    """In their order; what comes before or after them, and is not known, is left alone."""
    other = b': hello\n\nevent: x\ndata: {"type": "speech.later"}\n\n'
    body = other + delta(MP3[:9]) + delta(MP3[9:]) + done(USAGE) + b"data: [DONE]\n\n"
    reply = await spoken(body)
    assert reply.parsed == MP3
    assert reply.usage == Usage(
        prompt_tokens=2, completion_tokens=40, audio_output_tokens=40, characters=3
    )
    assert reply.usage_details == USAGE
    assert (reply.http_status, reply.provider_request_id) == (200, "r-1")


async def test_a_server_without_streams_of_speech_still_speaks() -> None:
    """What comes is read as what its media type says; nobody knows its cost then."""
    reply = await spoken(MP3, "audio/mpeg")
    assert (reply.parsed, reply.usage) == (MP3, Usage(characters=3))
    assert reply.usage_details is None


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (b"", LLMStreamCutError, "ended before the speech did"),
        (delta(MP3), LLMStreamCutError, "ended before the speech did"),
        (delta(MP3) + done(USAGE)[:-1], LLMStreamCutError, "ended before the speech did"),
        (b"data: hello\n\n", LLMBadResponseError, "stream is not JSON"),
        (b'data: {"type": "speech.audio.delta"}\n\n', LLMBadResponseError, "not base64"),
        (
            b'data: {"type": "speech.audio.delta", "audio": "a-b"}\n\n',
            LLMBadResponseError,
            "not base64",
        ),
        (delta(MP3) + done({"input_tokens": -1}), LLMBadResponseError, "'usage.input_tokens'"),
        (delta(b"abc") + done(USAGE), LLMBadResponseError, "is no mp3: 3 bytes"),
        (done(USAGE), LLMBadResponseError, "is no mp3: 0 bytes"),
        (
            b'data: {"type": "error", "message": "no sk-house-secret"}\n\n',
            LLMProviderError,
            r"no \*\*\*",
        ),
        (b'data: {"error": {"message": "busy"}}\n\n', LLMProviderError, "busy"),
    ],
)
async def test_a_stream_that_is_no_speech_is_refused(
    body: bytes, error: type[LLMError], said: str
) -> None:
    """The error says what is wrong, whose answer it was, and holds no sound."""
    with pytest.raises(error, match=said) as caught:
        await spoken(body)
    assert caught.value.provider_request_id == "r-1"
    assert "AAAAAAAA" not in (caught.value.response_body or "")


async def test_tokens_of_a_sound_that_cannot_be_used_are_known() -> None:
    """It was made, and is paid for."""
    with pytest.raises(LLMBadResponseError) as caught:
        await spoken(delta(b"abc") + done(USAGE))
    assert caught.value.usage is not None
    assert caught.value.usage.total_tokens == 42


@pytest.mark.parametrize("content_type", [EVENTS, "audio/mpeg"])
async def test_an_endless_body_is_left(content_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than the longest speech takes."""
    monkeypatch.setattr(speech_format, "MAX_BODY", 1_000)
    with pytest.raises(LLMBadResponseError, match=r"over the limit of 0\.001 MB") as caught:
        await spoken(delta(MP3) * 3, content_type)
    assert (caught.value.status_code, caught.value.maybe_billed) == (200, True)


async def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event is bounded, too."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    for body in (delta(MP3) + done(USAGE), b"data: endless" * 10):
        with pytest.raises(LLMBadResponseError, match="an event of the stream is too long"):
            await spoken(body)


async def test_a_connection_that_breaks_says_so() -> None:
    """Sound may have been made by then."""

    async def pieces() -> AsyncIterator[bytes]:
        yield delta(MP3)
        raise httpx2.ReadError("gone")

    headers = {"content-type": EVENTS, "x-request-id": "r-1"}
    provider = adapter(lambda _request: httpx2.Response(200, content=pieces(), headers=headers))
    with pytest.raises(LLMConnectionError, match="broke") as caught:
        await provider.speak(a_call(), FIRST, "Hi.")
    await provider.aclose()
    assert (caught.value.maybe_billed, caught.value.provider_request_id) == (True, "r-1")


@pytest.mark.parametrize("code", ["unknown_parameter", "unsupported_parameter"])
async def test_an_endpoint_that_refuses_streams_of_speech_is_asked_without(code: str) -> None:
    """Once refused, it is not asked again; a model that has none is not asked at all."""
    seen: list[bool] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append("stream_format" in json.loads(request.content))
        error = {"message": "No.", "code": code, "param": "stream_format"}
        if seen[-1] or len(seen) > 4:
            return httpx2.Response(400, json={"error": error})
        return httpx2.Response(200, content=MP3, headers={"content-type": "audio/mpeg"})

    provider = adapter(answer)
    with pytest.raises(LLMUnsupportedParameterError):
        await provider.speak(a_call(), FIRST, "Hi.")
    told = [(await provider.speak(a_call(model), FIRST, "Hi.")).dropped_params for model in MODELS]
    assert told == [("stream_format",), (), ()]
    assert seen == [True, False, False, False]
    with pytest.raises(LLMProviderError) as caught:
        await provider.speak(a_call("tts-1"), FIRST, "Hi.")
    assert not isinstance(caught.value, LLMUnsupportedParameterError)
    await provider.aclose()

"""Google as tests play it: answers, failures and streams behind the real SDK."""

import json
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel, SecretStr

from modules.llm_services.exceptions import (
    LLMError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt, Correction
from modules.llm_services.providers.gemini import GeminiProvider
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import (
    Call,
    LLMMessageDTO,
)
from modules.llm_services.types.stream import StreamEvent
from sandbox import png

KEY = "AIzaSyA1b2C3d4E5f6G7h8secret"
MODEL = "gemini-3.8-flash"
FIRST = Attempt(number=1, seconds_left=10)
PICTURE = png.encode(16, 16, [bytes(16)] * 16, [(9, 9, 9)])
RPC = "type.googleapis.com/google.rpc."
Answer = Callable[[httpx2.Request], httpx2.Response]
Json = dict[str, Any]


class City(BaseModel):
    """A city."""

    name: str
    kind: str = "city"


def a_call(*messages: LLMMessageDTO, **fields: Any) -> Call:
    """A call as the service freezes it."""
    given = {"operation": "chat", "model": MODEL, "parameters": {}, **fields}
    return Call(
        id=uuid7(),
        provider="gemini",
        requested_model=None,
        messages=messages or (LLMMessageDTO(role="user", content="hello"),),
        timeout=10,
        max_retries=0,
        **given,
    )


@cache  # loading certificates for each test would take seconds
def made(base_url: str | None) -> GeminiProvider:
    """An adapter."""
    settings = ProviderSettings(api_key=SecretStr(KEY), base_url=base_url, reply_max_mb=1)
    return GeminiProvider("gemini", settings)


def provider(answer: Answer, base_url: str | None = "http://google.test/v1beta") -> GeminiProvider:
    """The adapter over a transport that answers."""
    adapter = made(base_url)
    adapter._http._transport = httpx2.MockTransport(answer)
    return adapter


def said(*parts: Json, finish: str | None = "STOP", **around: Any) -> Json:
    """An answer as Google writes it."""
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [{**candidate, **({"finishReason": finish} if finish else {})}], **around}


def answering(value: Json, **headers: str) -> Answer:
    """Always the same answer."""
    return lambda _request: httpx2.Response(200, json=value, headers=headers)


def streaming(*values: Json, rest: str = "") -> Answer:
    """An answer in pieces."""
    text = "".join(f"data: {json.dumps(value)}\r\n\r\n" for value in values) + rest
    kind = {"content-type": "text/event-stream"}
    return lambda _request: httpx2.Response(200, content=text.encode(), headers=kind)


class Seen:
    """Keeps the requests, and answers each with a value."""

    def __init__(self, value: Json | None = None) -> None:
        self.requests: list[httpx2.Request] = []
        self._value = value or said({"text": "hi"})

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """See the request as it leaves, before the key is taken out of it."""
        self.requests.append(httpx2.Request(request.method, request.url, headers=request.headers))
        self.body: Json = json.loads(request.read())
        return httpx2.Response(200, json=self._value)


async def sent(call: Call, correction: Correction | None = None) -> Json:
    """The body of a request."""
    seen = Seen()
    adapter = provider(seen)
    attempt = Attempt(number=1, seconds_left=10, correction=correction)
    await adapter.generate_text(call, attempt)
    return seen.body


async def failure(answer: Answer, call: Call | None = None) -> LLMError:
    """The error of one attempt."""
    adapter = provider(answer)
    with pytest.raises(LLMError) as caught:
        await adapter.generate_text(call or a_call(), FIRST)
    return caught.value


async def events(adapter: GeminiProvider, call: Call) -> tuple[list[StreamEvent], Any]:
    """The pieces of a stream, and the stream."""
    stream = await adapter.stream_text(call, FIRST)
    pieces = [event async for event in stream]
    await stream.aclose()
    return pieces, stream


class Body(httpx2.AsyncByteStream):
    """A body as the wire brings it."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._data, self._error = data, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        if self._error:
            raise self._error


def problem(status: int, word: str, *details: Json) -> Answer:
    """A failure as Google writes it, which quotes the key."""
    error = {"code": status, "message": f"no: {KEY}", "status": word, "details": list(details)}
    return lambda _request: httpx2.Response(status, json={"error": error})

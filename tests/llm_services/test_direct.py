"""Requests past the SDK's own machinery, against servers that say what a test wants."""

import asyncio
import gc
import gzip
import socketserver
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMError,
)
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.setting_types import HttpTransport, ProviderSettings
from modules.llm_services.types import Call, LLMMessageDTO

from .test_openai_provider import a_call

KEY = "a1b2c3d4e5f6secret"
GOOD = b'{"model":"m","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}'
FIRST = Attempt(number=1, seconds_left=10)


def a_reply(body: bytes = GOOD, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """A whole HTTP response."""
    return b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (
        status.encode(),
        headers,
        len(body),
        body,
    )


@asynccontextmanager
async def a_server(*replies: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these replies in order and closes; its URL, and the heads it got."""
    heads: list[bytes] = []
    left = list(replies)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            heads.append(head)
            size = next(int(line[15:]) for line in head.lower().splitlines() if b"length:" in line)
            await reader.readexactly(size)
            writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heads


def an_adapter(url: str, transport: HttpTransport = "aiohttp") -> OpenAIProvider:
    """The adapter as the factory makes it."""
    settings = ProviderSettings(
        api_key=SecretStr(KEY), base_url=url, api="responses", http_transport=transport
    )
    return OpenAIProvider("house", settings, "responses")


async def asked(*replies: bytes) -> Reply:
    """The reply to one request."""
    async with a_server(*replies) as (url, _):
        adapter = an_adapter(url)
        try:
            return await adapter.generate_text(a_call(), FIRST)
        finally:
            await adapter.aclose()


async def refused(*replies: bytes) -> LLMError:
    """The error of one request."""
    with pytest.raises(LLMError) as caught:
        await asked(*replies)
    return caught.value


async def test_a_request_says_what_the_sdk_would_say() -> None:
    """Key, id and the SDK's own headers; the connection serves the next request, too."""
    async with a_server(a_reply(), a_reply()) as (url, heads):
        adapter = an_adapter(url)
        call = a_call()
        replies = [await adapter.generate_text(call, FIRST) for _ in range(2)]
        await adapter.aclose()
    assert [reply.text for reply in replies] == ["hi", "hi"]
    for head in heads:
        lines = head.lower().splitlines()
        assert lines[0] == b"post /v1/responses http/1.1"
        assert f"authorization: bearer {KEY}".encode() in lines
        assert f"x-client-request-id: {call.id}".encode() in lines
        assert b"accept-encoding: gzip, deflate" in lines
        assert b"content-type: application/json" in lines
        assert any(line.startswith(b"user-agent: asyncopenai/python") for line in lines)


async def test_a_packed_answer_is_unpacked() -> None:
    """By the same guard as the SDK's."""
    packed = gzip.compress(GOOD, mtime=0)
    reply = await asked(a_reply(packed, headers=b"content-encoding: gzip\r\n"))
    assert reply.text == "hi"


async def test_an_answer_packed_otherwise_is_none() -> None:
    """What was not asked for is not read; it may have been paid for."""
    error = await refused(a_reply(headers=b"content-encoding: br\r\n"))
    assert isinstance(error, LLMBadResponseError)
    assert (error.maybe_billed, error.status_code) == (True, 200)


async def test_ids_that_are_no_text_can_be_stored() -> None:
    """Whatever bytes a vendor puts into a header."""
    reply = await asked(a_reply(headers=b"X-Request-Id: req-\xff\r\n"))
    assert reply.provider_request_id == "req-\ufffd"


@pytest.mark.parametrize(
    "reply",
    [b"", b"nonsense\r\n\r\n", a_reply()[:-3], b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n"],
    ids=["nothing", "no HTTP", "half", "no header"],
)
async def test_what_breaks_may_have_been_paid(reply: bytes) -> None:
    """The request was sent. Neither the error nor what it stands on shows the key."""
    error = await refused(reply)
    assert type(error) is LLMConnectionError
    assert error.maybe_billed
    assert "127.0.0.1 broke" in error.message
    seen: BaseException | None = error
    while seen is not None:
        assert KEY not in f"{seen!r}{vars(seen)}"
        seen = seen.__cause__ or seen.__context__


async def test_what_was_not_sent_is_not_paid() -> None:
    """Nobody listens there."""
    async with a_server() as (url, _):
        pass
    adapter = an_adapter(url)
    with pytest.raises(LLMConnectionError, match=r"no connection to 127\.0\.0\.1") as caught:
        await adapter.generate_text(a_call(), FIRST)
    await adapter.aclose()
    assert not caught.value.maybe_billed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"no such thing"}}', "no such thing"),
        (b"x" * 10**6, "without an explanation"),
        (b"", "without an explanation"),
    ],
)
async def test_a_refusal_is_read_as_far_as_it_is_sound(body: bytes, said: str) -> None:
    """A whole one, one of a megabyte, and one that breaks off."""
    whole = a_reply(body, "400 Bad Request")
    error = await refused(whole if body else whole.replace(b"length: 0", b"length: 9"))
    assert type(error) is LLMBadRequestError
    assert said in error.message
    assert len(error.response_body or "") <= 2_000


async def test_a_large_body_and_a_form_go_through_the_sdk() -> None:
    """They come in pieces, which is its affair."""
    async with a_server(a_reply()) as (url, heads):
        adapter = an_adapter(url)
        said = LLMMessageDTO(role="user", content="x" * 10**6)
        call = Call(**{**_fields(a_call()), "messages": (said,)})
        reply = await adapter.generate_text(call, FIRST)
        await adapter.aclose()
    assert reply.text == "hi"
    assert b"x-stainless-retry-count: 0" in heads[0].lower()


def _fields(call: Call) -> dict[str, Any]:
    return {name: getattr(call, name) for name in call.__dataclass_fields__}


@pytest.mark.parametrize("transport", ["httpx2", "auto", "aiohttp"])
async def test_the_setting_chooses(transport: HttpTransport) -> None:
    """aiohttp where it is installed, the SDK's own when that is wanted."""
    async with a_server(a_reply()) as (url, heads):
        adapter = an_adapter(url, transport)
        await adapter.generate_text(a_call(), FIRST)
        await adapter.aclose()
    by_the_sdk = b"x-stainless-retry-count: 0" in heads[0].lower()
    assert by_the_sdk is (transport == "httpx2")


async def test_without_aiohttp_the_sdk_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is asked for: then what is missing is said."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(LLMConfigurationError, match=r"install llm-services\[fast\]"):
        an_adapter("http://127.0.0.1:1/v1")
    async with a_server(a_reply()) as (url, heads):
        adapter = an_adapter(url, "auto")
        await adapter.generate_text(a_call(), FIRST)
        await adapter.aclose()
    assert b"x-stainless-retry-count: 0" in heads[0].lower()


async def test_a_proxy_is_the_sdks_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies holds, also what it excepts from them."""
    async with a_server(a_reply(), a_reply()) as (url, heads):
        monkeypatch.setenv("http_proxy", url.removesuffix("/v1"))
        for excepted in ("", "vendor.test"):
            monkeypatch.setenv("no_proxy", excepted)
            adapter = an_adapter("http://vendor.test/v1")
            assert (adapter._direct is None) == (not excepted)
            if not excepted:
                await adapter.generate_text(a_call(), FIRST)
            await adapter.aclose()
    assert heads[0].startswith(b"POST http://vendor.test/v1/responses")


async def test_a_connection_on_which_something_came_is_not_used_again() -> None:
    """What came while it waited is nobody's answer."""
    async with a_server(a_reply(), a_reply(b"nobody asked"), a_reply()) as (url, _):
        adapter = an_adapter(url)
        await adapter.generate_text(a_call(), FIRST)
        assert adapter._direct is not None
        session = adapter._direct._session
        assert session is not None
        assert session.connector is not None
        [[(idle, _since)]] = session.connector._conns.values()
        idle.data_received(a_reply(b"nobody asked"))
        with pytest.raises(LLMBadResponseError):  # the server's next, on a connection of its own
            await adapter.generate_text(a_call(), FIRST)
        assert idle.transport is None
        await adapter.aclose()


class _Talk(socketserver.BaseRequestHandler):
    """Answers one request and waits for another."""

    def handle(self) -> None:
        if self.request.recv(2**16):
            self.request.sendall(a_reply())
            self.request.recv(2**16)


def test_a_loop_that_ends_takes_its_connections_along(caplog: pytest.LogCaptureFixture) -> None:
    """Of an adapter that nobody closed aiohttp says nothing, in no warning and in no log."""

    async def use() -> None:
        reply = await an_adapter(f"http://127.0.0.1:{server.server_address[1]}").generate_text(
            a_call(), FIRST
        )
        assert reply.text == "hi"

    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Talk) as server,
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        threading.Thread(target=server.serve_forever).start()
        asyncio.run(use())
        gc.collect()
        server.shutdown()
    said = [str(one.message) for one in told] + caplog.messages
    assert not [text for text in said if "Unclosed c" in text]

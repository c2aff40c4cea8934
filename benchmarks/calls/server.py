"""A server on loopback that must never be the bottleneck: ready-made bytes, no framework.

``python -m benchmarks.calls.server`` prints its port and serves until its input is closed.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable

from . import answers

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_TOOL = re.compile(rb'"name"\s*:\s*"([^"]+)"')
_STREAMED = re.compile(rb'"stream"\s*:\s*true')
_SCHEMA = re.compile(rb"json_schema|json_object")


def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def _chunked(body: bytes) -> bytes:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    events = body.split(b"\n\n")[:-1]
    pieces = (b"%x\r\n%s\n\n\r\n" % (len(event) + 2, event) for event in events)
    return head + b"".join(pieces) + b"0\r\n\r\n"


_INVOICE = json.dumps(answers.INVOICE)
_CHAT = _whole(answers.chat(answers.WORDS))
_CHAT_OBJECT = _whole(answers.chat(_INVOICE))
_CHAT_STREAM = _chunked(answers.chat_stream())
_RESPONSES = _whole(answers.responses(answers.WORDS))
_RESPONSES_OBJECT = _whole(answers.responses(_INVOICE))
_RESPONSES_STREAM = _chunked(answers.responses_stream())


def _chat(body: bytes) -> bytes:
    if _STREAMED.search(body):
        return _CHAT_STREAM
    if b'"tools"' in body:
        tools = body[body.index(b'"tools"') :]
        name = _TOOL.search(tools)
        return _whole(answers.chat_tool(name[1].decode() if name else "Invoice"))
    return _CHAT_OBJECT if _SCHEMA.search(body) else _CHAT


def _responses(body: bytes) -> bytes:
    if _STREAMED.search(body):
        return _RESPONSES_STREAM
    return _RESPONSES_OBJECT if _SCHEMA.search(body) else _RESPONSES


_ROUTES: dict[bytes, Callable[[bytes], bytes]] = {
    b"/v1/chat/completions": _chat,
    b"/v1/responses": _responses,
}


class Connection(asyncio.Protocol):
    """One connection: requests in, ready-made answers out."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is what TCP gives
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (request := self._next()) is not None:
            path, body = request
            answer = _ROUTES[path](body)
            if self._latency:
                loop = asyncio.get_running_loop()
                loop.call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)

    def _next(self) -> tuple[bytes, bytes] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._buffer[:end]
        length = _LENGTH.search(head)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < size:
            return None
        body, self._buffer = self._buffer[end + 4 : size], self._buffer[size:]
        return head.split(b" ", 2)[1], body


async def serve(latency: float = 0.0) -> None:
    """Serve on a spare port until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0, backlog=8192)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))

"""The sandbox with an ear at its door: every body that arrives is kept before it is answered."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.app import create_app
from sandbox.endpoint import State
from sandbox.multipart import read_form
from sandbox.serve import config_for, listen, url_of

from .openai_document import form_values

_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it arrived. Files in a form are replaced by their size."""

    path: str
    media_type: str
    body: dict[str, Any]


@dataclass(slots=True)
class RecordingVendor:
    """An ASGI application in front of the sandbox's."""

    app: ASGIApp = field(default_factory=lambda: create_app(State()))
    base_url: str = ""
    sent: list[Sent] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, note it, and let the sandbox read it again."""
        body = await _whole(receive)
        if scope["method"] == "POST":
            self.sent.extend(_sent(scope, body))
        await self.app(scope, _again(body, receive), send)


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return waiting.pop() if waiting else await receive()

    return read


def _sent(scope: Scope, body: bytes) -> Iterator[Sent]:
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    content_type = headers.get("content-type", "")
    path = scope["path"].removeprefix("/v1")
    media_type = content_type.partition(";")[0]
    if media_type == _JSON:
        yield Sent(path=path, media_type=media_type, body=json.loads(body))
        return
    form = read_form(content_type, body)
    yield Sent(path=path, media_type=media_type, body=form_values(path, form))
    if form.get("purpose") == "batch":
        yield from _lines(form["file"])


def _lines(file: bytes) -> Iterator[Sent]:
    """The requests that a batch's file holds."""
    for line in map(json.loads, file.splitlines()):
        yield Sent(path=line["url"].removeprefix("/v1"), media_type=_JSON, body=line["body"])


@contextlib.contextmanager
def recording() -> Iterator[RecordingVendor]:
    """Run it on a free port of this machine for the length of a ``with`` block."""
    vendor = RecordingVendor()
    config = config_for(State())
    config.app = vendor
    with listen("127.0.0.1", 0) as sock:
        vendor.base_url = url_of(sock)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        try:
            yield vendor
        finally:
            server.should_exit = True
            thread.join()

"""How replies leave: headers, event streams, and the connection that is dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.faults import Fault
from sandbox.wire import Reply, new_id

_LIMITS = {"requests": 10_000, "tokens": 10_000_000}
_OK = 200


def headers_for(reply: Reply, started: float) -> dict[str, str]:
    """The headers that OpenAI sends; `started` is `time.perf_counter()` at arrival."""
    headers = {
        "x-sandbox": "true",
        "x-request-id": new_id("req"),
        "openai-processing-ms": str(int((time.perf_counter() - started) * 1000)),
        "openai-organization": "sandbox",
        "openai-version": "2020-10-01",
    }
    if reply.status == _OK:
        spent = reply.tokens.prompt + reply.tokens.completion if reply.tokens else 0
        used = {"requests": 1, "tokens": spent}
        for what, limit in _LIMITS.items():
            headers[f"x-ratelimit-limit-{what}"] = str(limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(max(0, limit - used[what]))
            headers[f"x-ratelimit-reset-{what}"] = "6ms"
    return {**headers, **reply.headers}


class Dropped(Response):
    """No reply at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Abort the transport and wait until the server has seen it go."""
        abort(scope)
        await _gone(receive)


def abort(scope: Scope) -> None:
    """Close the client's connection at once; `serve.SandboxProtocol` leaves the transport here."""
    scope["state"]["transport"].abort()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Server-sent events, one by one, at the pace and to the end that the fault says."""

    def __init__(
        self,
        reply: Reply,
        headers: Mapping[str, str],
        fault: Fault,
        done: Callable[[str], None],
    ) -> None:
        super().__init__(None, reply.status, headers, "text/event-stream; charset=utf-8")
        del self.headers["content-length"]
        self._reply, self._fault, self._done = reply, fault, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events, or stop when the client leaves; the journal hears which it was."""
        sender = asyncio.create_task(self._send(scope, send))
        watcher = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sender, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = sender.done() and not sender.cancelled()
            for task in (sender, watcher):
                task.cancel()
            await asyncio.gather(sender, watcher, return_exceptions=True)
            self._done(self._outcome() if finished else "client_left")

    def _outcome(self) -> str:
        if self._fault.stream_error:
            return "stream_error"
        stopped = self._fault.cut is not None or self._fault.sever is not None
        return "cut" if stopped else self._reply.outcome

    async def _send(self, scope: Scope, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for text in self._reply.events or ():
            if self._fault.drip:
                await asyncio.sleep(self._fault.drip)
            body = text.encode("utf-8", "replace")
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if self._fault.sever is not None:
            # Aborting discards what is still buffered; one turn of the loop lets it out.
            await asyncio.sleep(0)
            abort(scope)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

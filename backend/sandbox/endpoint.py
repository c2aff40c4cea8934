"""The way of one request: key, body, fault, answer, headers, journal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.batch_files import Files
from sandbox.batches_api import Batches
from sandbox.dialects import OPENAI, Dialect
from sandbox.fault_replies import body_of, error_of
from sandbox.faults import FAULT_HEADER, Counters, Fault, call_key, parse, split_model
from sandbox.journal import Journal
from sandbox.likeness import likeness
from sandbox.multipart import read_form
from sandbox.sending import Dropped, EventStream, headers_for
from sandbox.wire import ApiError, Json, Reply, dumps

Handler = Callable[[Json, Fault], Reply]
"""What an endpoint does: a request's body and what shall go wrong, to a reply."""

_T = TypeVar("_T")
_LARGE = 200_000
"""Bytes of a body from which on the work moves to a thread, so that the loop stays free."""


@dataclass(frozen=True, slots=True)
class State:
    """What the server remembers between requests."""

    journal: Journal = field(default_factory=Journal)
    counters: Counters = field(default_factory=Counters)
    batches: Batches = field(default_factory=lambda: Batches(Files()))

    def reset(self) -> None:
        """Forget all requests, all counted faults, all batches and their files."""
        self.journal.reset()
        self.counters.reset()
        self.batches.reset()


@dataclass(slots=True)
class _Call:
    """One request on its way."""

    request: Request
    state: State
    n: int
    dialect: Dialect = OPENAI
    started: float = field(default_factory=time.perf_counter)
    fault: Fault = field(default_factory=Fault)


def endpoint(
    handler: Handler, state: State, dialect: Dialect = OPENAI
) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint around a handler."""

    async def serve(request: Request) -> Response:
        client_id = request.headers.get("x-client-request-id")
        call = _Call(request, state, state.journal.open(request.url.path, client_id), dialect)
        try:
            reply = await _answered(call, handler)
        except ApiError as error:
            return _respond(call, _error_reply(error, call))
        except (AttributeError, KeyError, TypeError, ValueError):
            # A list where an object belongs, text where a number belongs: the client's mistake.
            unread = ApiError(400, "Your request could not be read.", code="invalid_type")
            return _respond(call, _error_reply(unread, call))
        except (ClientDisconnect, asyncio.CancelledError):
            state.journal.note(call.n, outcome="client_left")
            raise
        if reply is None:
            state.journal.note(call.n, outcome="dropped")
            return Dropped()
        if await request.is_disconnected():
            # The answer was made, so at a real provider it would be on the bill.
            reply = _unread(reply)
        return _respond(call, reply)

    return serve


async def _answered(call: _Call, handler: Handler) -> Reply | None:
    """The reply, or None when the connection shall be dropped."""
    call.dialect.check_key(call.request.headers, call.request.url.path)
    check_version(call.request.url.path, call.request.query_params)
    raw = await call.request.body()
    content_type = call.request.headers.get("content-type", "")
    body = await _off_loop_if_large(raw, lambda: _parse_body(content_type, raw))
    body = _take_fault(call, call.dialect.named(body, call.request.path_params))
    if call.fault.slow:
        await asyncio.sleep(call.fault.slow)
    if call.fault.drop:
        return None
    if (error := error_of(call.fault)) is not None:
        raise error
    return body_of(call.fault) or await _off_loop_if_large(raw, lambda: handler(body, call.fault))


async def _off_loop_if_large(raw: bytes, work: Callable[[], _T]) -> _T:
    return await run_in_threadpool(work) if len(raw) > _LARGE else work()


def check_version(path: str, query: Mapping[str, str]) -> None:
    """Raise 404 where Azure's classic API is asked without its version."""
    if path.startswith("/openai/deployments/") and not query.get("api-version"):
        raise ApiError(404, "Resource not found", code="404")


def _parse_body(content_type: str, raw: bytes) -> Json:
    if content_type.startswith("multipart/form-data"):
        return read_form(content_type, raw)
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The JSON body of your request is no object.")
    return body


def _take_fault(call: _Call, body: Json) -> Json:
    """Read the fault off the model's name or the header; the rest sees the model proper."""
    asked = body.get("model")
    model, spec = split_model(asked) if isinstance(asked, str) else ("", "")
    call.state.journal.note(call.n, model=asked if isinstance(asked, str) else None)
    spec = ",".join(filter(None, (spec, call.request.headers.get(FAULT_HEADER))))
    if spec:
        client_id = call.request.headers.get("x-client-request-id")
        key = call_key(spec, call.request.url.path, client_id, body)
        call.fault = call.state.counters.now_active(parse(spec), key)
    # A path may name the model too: GET /v1/models/{id}.
    queried = call.request.query_params if call.request.method == "GET" else {}
    named = {**body, **queried, **call.request.path_params}
    return {**named, "model": model} if model else named


def _error_reply(error: ApiError, call: _Call) -> Reply:
    like, dialect = call.fault.like, call.dialect
    return Reply(
        content=likeness(like).error(error) if like else dialect.error_body(error),
        status=dialect.error_status(error),
        headers=error.headers,
        outcome=f"error:{error.code or error.kind}",
    )


def _unread(reply: Reply) -> Reply:
    return Reply(content=b"", outcome="client_left", tokens=reply.tokens)


def _respond(call: _Call, reply: Reply) -> Response:
    headers = call.dialect.headers(headers_for(reply, call.started))
    note = call.state.journal.note
    note(
        call.n,
        status=reply.status,
        tokens=reply.tokens,
        outcome=None if reply.events is not None else reply.outcome,
    )
    if reply.events is not None:
        return EventStream(
            reply, headers, call.fault, done=lambda outcome: note(call.n, outcome=outcome)
        )
    content = reply.content if isinstance(reply.content, bytes) else dumps(reply.content)
    return Response(content, reply.status, headers, reply.media_type)

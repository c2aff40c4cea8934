"""Whom a call is for is said around it: what the rows of the calls inside then hold."""

import asyncio
import contextvars
import sys
import types
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from opentelemetry import trace

from modules.llm_services import attribution as room
from modules.llm_services.attribution import attributed, calling_module, trace_ids
from modules.llm_services.public import (
    AttributionMiddleware,
    AttributionValues,
    BatchRequest,
    LLMInputError,
    LLMMessageDTO,
    LLMServicesProvider,
    attribute_requests,
    attribution,
    llm_services_lifespan,
    llm_services_provider,
    open_llm_services,
)
from modules.llm_services.types import Attribution
from sandbox import Sandbox
from tests.support.ledger import rows

HELLO = [LLMMessageDTO(role="user", content="Name a river.")]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
ME = "tests"  # the top-level package of this file: what a call names as its feature by itself


def said() -> dict[str, Any]:
    """What a call made here would carry."""
    known = attributed({})
    return {name: getattr(known, name) for name in Attribution.__dataclass_fields__}


def test_blocks_nest_and_merge() -> None:
    """The inner block wins, contexts are merged by key, and what was outside comes back."""
    user = uuid4()
    before = attributed({})
    with attribution(user_id=user, feature="outer", tenant="acme", context={"a": 1, "b": 1}):
        with attribution(feature="inner", conversation_id="c", user_id=None, context={"b": 2}):
            assert attributed({}) == Attribution(
                user_id=user,
                feature="inner",
                tenant="acme",
                conversation_id="c",
                context={"a": 1, "b": 2},
            )
        assert attributed({}).context == {"a": 1, "b": 1}
    assert attributed({}) == before == Attribution(feature=ME)


def test_what_a_call_says_goes_first() -> None:
    """A call's own words win over those around it, and its context is merged into theirs."""
    own = uuid4()
    with attribution(user_id=uuid4(), feature="around", context={"a": 1, "b": 1}):
        known = attributed({"user_id": own, "feature": "own", "context": {"b": 2}})
    assert (known.user_id, known.feature, known.context) == (own, "own", {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"user_id": "me"}, "user_id"),
        ({"feature": ""}, "feature"),
        ({"tenant": "x" * 65}, "tenant"),
        ({"conversation_id": 7}, "conversation_id"),
        ({"context": {"a": object()}}, "context"),
        ({"traceparent": "00-1-2-3"}, "traceparent"),
        ({"traceparent": 7}, "traceparent"),
    ],
)
def test_a_mistake_is_told_at_the_with(wrong: dict[str, Any], named: str) -> None:
    """The error names the argument, and nothing is set by a block that was never entered."""
    with pytest.raises(LLMInputError, match=f"^{named}"), attribution(**wrong):
        pytest.fail("the block must not run")
    assert attributed({}) == Attribution(feature=ME)


def test_contexts_together_are_bounded() -> None:
    """Two contexts that fit alone may not fit together: the row's cap holds for their sum."""
    half = "x" * 5_000
    with attribution(context={"a": half}):
        with (
            pytest.raises(LLMInputError, match=r"^context is over 8192 bytes"),
            attribution(context={"b": half}),
        ):
            pytest.fail("the block must not run")
        with pytest.raises(LLMInputError, match=r"^context is over 8192 bytes"):
            attributed({"context": {"b": half}})


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        TRACEPARENT.upper().replace("00-", "00-", 1),
    ],
)
def test_a_malformed_trace_is_no_trace(header: str) -> None:
    """What the W3C's Trace Context calls invalid gives no ids."""
    assert trace_ids(header) == {}


def test_a_trace_is_taken_from_its_header() -> None:
    """Also from one of a later version, which may say more."""
    ids = {"trace_id": TRACE, "span_id": SPAN}
    assert trace_ids(TRACEPARENT) == trace_ids(f"cc-{TRACE}-{SPAN}-01-more") == ids
    with attribution(traceparent=TRACEPARENT):
        assert (attributed({}).trace_id, attributed({}).span_id) == (TRACE, SPAN)


def test_the_current_span_goes_before_the_header() -> None:
    """A program that uses OpenTelemetry has the span's ids on its rows, without a word."""
    context = trace.SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False)
    with (
        attribution(traceparent=TRACEPARENT),
        trace.use_span(trace.NonRecordingSpan(context)),
    ):
        known = attributed({})
    assert (known.trace_id, known.span_id) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_opentelemetry_is_never_loaded_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program has not loaded it, or not yet wholly, the header's ids hold."""
    with attribution(traceparent=TRACEPARENT):
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("half"))
        assert attributed({}).trace_id == TRACE
        monkeypatch.delitem(sys.modules, "opentelemetry.trace")
        assert attributed({}).trace_id == TRACE
        assert "opentelemetry.trace" not in sys.modules


async def test_tasks_and_threads_carry_it_on() -> None:
    """A task or thread that is started inside sees it; another task does not."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def elsewhere() -> None:
        with attribution(tenant="theirs"):
            entered.set()
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(elsewhere())
        await entered.wait()
        assert attributed({}).tenant is None
        with attribution(tenant="ours"):
            task = asyncio.create_task(asyncio.sleep(0, said()))
            assert (await task)["tenant"] == "ours"
            assert (await asyncio.to_thread(said))["tenant"] == "ours"
        leave.set()


async def test_an_abandoned_generator_may_be_closed_anywhere() -> None:
    """A block inside a generator that another context closes ends without a word."""

    async def pieces() -> AsyncIterator[int]:
        with attribution(tenant="t"):
            yield 1

    stream = pieces()
    await contextvars.copy_context().run(lambda: asyncio.ensure_future(anext(stream)))
    await stream.aclose()  # type: ignore[attr-defined]
    assert attributed({}).tenant is None


@pytest.mark.parametrize(
    ("module", "feature"),
    [
        ("modules.content_creation.service", "content_creation"),
        ("modules.other", "other"),
        ("modules.llm_services_of_others.x", "llm_services_of_others"),
        ("shop.orders.views", "shop"),
        ("x" * 80, "x" * 64),
        ("asyncio.events", None),
        ("anyio._backends", None),
        ("", None),
    ],
)
def test_the_calling_module_is_the_feature(module: str, feature: str | None) -> None:
    """A sibling is named as it is, anything else by its top level, a mere runner not at all."""
    caller: dict[str, Any] = {"__name__": module, "calling_module": calling_module}
    exec("def call():\n    return calling_module()", caller)  # noqa: S102 - a module by that name
    assert caller["call"]() == feature


@pytest.mark.parametrize(
    ("file", "feature"), [("/srv/nightly_report.py", "nightly_report"), (None, None)]
)
def test_a_script_is_named_by_its_file(
    monkeypatch: pytest.MonkeyPatch, file: str | None, feature: str | None
) -> None:
    """`__main__` says nothing: the script's name does; an interpreter's prompt has none."""
    script = types.ModuleType("__main__")
    script.__dict__.update({"__file__": file} if file else {})
    monkeypatch.setitem(sys.modules, "__main__", script)
    room._feature_of.cache_clear()
    assert room._feature_of("__main__") == feature
    room._feature_of.cache_clear()


async def test_rows_hold_what_was_said_around_the_call(database_url: str, vendor: Sandbox) -> None:
    """Every kind of call takes it over, also one whose arguments are checked in a thread."""
    user = uuid4()
    async with open_llm_services() as llm:
        with attribution(user_id=user, tenant="acme", context={"a": 1}, traceparent=TRACEPARENT):
            await llm.generate_response(HELLO, model="gpt-4o", context={"b": 2})
            async with llm.stream_response(HELLO, model="gpt-4o", tenant="own") as stream:
                async for _ in stream:
                    pass
            await llm.generate_embeddings(["a river"])
            await llm.submit_batch([BatchRequest(messages=HELLO)], model="gpt-4o")
    found = {row["operation"] + ("+" if row["stream"] else ""): row for row in rows()}
    assert {str(UUID(str(row["user_id"]))) for row in found.values()} == {str(user)}
    assert {row["feature"] for row in found.values()} == {ME}
    assert {(row["trace_id"], row["span_id"]) for row in found.values()} == {(TRACE, SPAN)}
    assert found["chat+"]["tenant"] == "own"


async def test_a_coroutine_handed_to_the_loop_was_called_by_nobody(
    database_url: str, vendor: Sandbox
) -> None:
    """Its row has no feature rather than the event loop's name; what is said around it holds."""
    async with open_llm_services() as llm:
        await asyncio.create_task(llm.generate_response(HELLO, model="gpt-4o"))
        with attribution(feature="said"):
            await asyncio.create_task(llm.generate_response(HELLO, model="gpt-4o"))
    assert [row["feature"] for row in rows()] == [None, "said"]


def who(request: HTTPConnection) -> AttributionValues:
    """What an application reads off a request."""
    return {"tenant": request.headers.get("x-tenant"), "context": {"path": request.url.path}}


def _endpoints() -> APIRouter:
    router = APIRouter()

    @router.get("/async")
    async def asynchronous() -> JSONResponse:
        return _told()

    @router.get("/sync")
    def synchronous() -> JSONResponse:
        return _told()

    @router.get("/thread")
    async def thread() -> JSONResponse:
        with ThreadPoolExecutor(1) as pool:
            context = contextvars.copy_context()
            return await asyncio.wrap_future(pool.submit(context.run, _told))

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield bytes(_told().body)

        return StreamingResponse(pieces(), media_type="application/json")

    @router.get("/sync-stream")
    def sync_stream() -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            yield bytes(_told().body)

        return StreamingResponse(pieces(), media_type="application/json")

    return router


def _told() -> JSONResponse:
    known = attributed({})
    return JSONResponse([known.tenant, known.context, known.trace_id])


def _app(kind: str) -> FastAPI:
    app = FastAPI()
    if kind == "middleware":
        app.add_middleware(AttributionMiddleware, read=who)
        app.include_router(_endpoints())
    else:
        app.include_router(_endpoints(), dependencies=[Depends(attribute_requests(who))])
    return app


@pytest.mark.parametrize("path", ["/async", "/sync", "/thread", "/stream", "/sync-stream"])
@pytest.mark.parametrize("kind", ["middleware", "dependency"])
def test_a_request_attributes_its_calls(kind: str, path: str) -> None:
    """Endpoints of every kind see it, while they run and while they stream; the next does not."""
    client = TestClient(_app(kind))
    headers = {"x-tenant": "acme", "traceparent": TRACEPARENT}
    assert client.get(path, headers=headers).json() == ["acme", {"path": path}, TRACE]
    wrong = {"traceparent": "no trace"}
    assert client.get(path, headers=wrong).json() == [None, {"path": path}, None]


def test_the_middleware_alone_takes_over_the_trace() -> None:
    """Without ``read`` only the trace is taken; the application's start is none of its business."""
    app = FastAPI()
    app.add_middleware(AttributionMiddleware)
    app.include_router(_endpoints())
    with TestClient(app) as client:
        told = client.get("/async", headers={"traceparent": TRACEPARENT})
    assert told.json() == [None, None, TRACE]


def test_a_users_mistake_reaches_the_applications_handlers() -> None:
    """What ``read`` lets through and the ledger cannot hold is an error of the request."""
    app = _app("dependency")
    app.add_exception_handler(LLMInputError, lambda *_: JSONResponse("told", status_code=422))
    told = TestClient(app).get("/async", headers={"x-tenant": "x" * 65})
    assert (told.status_code, told.json()) == (422, "told")


def test_a_call_behind_a_route_has_the_requests_attribution(
    database_url: str, vendor: Sandbox
) -> None:
    """From the request's header to the row, with nothing handed down in between."""
    app = FastAPI(lifespan=lambda _app: llm_services_lifespan())
    app.add_middleware(AttributionMiddleware, read=who)

    @app.get("/ask")
    async def ask(llm: LLMServicesProvider = Depends(llm_services_provider)) -> str:
        response, _ = await llm.generate_response(HELLO, model="gpt-4o")
        return response.content

    with TestClient(app) as client:
        told = client.get("/ask", headers={"x-tenant": "acme", "traceparent": TRACEPARENT})
    assert told.status_code == 200
    [row] = rows()
    assert (row["tenant"], row["trace_id"], row["feature"]) == ("acme", TRACE, ME)

"""OpenTelemetry is told of every call what its row says, and no word of what was said."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel
from sqlalchemy import text

from modules.llm_services.public import (
    BatchRequest,
    LLMBudgetExceededError,
    LLMError,
    LLMMessageDTO,
    LLMProviderError,
    LLMRecordingError,
    TextPart,
    attribution,
    open_llm_services,
)
from modules.llm_services.telemetry import Telemetry, names
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import a_call
from tests.support.canary import KEY, WORD, quoting_vendor
from tests.support.ledger import rows
from tests.support.telemetry import Heard, listening

HELLO = [LLMMessageDTO(role="user", content=f"Tell of {WORD}.")]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class River(BaseModel):
    """What may be asked for."""

    name: str


@pytest.fixture
def heard(database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A program with an SDK, a vendor and a ledger."""
    with listening(monkeypatch) as sdk:
        yield sdk


def said(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes."""
    return dict(span.attributes or {})


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Its trace and itself, as the ledger writes them."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def totals(points: Sequence[Any], *by: str) -> dict[Any, float]:
    """What points add up to, by attributes."""
    sums: dict[Any, float] = {}
    for point in points:
        key = tuple(point.attributes.get(name) for name in by)
        amount = point.sum if hasattr(point, "sum") else point.value
        sums[key] = sums.get(key, 0) + amount
    return sums


async def test_a_span_and_its_row_name_each_other(heard: Heard) -> None:
    """The span has the conventions' names and the row's facts; the row has the span's ids."""
    with trace.get_tracer("caller").start_as_current_span("request") as caller:
        async with open_llm_services() as llm:
            _, request_id = await llm.generate_response(
                HELLO, model="gpt-4o", temperature=0.5, max_tokens=64, feature="atlas"
            )
    span, _outer = heard.spans
    [row] = rows()
    assert (row["trace_id"], row["span_id"]) == ids(span)
    assert span.parent is not None
    assert span.parent.span_id == caller.get_span_context().span_id
    assert (span.name, span.kind) == ("chat gpt-4o", SpanKind.CLIENT)
    facts = said(span)
    assert facts[names.REQUEST_ID] == str(request_id)
    assert facts[names.COST] == row["cost_estimate"] > 0
    assert facts["gen_ai.usage.input_tokens"] == row["prompt_tokens"]
    assert facts["gen_ai.usage.output_tokens"] == row["completion_tokens"]
    assert facts["gen_ai.response.finish_reasons"] == (row["finish_reason"],)
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.output.type": "text",
        "server.address": "127.0.0.1",
        "llm_services.feature": "atlas",
        "llm_services.status": "completed",
        "http.response.status_code": 200,
    }
    assert facts | wanted == facts
    assert span.status.status_code is StatusCode.UNSET


async def test_numbers_are_those_of_the_rows(heard: Heard) -> None:
    """Duration, tokens and cost, by the conventions' names and bounds; no user, no row."""
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model="gpt-4o", feature="atlas")
        await llm.generate_embeddings(["sand"], model="text-embedding-3-small", feature="atlas")
        await llm.generate_response(HELLO, model="openai:unheard-of")
    chat, embedding, unpriced = rows()
    by = (names.OPERATION_NAME, names.REQUEST_MODEL, names.TOKEN_TYPE)
    tokens = totals(heard.points(names.TOKEN_USAGE), *by)
    assert tokens["chat", "gpt-4o", "input"] == chat["prompt_tokens"]
    assert tokens["chat", "gpt-4o", "output"] == chat["completion_tokens"]
    assert tokens["embeddings", "text-embedding-3-small", "input"] == embedding["prompt_tokens"]
    cost = totals(heard.points(names.COST_TOTAL), names.FEATURE)
    assert cost == {("atlas",): pytest.approx(chat["cost_estimate"] + embedding["cost_estimate"])}
    assert totals(heard.points(names.UNPRICED), names.REQUEST_MODEL) == {("unheard-of",): 1}
    durations = heard.points(names.OPERATION_DURATION)
    assert {point.explicit_bounds for point in durations} == {names.SECONDS}
    milliseconds = sum(row["execution_time_ms"] for row in (chat, embedding, unpriced))
    assert sum(point.sum for point in durations) == pytest.approx(milliseconds / 1000)
    assert {str(row["id"]) for row in rows()} & set(heard.text().split('"')) <= {
        str(said(span)[names.REQUEST_ID]) for span in heard.spans
    }
    assert heard.points(names.FIRST_CHUNK) == heard.points(names.RETRIES) == []


async def test_a_stream_lasts_until_it_is_settled(heard: Heard) -> None:
    """Its span ends with the row, and what the caller does meanwhile does not lie inside it."""
    async with open_llm_services() as llm:
        async with llm.stream_response(HELLO, model="gpt-4o") as stream:
            assert not trace.get_current_span().get_span_context().is_valid
            async for _ in stream:
                assert heard.spans == []
        async with llm.stream_response(HELLO, model="gpt-4o") as stream:
            async for _ in stream:
                break
    whole, broken = heard.spans
    facts, [row, left] = said(whole), rows()
    assert facts["gen_ai.request.stream"] is True
    first = row["time_to_first_token_ms"] / 1000
    assert facts["gen_ai.response.time_to_first_chunk"] == first
    assert [point.count for point in heard.points(names.FIRST_CHUNK)] == [2]
    assert said(broken)[names.STATUS] == left["status"] == "cancelled"
    assert said(broken)[names.USAGE_SOURCE] == "estimated"
    assert broken.status.status_code is StatusCode.UNSET
    ended = {p.attributes[names.STATUS]: p.count for p in heard.points(names.OPERATION_DURATION)}
    assert ended == {"completed": 1, "cancelled": 1}
    counted = totals(heard.points(names.TOKEN_USAGE), names.TOKEN_TYPE)
    assert counted["input",] == row["prompt_tokens"]  # an estimate is no count


async def test_each_of_several_requests_has_a_span(heard: Heard) -> None:
    """Retries lie inside the call's span, with what became of them."""
    model = "openai:gpt-4o:status=429,retry_after_ms=1,times=2"
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model=model)
    *attempts, call = heard.spans
    assert [span.name for span in attempts] == ["attempt 1", "attempt 2", "attempt 3"]
    assert {span.parent.span_id for span in attempts if span.parent} == {int(ids(call)[1], 16)}
    types = [said(span).get("error.type") for span in attempts]
    assert types == ["RateLimited", "RateLimited", None]
    codes = [said(span)["http.response.status_code"] for span in attempts]
    assert codes == [429, 429, 200]
    assert [span.status.is_ok for span in attempts] == [False, False, True]
    assert totals(heard.points(names.RETRIES)) == {(): 2}


async def test_parts_are_no_retries(heard: Heard) -> None:
    """A call that is made of several requests repeats none of them."""
    async with open_llm_services() as llm:
        await llm.search_web(["rivers", "deltas"])
    *parts, call = heard.spans
    assert sorted(said(span)[names.ATTEMPT_PART] for span in parts) == [*range(1, len(parts) + 1)]
    assert said(call)[names.ATTEMPTS] == len(parts) > 1
    assert heard.points(names.RETRIES) == []


async def test_an_error_is_its_type(heard: Heard) -> None:
    """Status, class and HTTP status; the words stay with the row, for they may quote."""
    async with open_llm_services() as llm:
        with pytest.raises(LLMProviderError):
            await llm.generate_response(HELLO, model="openai:gpt-4o:status=500", max_retries=0)
    [span] = heard.spans
    assert (said(span)["error.type"], said(span)["http.response.status_code"]) == (
        "ProviderError",
        500,
    )
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ProviderError")
    [point] = heard.points(names.OPERATION_DURATION)
    assert point.attributes["error.type"] == "ProviderError"


async def test_an_answer_from_the_cache_took_nothing(heard: Heard) -> None:
    """It says where it comes from and what it saved, and counts no tokens twice."""
    async with open_llm_services() as llm:
        for _ in range(2):
            await llm.generate_response(HELLO, model="gpt-4o", cache=True)
    paid, hit = rows()
    facts = said(heard.spans[1])
    assert (facts[names.CACHED], facts[names.COST]) == (True, 0)
    assert facts[names.CACHED_FROM].replace("-", "") == str(paid["id"]).replace("-", "")
    assert totals(heard.points(names.SAVED_TOTAL)) == {(): pytest.approx(hit["saved_cost"])}
    assert totals(heard.points(names.TOKEN_USAGE)) == {(): paid["tokens_used"]}
    durations = {
        p.attributes[names.CACHED]: p.count for p in heard.points(names.OPERATION_DURATION)
    }
    assert durations == {False: 1, True: 1}


async def test_every_kind_has_its_word(heard: Heard) -> None:
    """Well-known values where there are some; ours beside them."""
    async with open_llm_services() as llm:
        await llm.generate_structured_response(HELLO, River, model="gpt-4o")
        await llm.generate_image("a river")
        await llm.search_web(["rivers"])
    words = [
        tuple(
            said(span).get(name) for name in (names.OPERATION_NAME, names.KIND, names.OUTPUT_TYPE)
        )
        for span in heard.spans
        if names.KIND in said(span)
    ]
    assert words == [
        ("chat", "structured", "json"),
        ("generate_content", "image", "image"),
        ("chat", "search", "text"),
    ]


async def test_no_word_is_told_unless_it_is_asked_for(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither prompts, answers, parameters, keys nor errors are in any signal."""
    monkeypatch.setenv("MAX_RETRIES", "0")
    with quoting_vendor() as url:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        for path in ("400/v1", "odd/v1", "page/v1"):
            monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/{path}")
            async with open_llm_services() as llm:
                with pytest.raises(LLMError):
                    await llm.generate_response(HELLO, stop=[WORD], metadata={"who": WORD})
    assert len(heard.spans) == 3
    assert not [one for one in (WORD, KEY, "Tell of") if one in heard.text()]


async def test_content_is_what_the_ledger_keeps(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LLM_TELEMETRY_CONTENT, messages in the conventions' form, cleaned like the row."""
    monkeypatch.setenv("LLM_TELEMETRY_CONTENT", "true")
    monkeypatch.setenv("LLM_PAYLOAD_MODE", "redacted")
    parts = [TextPart(text="Write to canary.person@example.com"), TextPart(text="now")]
    asked = [
        LLMMessageDTO(role="system", content="Be brief."),
        LLMMessageDTO(role="user", content=parts),
    ]
    async with open_llm_services() as llm:
        await llm.generate_response(asked, model="gpt-4o")
        await llm.generate_response(asked, model="gpt-4o", payload_mode="none")
    kept, withheld = map(said, heard.spans)
    [system, user] = json.loads(kept["gen_ai.input.messages"])
    assert system == {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    assert [part["type"] for part in user["parts"]] == ["text", "text"]
    assert "canary.person" not in heard.text()
    [answer] = json.loads(kept["gen_ai.output.messages"])
    assert answer["parts"][0]["content"] == rows()[0]["response_content"]
    assert answer["finish_reason"] == rows()[0]["finish_reason"]
    assert not {"gen_ai.input.messages", "gen_ai.output.messages"} & withheld.keys()


async def test_tools_and_files_are_parts(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of tools, their results and files have the conventions' form; an answer that did not
    come has none.
    """
    from modules.llm_services.telemetry.content import answer, prompt

    call = {"id": "c1", "name": "look", "arguments": {"at": "rivers"}}
    picture = {"type": "image", "omitted": True, "media_type": "image/png"}
    messages = [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "wide", "tool_call_id": "c1"},
        {"role": "user", "content": [picture]},
    ]
    said = prompt({"payload_state": "full", "messages": messages})
    assert [one["parts"] for one in json.loads(str(said[names.INPUT_MESSAGES]))] == [
        [{"type": "text", "content": ""}, {"type": "tool_call", **call}],
        [{"type": "tool_call_response", "id": "c1", "result": "wide"}],
        [picture],
    ]
    cut = {"payload_state": "full", "response_content": "so f", "finish_reason": None}
    [told] = json.loads(str(answer(cut)[names.OUTPUT_MESSAGES]))
    assert told == {"role": "assistant", "parts": [{"type": "text", "content": "so f"}]}
    assert answer({**cut, "response_content": None}) == {}


async def test_a_cancelled_call_is_no_error(heard: Heard) -> None:
    """Its span ends with its row, as cancelled."""
    async with open_llm_services() as llm:
        call = asyncio.create_task(llm.generate_response(HELLO, model="openai:gpt-4o:slow=60"))
        while not rows():  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.01)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
    [span], [row] = heard.spans, rows()
    assert said(span)[names.STATUS] == row["status"] == "cancelled"
    assert said(span)[names.MAYBE_PAID] == bool(row["maybe_paid"])
    assert span.status.status_code is StatusCode.UNSET


async def test_a_call_that_is_refused_has_a_span_all_the_same(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its budget has no room, and it has a row, or nothing takes the row."""
    monkeypatch.setenv("LLM_BUDGETS", '[{"scope": "all", "period": "day", "tokens": 1}]')
    async with open_llm_services() as llm:
        with pytest.raises(LLMBudgetExceededError):
            await llm.generate_response(HELLO, model="gpt-4o")
    monkeypatch.delenv("LLM_BUDGETS")
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE llm_requests RENAME TO elsewhere"))
    async with open_llm_services() as llm:
        with pytest.raises(LLMError):
            await llm.generate_response(HELLO, model="gpt-4o")
    spans = [said(span) for span in heard.spans]
    assert [span["error.type"] for span in spans] == [
        "BudgetExceeded",
        LLMRecordingError.error_type,
    ]
    counted = totals(heard.points(names.OPERATION_DURATION), names.ERROR_TYPE).keys()
    assert counted == {("BudgetExceeded",), (LLMRecordingError.error_type,)}


async def test_what_is_answered_from_another_row_has_no_span(heard: Heard) -> None:
    """One row, one span: the second call with a key opened no row."""
    async with open_llm_services() as llm:
        for _ in range(2):
            await llm.generate_response(HELLO, model="gpt-4o", idempotency_key="k-1")
    assert len(heard.spans) == len(rows()) == 1


async def test_a_traceparent_is_a_parent(heard: Heard) -> None:
    """Where no span is current, the one that the caller's header names goes above ours."""
    async with open_llm_services() as llm:
        with attribution(traceparent=f"00-{TRACE}-{PARENT}-01"):
            await llm.generate_response(HELLO, model="gpt-4o")
    [span], [row] = heard.spans, rows()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT
    assert (row["trace_id"], row["span_id"]) == ids(span) == (TRACE, row["span_id"])


async def test_a_batch_counts_when_it_is_collected(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens, cost and the log know it; a span of hours would help nobody."""
    monkeypatch.setenv("LLM_LOG_REQUESTS", "true")
    caplog.set_level(logging.INFO, "modules.llm_services.calls")
    async with open_llm_services() as llm:
        batch = await llm.submit_batch([BatchRequest(messages=HELLO)] * 2, model="gpt-4o")
        while not (await llm.batch_status(batch.id)).ended:  # noqa: ASYNC110 - the vendor's
            await asyncio.sleep(0.01)
        async for _ in llm.collect_batch(batch.id):
            pass
    assert heard.spans == []
    assert totals(heard.points(names.COST_TOTAL)) == {
        (): pytest.approx(sum(row["cost_estimate"] for row in rows()))
    }
    assert len([record for record in caplog.records if "request_id=" in record.message]) == 2


async def test_the_log_has_fields(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One event for each call on a logger of its own, with facts and the span's ids as fields."""
    monkeypatch.setenv("LLM_LOG_REQUESTS", "true")
    caplog.set_level(logging.INFO, "modules.llm_services.calls")
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model="gpt-4o", tenant="acme")
    [event] = [one for one in caplog.records if one.name == "modules.llm_services.calls"]
    [row] = rows()
    fields = vars(event)
    assert (fields["trace_id"], fields["span_id"]) == ids(heard.spans[0])
    assert (fields["cost"], fields["tokens"]) == (row["cost_estimate"], row["tokens_used"])
    assert (fields["status"], fields["tenant"]) == ("completed", "acme")
    assert WORD not in str(fields)


async def test_it_can_be_switched_off(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """With LLM_TELEMETRY=false nothing is said, and the row has the caller's span."""
    monkeypatch.setenv("LLM_TELEMETRY", "false")
    with trace.get_tracer("caller").start_as_current_span("request") as caller:
        async with open_llm_services() as llm:
            await llm.generate_response(HELLO, model="gpt-4o")
    assert [span.name for span in heard.spans] == ["request"]
    assert rows()[0]["span_id"] == f"{caller.get_span_context().span_id:016x}"


async def test_numbers_alone(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has set up metrics and no traces gets metrics; the row has no span's ids."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    model = "openai:gpt-4o:status=429,retry_after_ms=1,times=1"
    async with open_llm_services() as llm:
        await llm.generate_response(HELLO, model=model)
    assert heard.spans == []
    assert rows()[0]["trace_id"] is None
    assert totals(heard.points(names.RETRIES)) == {(): 1}


async def test_the_current_span_is_the_calls(heard: Heard) -> None:
    """What an HTTP client says lies inside the call's span; a late outcome is not told."""
    from modules.llm_services.telemetry.observation import Observation

    call = a_call()
    observed = Telemetry(endpoints={"openai": "https://host/v1"}).observe(call)
    assert isinstance(observed, Observation)
    with observed:
        inside = f"{trace.get_current_span().get_span_context().span_id:016x}"
    assert inside == observed.call.attribution.span_id
    observed.settled({})
    elsewhere = Telemetry().observe(call)
    assert elsewhere is not None
    with elsewhere:
        pass
    known, unknown = map(said, heard.spans)
    assert (known["server.address"], known["server.port"]) == ("host", 443)
    assert "server.address" not in unknown
    assert known["error.type"] == "Cancelled"  # it came to have no row


def test_without_an_sdk_there_is_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API alone, or nothing at all: no span is made, and the API is not loaded by us."""
    from opentelemetry.metrics import _internal as metrics

    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics, "_METER_PROVIDER", None)
    assert Telemetry().observe(a_call()) is None
    room = Telemetry()
    room.settled_late(a_call(), {})
    assert room.observe(a_call()) is None  # looks again in a second
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert Telemetry().observe(a_call()) is None
    code = "import sys, modules.llm_services.wiring; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


@pytest.mark.usefixtures("database_url")
def test_the_names_are_the_conventions() -> None:
    """Whatever is not ours is a constant of OpenTelemetry's own package."""
    published = {
        value
        for module in (
            gen_ai_attributes,
            gen_ai_metrics,
            error_attributes,
            http_attributes,
            server_attributes,
        )
        for value in vars(module).values()
        if isinstance(value, str)
    }
    said = {value for value in vars(names).values() if isinstance(value, str)}
    said |= {*names.METRICS, *names.PARAMETERS.values(), *names.USAGE.values()}
    named = {one for one in said if one.startswith(("gen_ai.", "server.", "http.", "error."))}
    assert named - published == {"gen_ai.usage.cost"}
    assert set(names.OPERATIONS.values()) <= {
        one.value for one in gen_ai_attributes.GenAiOperationNameValues
    }
    known = {one.value for one in gen_ai_attributes.GenAiProviderNameValues}
    assert set(names.PROVIDERS.values()) - known == {"moonshot_ai"}  # younger than the package

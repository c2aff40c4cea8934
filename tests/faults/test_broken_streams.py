"""Streams that say something wrong, or end in the wrong way: events, not connections."""

import json
from collections.abc import Sequence

import pytest

from modules.llm_services.public import TextDelta, open_llm_services
from tests.faults import answers, network
from tests.faults.kinds import HOUSE, RIVERS, STREAMS
from tests.faults.promises import SENTINEL, run_all
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.test_network import ANSWER, BAD, each, on_sqlite, stories

both_formats = pytest.mark.parametrize("model", ["gpt-4o", HOUSE], ids=["responses", "chat"])
CUT = ("LLMStreamCutError", "StreamCut", 1, True)
MIDDLE = 3


def after_half(name: str, said: bytes) -> Fault:
    """Half of the events, then something else, and the end."""
    return answers.events(name, lambda events: [*events[: len(events) // 2], said])


def failing(event: dict[str, object]) -> Fault:
    """The first events, then one that reports a failure."""
    return after_half("failing", b"event: error\ndata: " + json.dumps(event).encode())


ERROR = {"message": "the model is overloaded", "code": "server_error"}


@each(
    after_half("broken", b"data: {broken"),
    after_half("number", b"data: 5"),
    after_half("utf8", b'data: {"type": "response.output_text.delta", "delta": "\xff\xfe"}'),
    after_half("deep", b"data: " + b"[" * 50_000),
)
async def test_an_event_that_is_no_json_ends_the_stream(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """The text that was shown stays in the row; what it took is estimated, and marked so."""
    proxy.arm(fault)
    for name, end in (await run_all(STREAMS, proxy)).items():
        assert end.story == (*BAD, 1, True), name
        assert end.error is not None
        assert end.row["response_content"] == end.error.partial_text
        assert end.row["usage_source"] == "estimated", name


@on_sqlite
@each(failing({"type": "error", **ERROR, "error": ERROR}))
async def test_a_failure_within_a_stream(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """An error event is the provider's error, after some text not tried again."""
    proxy.arm(fault)
    for name, end in (await run_all(STREAMS, proxy)).items():
        assert end.story == ("LLMProviderError", "ProviderError", 1, True), name
        assert "overloaded" in end.row["error_message"], name


@on_sqlite
async def test_a_failure_within_a_stream_that_quotes_the_key(
    proxy: FaultProxy, database_url: str
) -> None:
    """Nor does an event pass the key on."""
    quoted = {"message": f"Incorrect API key: {SENTINEL}", "code": "invalid_api_key"}
    proxy.arm(failing({"type": "error", **quoted, "error": quoted}))
    assert all(end.error for end in (await run_all(STREAMS, proxy)).values())


@on_sqlite
async def test_a_failure_before_the_first_piece_is_tried_again(
    proxy: FaultProxy, database_url: str
) -> None:
    """Nothing was shown yet, so nothing is shown twice."""
    event = json.dumps({"type": "error", **ERROR, "error": ERROR}).encode()
    proxy.arm(answers.events("error_first", lambda _: [b"data: " + event]), times=1)
    ended = await run_all(STREAMS, proxy)
    assert {(e.story[0], len(e.attempts)) for e in ended.values()} == {("answer", 2)}


@each(
    answers.events("cut", lambda events: events[:-3]),
    answers.events("cut_early", lambda events: events[:MIDDLE]),
)
async def test_a_stream_that_ends_too_soon(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """An end between two events is quiet, and yet no end of the answer."""
    proxy.arm(fault)
    for name, end in (await run_all(STREAMS, proxy)).items():
        assert end.story[:2] == CUT[:2], name
        assert end.story[3] is True, name


def _without_done(events: Sequence[bytes]) -> Sequence[bytes]:
    return [event for event in events if b"[DONE]" not in event]


@on_sqlite
@each(
    answers.events("no_done", _without_done),
    answers.events("comments", lambda events: [b": ping", *events, b": ping"]),
    answers.events("unknown", lambda e: [e[0], b'event: new\ndata: {"type": "new"}', *e[1:]]),
    answers.events("done_hang", lambda events: events, hang=True),
)
async def test_an_unusual_stream_is_a_whole_answer(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """No ``[DONE]``, pings, events of tomorrow, a connection that stays open: all is well."""
    proxy.arm(fault)
    assert stories(await run_all(STREAMS, proxy)) == {k.name: ANSWER for k in STREAMS}


@on_sqlite
@both_formats
async def test_a_stream_that_comes_in_crumbs(
    model: str, proxy: FaultProxy, database_url: str
) -> None:
    """Where the network cuts, through letters and line ends, changes nothing."""
    said = []
    for fault in (network.drip(400, 0), network.latency(0)):
        proxy.arm(fault)
        async with (
            open_llm_services() as llm,
            llm.stream_response(RIVERS, model=model) as stream,
        ):
            said.append("".join([p.text async for p in stream if isinstance(p, TextDelta)]))
    assert said[0] == said[1] != ""


@on_sqlite
async def test_who_leaves_early_leaves_no_connection(proxy: FaultProxy, database_url: str) -> None:
    """A stream that is not read to its end is cancelled, and its connection let go of."""
    proxy.arm(network.stall_after(0.5))
    async with open_llm_services() as llm:
        async with llm.stream_response(RIVERS, model="gpt-4o") as stream:
            await anext(aiter(stream))
        async with llm.stream_response(RIVERS, model="gpt-4o") as unread:
            pass
        kept = [llm.get_request(s.request_id) for s in (stream, unread)]
        assert proxy.open_connections == 0
    assert [row and row.status for row in kept] == ["cancelled", "cancelled"]
    assert all(row and row.maybe_paid for row in kept)


@on_sqlite
async def test_a_stream_has_a_limit_too(
    proxy: FaultProxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream without end does not fill the memory: it is cut, with an error."""
    monkeypatch.setenv("LLM_PROVIDERS__OPENAI__REPLY_MAX_MB", "2")  # goes before the other
    monkeypatch.setenv("LLM_REPLY_MAX_MB", "1")
    proxy.arm(after_half("long", b": ping\n" * 300_000))
    ended = await run_all(STREAMS, proxy)
    assert stories(ended) == {k.name: (*BAD, 1, True) for k in STREAMS}
    limits = {"stream": 2, "stream of chat": 1, "stream of an object": 2}
    for name, end in ended.items():
        assert f"over the limit of {limits[name]} MB" in end.row["error_message"], name

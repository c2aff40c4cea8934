"""A success is not yet an answer, and a failure is told by its status: for every kind of call."""

import asyncio
import gc
from datetime import datetime
from itertools import pairwise
from typing import TypedDict

import pytest

from modules.llm_services.public import (
    LLMBadResponseError,
    LLMProviderError,
    LLMRateLimitError,
    open_llm_services,
)
from tests.faults import answers
from tests.faults.kinds import KINDS, RIVERS, STREAMS
from tests.faults.promises import run_all
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.test_network import BAD, BROKEN, each, on_sqlite, paid_once, stories


class Headers(TypedDict, total=False):
    """How long a provider wants to be left alone."""

    retry_after: str
    retry_after_ms: str


PROVIDER = ("LLMProviderError", "ProviderError")


@on_sqlite
@each(*(answers.garbage(name) for name in answers.GARBAGE))
async def test_garbage_is_no_answer(fault: Fault, proxy: FaultProxy, database_url: str) -> None:
    """Whatever a 200 holds: a typed error, asked for once more, perhaps paid, its body kept."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*BAD, paid_once(k), True) for k in KINDS}
    for name, end in ended.items():
        assert end.row["http_status"] == 200, name
        assert len(str(end.row["response_raw"] or "")) < 5_000, name


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.postgresql
@each(*(answers.garbage(name) for name in ("noise", "bad_utf8", "infinity")))
async def test_garbage_is_stored_by_postgresql(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """NUL bytes, broken UTF-8 and numbers that are none: the row is written all the same."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*BAD, paid_once(k), True) for k in KINDS}


@on_sqlite
@each(*(answers.garbage(name, "text/event-stream") for name in ("empty", "noise", "object")))
async def test_a_stream_of_garbage_is_no_answer(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """No event, no answer: nothing was shown yet, so it may be asked for again."""
    proxy.arm(fault)
    cut = ("LLMStreamCutError", "StreamCut", 2, True)
    assert stories(await run_all(STREAMS, proxy)) == {k.name: cut for k in STREAMS}


@on_sqlite
@each(answers.gzip_of_gzip(), answers.broken_gzip(), answers.cut_gzip())
async def test_a_body_that_cannot_be_unpacked(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """Packed in a way that was not asked for, not at all, or not to the end."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*BAD, paid_once(k), True) for k in KINDS}


@on_sqlite
@each(answers.big(2**21), answers.endless(), answers.gzip_bomb(2**21))
async def test_a_body_over_the_limit_is_refused(
    fault: Fault, proxy: FaultProxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts are the bytes that come out. It is not asked for again: it would be as large."""
    monkeypatch.setenv("LLM_REPLY_MAX_MB", "1")
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*BAD, 1, True) for k in KINDS}
    assert all(
        "limit of 1 MB (LLM_REPLY_MAX_MB)" in end.row["error_message"] for end in ended.values()
    )


@on_sqlite
async def test_a_bomb_does_not_fill_the_memory(proxy: FaultProxy, database_url: str) -> None:
    """Of 268 MB that came as 260 kB no more than the limit is ever in the memory."""
    gc.collect()
    before = peak_of_memory()
    proxy.arm(answers.gzip_bomb(2**28))
    async with open_llm_services() as llm:
        with pytest.raises(LLMBadResponseError, match="over the limit of 64 MB"):
            await llm.generate_response(RIVERS, model="gpt-4o")
    assert peak_of_memory() - before < 2.5 * 64_000_000


def peak_of_memory() -> int:
    """The most bytes that this process has had in memory so far."""
    with open("/proc/self/status", encoding="ascii") as status:
        [line] = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@on_sqlite
@each(answers.gzip_bomb(2**26, 500), answers.big(2**23, 500), answers.endless(500))
async def test_the_body_of_a_failure_is_cut_short(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """Nobody needs all of it: the status says enough, and nothing of it is read for long."""
    proxy.arm(fault)
    assert stories(await run_all(KINDS, proxy)) == {k.name: (*PROVIDER, 2, False) for k in KINDS}


@on_sqlite
async def test_a_failure_that_breaks_off_is_still_that_failure(
    proxy: FaultProxy, database_url: str
) -> None:
    """The status has come: the rest of the explanation would change nothing."""
    proxy.arm(answers.cut_status(401))
    refused = ("LLMAuthenticationError", "Authentication", 1, False)
    assert stories(await run_all(KINDS, proxy)) == {k.name: refused for k in KINDS}


@on_sqlite
@each(answers.huge_header(), answers.not_http())
async def test_what_is_no_http_is_a_broken_connection(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """A head of a megabyte, or another protocol."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*BROKEN, paid_once(k), True) for k in KINDS}


STATUSES: dict[int, tuple[str, str, int, bool]] = {
    **dict.fromkeys((302, 304, 307, 308), (*BAD, 1, False)),
    **dict.fromkeys((400, 413, 422), ("LLMBadRequestError", "BadRequest", 1, False)),
    401: ("LLMAuthenticationError", "Authentication", 1, False),
    402: ("LLMQuotaExceededError", "QuotaExceeded", 1, False),
    403: ("LLMPermissionError", "PermissionDenied", 1, False),
    404: ("LLMNotFoundError", "NotFound", 1, False),
    **dict.fromkeys((408, 504), (*PROVIDER, 2, True)),
    **dict.fromkeys((409, 425, 500, 502, 503, 529), (*PROVIDER, 2, False)),
    429: ("LLMRateLimitError", "RateLimited", 2, False),
}


@on_sqlite
@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_says_what_to_do(status: int, proxy: FaultProxy, database_url: str) -> None:
    """Its error, whether it is tried again, whether an answer may exist: the same for all kinds."""
    body = b"" if status == 304 else None  # such an answer never has one
    proxy.arm(answers.status(status, body=body, x_request_id="req-17"))
    ended = await run_all(KINDS, proxy)
    name, error_type, tries, paid = STATUSES[status]
    for kind in KINDS:
        made = 1 if kind.costly and paid else tries + (kind.in_words and status in {400, 422})
        assert ended[kind.name].story == (name, error_type, made, paid), kind.name
        assert {a["http_status"] for a in ended[kind.name].attempts} == {status}, kind.name
        assert ended[kind.name].row["provider_request_id"] == "req-17", kind.name


@on_sqlite
@pytest.mark.parametrize(
    ("status", "told", "tries"), [(500, "false", 1), (400, "true", 2), (429, "false", 1)]
)
async def test_the_provider_says_whether_to_try_again(
    status: int, told: str, tries: int, proxy: FaultProxy, database_url: str
) -> None:
    """``x-should-retry`` goes before what the status would mean."""
    proxy.arm(answers.status(status, x_should_retry=told))
    ended = await run_all(KINDS, proxy)
    assert {name: len(end.attempts) for name, end in ended.items()} == {
        kind.name: tries for kind in KINDS
    }


@on_sqlite
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "1"}, 1.0),
        ({"retry_after_ms": "300"}, 0.3),
        ({"retry_after_ms": "300", "retry_after": "9"}, 0.3),
    ],
    ids=str,
)
async def test_the_provider_says_how_long_to_wait(
    headers: Headers, seconds: float, proxy: FaultProxy, database_url: str
) -> None:
    """No request goes out before the time that the provider names, in seconds or milliseconds."""
    proxy.arm(answers.status(429, **headers), times=1)
    for end in (await run_all(KINDS, proxy)).values():
        assert end.story == ("answer", None, 2, False), end.kind.name
        began = [datetime.fromisoformat(a["started_at"]).timestamp() for a in end.attempts]
        assert all(later - sooner >= seconds - 0.01 for sooner, later in pairwise(began))


@on_sqlite
@pytest.mark.parametrize("said", ["0", "-5", "nan", "1e99", "soon", ""])
async def test_a_wait_that_makes_no_sense_is_not_waited(
    said: str, proxy: FaultProxy, database_url: str
) -> None:
    """Nonsense counts as silence: the usual backoff."""
    proxy.arm(answers.status(429, retry_after=said), times=1)
    async with open_llm_services() as llm:
        response, _ = await llm.generate_response(RIVERS, model="gpt-4o")
    assert response.attempts == 2


@on_sqlite
@pytest.mark.parametrize("headers", [{"retry_after": "60"}, {"retry_after_ms": "60000"}], ids=str)
async def test_a_wait_beyond_the_deadline_is_not_begun(
    headers: Headers, proxy: FaultProxy, database_url: str
) -> None:
    """The error comes at once and says how long the provider wants to be left alone."""
    proxy.arm(answers.status(429, **headers))
    async with open_llm_services() as llm, asyncio.timeout(20):
        with pytest.raises(LLMRateLimitError) as caught:
            await llm.generate_response(RIVERS, model="gpt-4o")
    assert caught.value.retry_after == 60
    assert len(proxy.requests) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>" + b"busy " * 10_000, "text/html"),
        (b"upstream connect error", "text/plain"),
        (b'{"type": "about:blank", "title": "Down", "detail": "busy"}', "application/problem+json"),
        (b'{"detail": "busy"}', "application/json"),
        (b"", "application/json"),
        (b"\xff\x00\xfe" * 5_000, "application/json; charset=utf-16"),
        (b"busy", "text/plain; charset=no-such-thing"),
        (b"[" * 100_000, "application/json"),
    ],
    ids=lambda value: str(value[:12]),
)
async def test_a_failure_explains_itself_in_its_own_way(
    body: bytes, content_type: str, proxy: FaultProxy, database_url: str
) -> None:
    """Web pages and worse behind a 503 stay short, and out of the message."""
    proxy.arm(answers.status(503, body=body, content_type=content_type))
    async with open_llm_services() as llm:
        with pytest.raises(LLMProviderError, match=r"^HTTP 503") as caught:
            await llm.generate_response(RIVERS, model="gpt-4o")
    assert len(caught.value.message) <= 600
    assert "<" not in caught.value.message
    assert len(caught.value.response_body or "") <= 2_000


@on_sqlite
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(code: int, proxy: FaultProxy, database_url: str) -> None:
    """Neither the prompt nor the key goes where a reply points to: nothing arrives there."""
    with FaultProxy(proxy.base_url) as elsewhere:
        proxy.arm(answers.redirect(code, f"{elsewhere.base_url}/responses"))
        ended = await run_all(KINDS, proxy)
        assert (elsewhere.asked, elsewhere.connections) == (0, 0)
    assert stories(ended) == {k.name: (*BAD, 1, False) for k in KINDS}


@on_sqlite
@pytest.mark.parametrize("code", [200, 400, 401, 429, 500])
async def test_a_provider_that_quotes_the_key(
    code: int, proxy: FaultProxy, database_url: str
) -> None:
    """Replies that hold our own headers: errors, tracebacks, rows and logs do not pass it on."""
    proxy.arm(answers.echo(code))
    ended = await run_all(KINDS, proxy)
    assert all(end.error is not None for end in ended.values())

"""Whatever a network does: one final row, one entry for each request, nothing paid twice unseen."""

import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from modules.llm_services.ids import uuid7
from modules.llm_services.public import (
    LLMConnectionError,
    LLMServicesProvider,
    open_llm_services,
)
from tests.faults import network
from tests.faults.kinds import KINDS, RIVERS, STREAMS, WHOLE, Kind
from tests.faults.promises import Ended, run_all
from tests.faults.proxy import CLEAN, Exchange, Fault, FaultProxy, wait_for
from tests.faults.wire import read_request
from tests.llm_services.test_recording import until
from tests.support.ledger import rows

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BROKEN = ("LLMConnectionError", "Connection")
LATE = ("LLMTimeoutError", "Timeout")
BAD = ("LLMBadResponseError", "BadResponse")
ANSWER = ("answer", None, 1, False)


def each(*faults: Fault) -> pytest.MarkDecorator:
    """A test for each fault."""
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


def stories(ended: dict[str, Ended]) -> dict[str, Any]:
    """How each kind of call ended."""
    return {name: end.story for name, end in ended.items()}


def paid_once(kind: Kind) -> int:
    """Requests of a call with one retry after something that may have been paid."""
    return 1 if kind.costly else 2


async def test_without_a_fault_every_kind_is_answered(proxy: FaultProxy, database_url: str) -> None:
    """The table of kinds is sound, and the proxy changes nothing that it is not told to."""
    assert stories(await run_all(KINDS, proxy)) == dict.fromkeys((k.name for k in KINDS), ANSWER)


async def test_the_row_is_there_when_the_request_arrives(
    proxy: FaultProxy, database_url: str
) -> None:
    """Committed as pending, where the process may die from now on."""
    found: list[str | None] = []

    def look(talk: Exchange) -> None:
        assert talk.request is not None
        known = {str(UUID(str(row["id"]))): row["status"] for row in rows()}
        found.append(known.get(str(talk.request.call_id)))
        talk.send(talk.forward().raw)

    proxy.arm(Fault(name="look", act=look))
    await run_all(KINDS, proxy)
    assert found == ["pending"] * len(proxy.requests)
    assert len(found) == len(KINDS)


@on_sqlite
@each(
    network.accept_close(),
    network.drop_reply(),
    network.reset_reply(),
    network.close_in_head(),
)
async def test_a_connection_that_breaks_before_the_answer(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """It is tried again, except where an answer costs too much to be paid for twice."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*BROKEN, paid_once(k), True) for k in KINDS}


@on_sqlite
async def test_a_connection_that_is_reset_at_once(proxy: FaultProxy, database_url: str) -> None:
    """Whether anything was sent depends on who was quicker: the row says what is true."""
    proxy.arm(network.accept_reset())
    for name, end in (await run_all(KINDS, proxy)).items():
        assert end.story[:2] == BROKEN, name
        unpaid = [not attempt["maybe_paid"] for attempt in end.attempts]
        assert all(unpaid[:-1]) or not end.kind.costly, name
        assert len(end.attempts) == 2 or (end.kind.costly and unpaid == [False]), name


@each(network.close_after(0.5), network.reset_after(0.5))
async def test_an_answer_that_breaks_off(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """A whole answer is asked for again; a stream that has begun is not, and keeps its text."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    tries = {k.name: 1 if k.streamed else paid_once(k) for k in KINDS}
    assert stories(ended) == {name: (*BROKEN, tries[name], True) for name in tries}
    for kind in STREAMS:
        row, error = ended[kind.name].row, ended[kind.name].error
        assert error is not None
        assert row["response_content"] == error.partial_text
        assert row["response_content"]
        assert row["usage_source"] == "estimated"
        assert row["http_status"] == 200
    assert all(end.row["provider_request_id"] for end in ended.values())


@on_sqlite
@each(network.chunk_cut(), network.length(+50))
async def test_a_body_that_is_shorter_than_it_says(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """An answer that is not whole is none, although what has come may look like one."""
    proxy.arm(fault)
    ended = await run_all(WHOLE, proxy)
    assert stories(ended) == {k.name: (*BROKEN, paid_once(k), True) for k in WHOLE}


@on_sqlite
@each(
    network.blackhole(),
    network.blackhole_reply(),
    network.stall_after(0),
    network.stall_after(0.5),
    network.drip_for_ever(),
)
async def test_silence_ends_at_the_deadline(
    fault: Fault, proxy: FaultProxy, database_url: str, impatient: None
) -> None:
    """The deadline is the call's, not that of a single read, and what was sent may be paid."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {k.name: (*LATE, 1, True) for k in KINDS}


@on_sqlite
@each(network.drip(10, 0.02), network.latency(0.3), network.keepalive_kill())
async def test_a_slow_or_forgetful_network_is_no_failure(
    fault: Fault, proxy: FaultProxy, database_url: str
) -> None:
    """Answers that take their time, and connections that end between two calls."""
    proxy.arm(fault)
    for _ in range(2):
        ended = await run_all(KINDS, proxy)
        assert stories(ended) == dict.fromkeys((k.name for k in KINDS), ANSWER)
        proxy.arm(fault)


@on_sqlite
@each(network.drop_reply(), network.reset_reply(), network.close_after(0.5))
async def test_what_passes_is_survived(fault: Fault, proxy: FaultProxy, database_url: str) -> None:
    """The second request is answered; the row holds both, and that the first may be paid."""
    proxy.arm(fault, times=1)
    kinds = [kind for kind in WHOLE if not kind.costly]
    for end in (await run_all(kinds, proxy)).values():
        assert end.story == ("answer", None, 2, True), end.kind.name
        assert [a["outcome"] for a in end.attempts] == ["Connection", "answered"]
        assert [a["maybe_paid"] for a in end.attempts] == [True, False]


@on_sqlite
async def test_nobody_listens(proxy: FaultProxy, database_url: str) -> None:
    """Refused connections cost nothing: every kind is tried again, and nothing is marked paid."""
    proxy.refuse()
    async with open_llm_services() as llm:
        for kind in KINDS:
            with pytest.raises(
                LLMConnectionError, match=r"no connection to 127\.0\.0\.1"
            ) as caught:
                await kind.ask(llm)
            assert caught.value.maybe_billed is False
            row = llm.get_request(caught.value.request_id or uuid7())
            assert row is not None
            assert (row.status, row.error_type) == ("failed", "Connection")
            assert (row.maybe_paid, row.retry_attempt) == (False, 2)


@on_sqlite
async def test_a_host_that_does_not_exist_is_named(
    proxy: FaultProxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error in a URL shows itself in the error."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://nowhere.invalid/v1")
    async with open_llm_services() as llm:
        with pytest.raises(LLMConnectionError, match=r"nowhere\.invalid") as caught:
            await llm.generate_response(RIVERS, model="gpt-4o")
    assert caught.value.maybe_billed is False


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[str]:
    """The URL of a server with TLS and a certificate that nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    wanted = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    made = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *wanted, *made], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with network.tls_server(context) as url:
        yield url


@on_sqlite
async def test_a_certificate_that_is_not_trusted(
    proxy: FaultProxy, database_url: str, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    """Nothing is sent, and it is not tried again: the certificate stays what it is."""
    monkeypatch.setenv("OPENAI_BASE_URL", stranger)
    async with open_llm_services() as llm:
        with pytest.raises(LLMConnectionError, match=r"certificate of 127\.0\.0\.1") as caught:
            await llm.generate_response(RIVERS, model="gpt-4o")
        row = llm.get_request(caught.value.request_id or uuid7())
    assert caught.value.retryable is False
    assert row is not None
    assert (row.error_type, row.retry_attempt, row.maybe_paid) == ("Connection", 1, False)


@on_sqlite
@pytest.mark.parametrize("transport", ["auto", "httpx2"])
async def test_what_comes_after_an_answer_is_not_the_next_one(
    transport: str, proxy: FaultProxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which more came than was asked for is not used again."""
    monkeypatch.setenv("LLM_HTTP_TRANSPORT", transport)
    proxy.arm(network.duplicate_reply())
    async with open_llm_services() as llm:
        told = [await spoken(llm) for _ in range(3)]
    assert len(set(told)) == 3


@on_sqlite
async def test_an_answer_that_goes_on_behind_its_end(
    proxy: FaultProxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's transport takes it as it was announced; aiohttp takes it for broken."""
    proxy.arm(network.length(-2))
    async with open_llm_services() as llm:
        with pytest.raises(LLMConnectionError) as caught:
            await llm.generate_audio("Mars.", model="tts-1", max_retries=0)
        assert caught.value.maybe_billed
    monkeypatch.setenv("LLM_HTTP_TRANSPORT", "httpx2")
    async with open_llm_services() as llm:
        told = [await spoken(llm) for _ in range(3)]
    assert len(set(told)) == 3


@on_sqlite
async def test_what_comes_late_is_not_the_next_answer(proxy: FaultProxy, database_url: str) -> None:
    """The same when it comes while the connection waits for its next use."""
    sent = threading.Semaphore(0)
    proxy.arm(network.late_reply(sent.release))
    async with open_llm_services() as llm:
        told = []
        for _ in range(3):
            told.append(await spoken(llm))
            assert sent.acquire(timeout=20)
    assert len(set(told)) == 3


async def spoken(llm: LLMServicesProvider) -> str | None:
    """The provider's id of a call whose answer may end a little early without harm."""
    _, request_id = await llm.generate_audio("Mars.", model="tts-1")
    row = llm.get_request(request_id)
    assert row is not None
    assert row.retry_attempt == 1
    return row.provider_request_id


@on_sqlite
async def test_connections_are_kept_for_the_next_call(proxy: FaultProxy, database_url: str) -> None:
    """The care about leftovers costs nothing where there are none."""
    async with open_llm_services() as llm:
        for _ in range(5):
            await llm.generate_response(RIVERS, model="gpt-4o")
        for _ in range(2):
            async with llm.stream_response(RIVERS, model="gpt-4o") as stream:
                assert "".join([piece async for piece in stream.text()])
        assert proxy.open_connections == 1


@on_sqlite
async def test_idle_connections_may_die(proxy: FaultProxy, database_url: str) -> None:
    """A pooled connection that ended while nobody used it is replaced without a failed attempt."""
    async with open_llm_services() as llm:
        for _ in range(3):
            response, _ = await llm.generate_response(RIVERS, model="gpt-4o")
            assert response.attempts == 1
            proxy.cut_all()
            wait_for(lambda: proxy.open_connections == 0, "the connection to end")


@on_sqlite
async def test_no_descriptor_or_thread_stays_behind(proxy: FaultProxy, database_url: str) -> None:
    """After calls that failed in many ways the process holds what it held before."""
    await run_all(KINDS, proxy)
    before = held()
    for fault in (network.drop_reply(), network.close_after(0.5), CLEAN):
        proxy.arm(fault)
        await run_all(KINDS, proxy)
    await until(lambda: held() <= before)  # the loop closes sockets, if it is let


def held() -> tuple[int, int]:
    """Open descriptors, and threads that are the module's. A database's files do not count: pools
    keep connections, and SQLite keeps a file open while anybody in the process has a lock on it.
    """
    ours = [t for t in threading.enumerate() if t.name.startswith("llm-")]
    open_ = [name for name in map(opened, os.listdir("/proc/self/fd")) if "backend.db" not in name]
    return len(open_), len(ours)


def opened(descriptor: str) -> str:
    """What a descriptor is open on; the one that lists them is gone by now."""
    with suppress(FileNotFoundError):
        return os.readlink(f"/proc/self/fd/{descriptor}")
    return ""


def test_the_proxys_reader_knows_an_end() -> None:
    """A client that leaves within a request is gone, not an error."""
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
        theirs.shutdown(socket.SHUT_WR)
        assert read_request(ours) is None

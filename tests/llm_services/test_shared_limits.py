"""Limits that processes keep together through a real Redis, and without it each by itself."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from modules.llm_services.config import create_llm_config_from_env
from modules.llm_services.exceptions import LLMConfigurationError, LLMOverloadedError
from modules.llm_services.limits import Limits, Line, SharedLimits
from modules.llm_services.public import LLMMessageDTO, open_llm_services
from modules.llm_services.setting_types import LimitSettings
from sandbox import Sandbox
from tests.llm_services.test_rate_limits import most_in_a_minute
from tests.llm_services.test_recording import until
from tests.support.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
ONE_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PATIENCE = 5.0  # seconds: this machine is busy


@pytest.fixture
async def line_of(redis_server: RedisServer) -> AsyncIterator[Callable[..., Line]]:
    """Makes the line that another process would have, under a rule."""
    opened: list[Limits] = []

    def make(lease: float = 10, **rule: int) -> Line:
        shared = SharedLimits(redis_server.url, patience=PATIENCE, lease=lease)
        opened.append(Limits({"openai": LimitSettings(**rule)}, shared=shared))
        return opened[-1].line("openai", "m")

    yield make
    for limits in opened:
        await limits.aclose()


async def test_places_are_shared(line_of: Callable[..., Line]) -> None:
    """A place taken here is missing there, and is there again when it is given back."""
    ours, theirs = line_of(concurrency=2), line_of(concurrency=2)
    first, second = await ours.enter(0, 5), await theirs.enter(0, 5)
    with pytest.raises(LLMOverloadedError):
        await theirs.enter(0, 0.3)
    waiting = asyncio.create_task(theirs.enter(0, 20))
    await until(lambda: theirs.waiting == 1)
    first.close()
    (await waiting).close()
    second.close()
    assert (ours.held, theirs.held) == (0, 0)


async def test_requests_and_tokens_are_shared(line_of: Callable[..., Line]) -> None:
    """The minute is one for all, and a request's tokens are corrected for all."""
    ours, theirs = line_of(rpm=3, tpm=100), line_of(rpm=3, tpm=100)
    ticket = await ours.enter(5_000, 5)
    with pytest.raises(LLMOverloadedError) as caught:
        await theirs.enter(10, 5)
    assert caught.value.retry_after == pytest.approx(61, abs=5)
    ticket.close(20)
    await until_given_back(ours)
    (await line_of(rpm=3, tpm=100).enter(70, 5)).close(10)
    (await line_of(rpm=3, tpm=100).enter(1, 5)).close()
    with pytest.raises(LLMOverloadedError):
        await line_of(rpm=3, tpm=100).enter(1, 5)


async def until_given_back(line: Any) -> None:
    """Wait until Redis has heard of it."""
    await until(lambda: not line._shared._under_way)


async def test_a_killed_process_loses_its_places(line_of: Callable[..., Line]) -> None:
    """What is not renewed comes back; what is used stays."""
    killed, living, waiting = [line_of(lease=0.5, concurrency=2) for _ in range(3)]
    lost: Any = await killed.enter(0, 5)
    for _, renewing in killed._kept.values():  # type: ignore[attr-defined]
        renewing.cancel()
    held = await living.enter(0, 5)
    (await waiting.enter(0, 20)).close()  # the killed one's, once its lease is over
    (await waiting.enter(0, 20)).close()
    other = await waiting.enter(0, 5)
    with pytest.raises(LLMOverloadedError):
        await waiting.enter(0, 1)  # longer than a lease: the living one's is kept
    for ticket in (lost, held, other):
        ticket.close()


async def test_who_goes_away_gives_its_place_back(
    line_of: Callable[..., Line], redis_server: RedisServer
) -> None:
    """Also when it goes while Redis answers."""
    line = line_of(concurrency=1)
    redis_server.pause()
    try:
        task = asyncio.create_task(line.enter(0, 20))
        await until(lambda: bool(line._shared._under_way))  # type: ignore[attr-defined]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        redis_server.go_on()
    (await line.enter(0, 20)).close()
    assert (line.held, line.waiting) == (0, 0)


async def test_no_redis_no_stop(
    own_redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis that dies is told of once; each process keeps its share, and asks again later."""
    shares = [SharedLimits(own_redis_server.url, patience=PATIENCE) for _ in range(2)]
    ours, theirs = (
        Limits({"openai": LimitSettings(concurrency=4, rpm=1_000)}, shared=shared)
        for shared in shares
    )
    for limits in (ours, theirs, ours):
        (await limits.line("openai", "m").enter(0, 20)).close()
    own_redis_server.stop()
    line = ours.line("openai", "m")
    tickets = [await line.enter(0, 20) for _ in range(2)]
    with pytest.raises(LLMOverloadedError):
        await line.enter(0, 0.3)  # half of four
    for ticket in tickets:
        ticket.close()
    shares[0]._away_until = 0
    (await line.enter(0, 20)).close()  # asks again, in vain
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage().partition(" (")[0] for record in warnings] == [
        "no Redis at LLM_REDIS_URL"
    ]
    assert warnings[0].getMessage().endswith("this process keeps 1/2 of the limits by itself")
    own_redis_server.start()
    shares[0]._away_until = 0
    tickets = [await line.enter(0, 20) for _ in range(4)]
    for ticket in tickets:
        ticket.close()
    for limits in (ours, theirs, ours):  # closing twice does no harm
        await limits.aclose()


async def test_whom_the_provider_told_to_wait_asks_nobody(line_of: Callable[..., Line]) -> None:
    """A pause comes before Redis, for those who come and for those who wait."""
    line = line_of(concurrency=1)
    ticket = await line.enter(0, 5)
    waiting = asyncio.create_task(line.enter(0, 20))
    await until(lambda: line.waiting == 1)
    line.pause(30)
    ticket.close()
    for refused in (waiting, line.enter(0, 5)):
        with pytest.raises(LLMOverloadedError):
            await refused


async def test_what_one_process_is_told_holds_for_all(line_of: Callable[..., Line]) -> None:
    """The pause of a 429 is shared: it may grow, and is never cut short."""
    ours, theirs = line_of(rpm=1_000), line_of(rpm=1_000)
    for seconds in (30, 50, 0.001):
        ours.pause(seconds)
        await until_given_back(ours)
    with pytest.raises(LLMOverloadedError) as caught:
        await theirs.enter(0, 5)
    assert caught.value.retry_after == pytest.approx(50, abs=15)
    ours.pause(5_000)  # no provider is believed for longer than a minute
    await until_given_back(ours)
    with pytest.raises(LLMOverloadedError) as caught:
        await line_of(rpm=1_000).enter(0, 5)
    assert caught.value.retry_after == pytest.approx(60, abs=15)


def test_the_url_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold a password; what is no URL of Redis is named without quoting it."""
    monkeypatch.setenv("LLM_REDIS_URL", "redis://:s3cret@localhost/0")
    assert "s3cret" not in repr(create_llm_config_from_env())
    monkeypatch.setenv("LLM_REDIS_URL", "http://:s3cret@localhost")
    with pytest.raises(LLMConfigurationError, match="LLM_REDIS_URL") as caught:
        create_llm_config_from_env()
    assert "s3cret" not in str(caught.value)


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says which extra to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(LLMConfigurationError, match=r"llm-services\[redis\]"):
        SharedLimits("redis://localhost", patience=1)


ASK = """
    import asyncio, sys
    from modules.llm_services.exceptions import LLMOverloadedError
    from modules.llm_services.public import LLMMessageDTO, open_llm_services

    HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]

    async def main():
        async with open_llm_services() as llm:
            async def ask():
                try:
                    await llm.generate_response(HELLO, model="openai:gpt-6-luna", timeout=25)
                except LLMOverloadedError:
                    return 1
                return 0

            print(sum(await asyncio.gather(*(ask() for _ in range(60)))))

    asyncio.run(main())
"""


def start(database_url: str) -> subprocess.Popen[str]:
    """A process that makes sixty calls at once and says how many found no room."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend"), "DATABASE_URL": database_url}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ASK)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@ONE_SQLITE
def test_two_processes_keep_one_limit(
    database_url: str, vendor: Sandbox, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred and twenty calls where fifty a minute may be made: fifty arrive, and the others
    hear at once that their turn cannot come in time.
    """
    monkeypatch.setenv("LLM_LIMITS", json.dumps({"openai": {"rpm": 50}}))
    monkeypatch.setenv("LLM_REDIS_URL", redis_server.url)
    monkeypatch.setenv("LLM_REDIS_TIMEOUT", "20")
    processes = [start(database_url) for _ in range(2)]
    refused = [process.communicate(timeout=120)[0] for process in processes]
    arrived = [datetime.fromisoformat(entry.at).timestamp() for entry in vendor.journal()]
    assert sum(map(int, refused)) + len(arrived) == 120
    assert most_in_a_minute([(at, 1) for at in arrived]) == 50


@ONE_SQLITE
async def test_redis_dies_under_load(
    database_url: str,
    vendor: Sandbox,
    own_redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls go on, one warning, and the limit holds: of a hundred calls sixty are let through."""
    monkeypatch.setenv("LLM_LIMITS", json.dumps({"openai": {"rpm": 60}}))
    monkeypatch.setenv("LLM_REDIS_URL", own_redis_server.url)
    monkeypatch.setenv("LLM_REDIS_TIMEOUT", "5")
    async with open_llm_services() as llm:
        calls = [
            asyncio.create_task(llm.generate_response(HELLO, model="openai:gpt-6-luna", timeout=25))
            for _ in range(100)
        ]
        await until(lambda: len(vendor.journal()) >= 10)
        own_redis_server.stop()
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in answers} == {tuple, LLMOverloadedError}
    assert sum(isinstance(one, tuple) for one in answers) == len(vendor.journal()) == 60
    told = [record for record in caplog.records if "no Redis" in record.getMessage()]
    assert len(told) == 1

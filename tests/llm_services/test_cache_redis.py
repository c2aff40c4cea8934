"""The cache in Redis: shared by processes, one of which asks; and calls go on without it."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modules.llm_services.cache import RedisStore, Selection
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.public import LLMMessageDTO, open_llm_services
from sandbox import Sandbox
from tests.llm_services.test_cache_stores import labels, packed
from tests.support.ledger import rows
from tests.support.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # a busy machine's Redis may take seconds; a test of its own is impatient
MARS = [LLMMessageDTO(role="user", content="Tell me about Mars and its moons.")]


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on the session's server."""
    store = RedisStore(redis_server.url, patience=PATIENCE)
    yield store
    await store.aclose()
    await store.aclose()
    store.close()


async def test_entries_are_kept_for_their_time(store: RedisStore) -> None:
    """And cleared by what they say of themselves; what is not ours is left alone."""
    await store.put("key", packed(), labels(), 60)
    await store.put("late", packed(), labels(), 0.001)
    assert await store.get("key") is not None
    await _gone(store, "late")
    await store._client().set("llm:cache:{strange}", b"not ours")
    assert await store.clear(Selection(tenant="other")) == 0
    assert await store.clear(Selection(tenant="acme")) == 1
    assert await store.get("key") is None


async def _gone(store: RedisStore, key: str) -> None:
    async with asyncio.timeout(30):
        while await store.get(key) is not None:  # noqa: ASYNC110 - it is not on this loop
            await asyncio.sleep(0.01)


async def test_one_has_the_turn(redis_server: RedisServer) -> None:
    """Another process waits for as long as the leader lives and takes its answer from the store."""
    one = RedisStore(redis_server.url, patience=PATIENCE, lease=0.3)
    other = RedisStore(redis_server.url, patience=PATIENCE)
    taken: list[bytes | None] = []

    async def wait() -> None:
        async with other.turn("key") as found:
            taken.append(found)

    async with one.turn("key") as nothing:
        assert nothing is None
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(1)  # three leases: they are renewed
        assert not taken
        await one.put("key", packed(), labels(), 60)
    await waiting
    assert taken == [await one.get("key")]
    await one.aclose()
    await other.aclose()


async def test_the_turn_goes_on_without_an_answer(redis_server: RedisServer) -> None:
    """A leader that fails gives its turn back; one that dies loses it with its lease."""
    one = RedisStore(redis_server.url, patience=PATIENCE, lease=0.3)
    async with one.turn("key"):
        pass
    async with one.turn("key") as found:
        assert found is None
    dead = one.turn("other")
    await dead.__aenter__()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # its renewal: the process is gone
    async with one.turn("other") as found:
        assert found is None
    await dead.__aexit__(None, None, None)
    await one.aclose()


async def test_who_leaves_while_waiting_leaves_nothing(store: RedisStore) -> None:
    """A cancelled wait neither holds the turn nor takes it from its holder, and is never lost."""
    async with store.turn("key"):
        for n in range(100):
            waiting = asyncio.create_task(store.turn("key").__aenter__())
            for _ in range(n):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait((waiting,), timeout=PATIENCE)
            assert waiting.cancelled()
        assert await store._client().exists("llm:cache:{key}:turn") == 1
    assert await store._client().exists("llm:cache:{key}:turn") == 0


async def test_a_redis_that_is_away_is_a_miss(
    own_redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One warning, no wait worth speaking of; it is used again when it is back."""
    monkeypatch.setattr("modules.llm_services.cache.remote._PAUSE", 0.0)
    store = RedisStore(own_redis_server.url, patience=PATIENCE)
    await store.put("key", packed(), labels(), 60)
    own_redis_server.stop()
    for _ in range(3):
        assert await store.get("key") is None
        async with store.turn("key") as found:
            assert found is None
        await store.put("key", packed(), labels(), 60)
    with pytest.raises(OSError, match="LLM_REDIS_URL: ConnectionError"):
        await store.clear(Selection())
    [warning] = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert warning.message.startswith("the cache at LLM_REDIS_URL cannot be used")
    own_redis_server.start()
    await store.put("key", packed(), labels(), 60)
    assert await store.get("key") is not None
    await store.aclose()


async def test_a_redis_that_hangs_is_left_alone_for_a_while(
    own_redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited for once, for as long as the setting says, and then not for seconds."""
    store = RedisStore(own_redis_server.url, patience=0.2)
    own_redis_server.pause()
    assert await store.get("key") is None
    away_until = store._away_until
    assert away_until > time.monotonic()
    for _ in range(1_000):
        assert await store.get("key") is None
    assert store._away_until == away_until
    [hanging] = store._under_way
    hanging.cancel()  # as the end of a loop does
    await asyncio.wait((hanging,))
    store._away_until = 0.0
    assert await store.get("key") is None
    assert store._under_way  # nobody waits for it any more, but the end does
    own_redis_server.go_on()
    assert len(caplog.records) == 1
    await store.aclose()


def test_a_url_that_cannot_be_read_is_refused_without_its_password() -> None:
    """When the settings are read, not in the first call."""
    with pytest.raises(LLMConfigurationError, match="LLM_REDIS_URL cannot be read") as caught:
        RedisStore("redis://:pass/word@host:6379/0", patience=1)
    assert "pass/word" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that is needed, when the setting is read."""
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)
    with pytest.raises(LLMConfigurationError, match=r"install llm-services\[redis\]"):
        RedisStore("redis://localhost", patience=1)


_ASKER = """
import asyncio, sys
from modules.llm_services.public import LLMMessageDTO, open_llm_services

async def main():
    messages = [LLMMessageDTO(role="user", content="Tell me about Mars and its moons.")]
    async with open_llm_services() as llm:
        print("ready", flush=True)
        sys.stdin.readline()
        asked = [llm.generate_response(messages, cache=True, timeout=100) for _ in range(50)]
        answers = await asyncio.gather(*asked)
        print(len({response.content for response, _ in answers}), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_processes_ask_once(
    database_url: str, vendor: Sandbox, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred identical calls in two processes are one request upstream, and a hundred rows."""
    monkeypatch.setenv("LLM_REDIS_URL", redis_server.url)
    monkeypatch.setenv("LLM_REDIS_TIMEOUT", str(PATIENCE))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend")}
    environment["LLM_MODEL"] = "openai:gpt-4o:slow=1"
    running = [_start(environment) for _ in range(2)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=100)[0].strip() for process in running]
    assert ends == ["1", "1"]
    assert len(vendor.journal()) == 1
    stored = rows()
    assert len(stored) == 100
    [paid] = [row for row in stored if not row["cached"]]
    assert {row["cached_from_id"] for row in stored if row["cached"]} == {paid["id"]}


def _start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _ASKER],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_calls_go_on_without_redis(
    database_url: str,
    vendor: Sandbox,
    own_redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Redis that dies between two calls costs the answers that were kept, and no call."""
    monkeypatch.setenv("LLM_REDIS_URL", own_redis_server.url)
    monkeypatch.setenv("LLM_REDIS_TIMEOUT", str(PATIENCE))
    async with open_llm_services() as llm:
        cached = [(await llm.generate_response(MARS, cache=True))[0].cached for _ in range(2)]
        own_redis_server.stop()
        cached += [(await llm.generate_response(MARS, cache=True))[0].cached for _ in range(2)]
    assert cached == [False, True, False, False]
    assert {row["status"] for row in rows()} == {"completed"}

"""Limits that many processes keep together: one atomic script in Redis for each step.

A Redis that is away is noticed within ``patience`` seconds, told of once, and asked again every
few seconds; meanwhile each process keeps its share of the limits by itself. Places have a lease
that is renewed while they are used: those of a process that was killed come back by themselves.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from modules.llm_services.exceptions import LLMConfigurationError

from .window import WINDOW

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from modules.llm_services.setting_types import LimitSettings

logger = logging.getLogger(__name__)

_LEASE = 10.0  # seconds for which a killed process keeps its places
_PAUSE = 2.0  # seconds until a Redis that is away is asked again
_SEEN = 60.0  # seconds for which a process that says nothing counts
_PREFIX = "llm:limits:"
_KEYS = ("log", "tokens", "places", "processes", "pause")

# Of a model: the log of the last minute, its tokens by request, places in use, processes at work,
# and for how long its provider wants to be left alone.
_TAKE = """
local log, tokens, places, processes, pause = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, process = ARGV[1], ARGV[2]
local most, rpm, tpm = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted, window = tonumber(ARGV[6]), tonumber(ARGV[7])
local lease, seen = tonumber(ARGV[8]), tonumber(ARGV[9])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local old = redis.call('ZRANGEBYSCORE', log, '-inf', now - window)
for _, one in ipairs(old) do
  redis.call('HINCRBY', tokens, 'all', -tonumber(redis.call('HGET', tokens, one) or 0))
  redis.call('HDEL', tokens, one)
end
redis.call('ZREMRANGEBYSCORE', log, '-inf', now - window)
redis.call('ZREMRANGEBYSCORE', places, '-inf', now)
redis.call('ZREMRANGEBYSCORE', processes, '-inf', now - seen)
redis.call('ZADD', processes, now, process)
redis.call('PEXPIRE', processes, seen)
local here = redis.call('ZCARD', processes)
local paused = redis.call('PTTL', pause)
if paused > 0 then return {0, paused, here} end
local wait = -1
if most > 0 and redis.call('ZCARD', places) >= most then wait = 0 end
local sent = redis.call('ZCARD', log)
local function free(place)
  local entry = redis.call('ZRANGE', log, place, place, 'WITHSCORES')
  wait = math.max(wait, tonumber(entry[2]) + window - now, 0)
end
if rpm > 0 and sent >= rpm then free(sent - rpm) end
local all = tonumber(redis.call('HGET', tokens, 'all') or 0)
if tpm > 0 and sent > 0 and all + wanted > tpm then free(0) end
if wait >= 0 then return {0, wait, here} end
if rpm > 0 or tpm > 0 then
  redis.call('ZADD', log, now, id)
  redis.call('HSET', tokens, id, wanted)
  redis.call('HINCRBY', tokens, 'all', wanted)
  redis.call('PEXPIRE', log, window)
  redis.call('PEXPIRE', tokens, window)
end
if most > 0 then
  redis.call('ZADD', places, now + lease, id)
  redis.call('PEXPIRE', places, lease)
end
return {1, 0, here}
"""
_GIVE_BACK = """
redis.call('ZREM', KEYS[3], ARGV[1])
local thought = redis.call('HGET', KEYS[2], ARGV[1])
if thought and tonumber(ARGV[2]) >= 0 then
  redis.call('HINCRBY', KEYS[2], 'all', ARGV[2] - thought)
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
"""
_RENEW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[3], 'XX', now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
"""
_PAUSE_ALL = """
if redis.call('PTTL', KEYS[5]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[5], 1, 'PX', ARGV[1])
end
"""


@dataclass(frozen=True, slots=True)
class Said:
    """Redis's answer: a place by its id, or seconds until it is worth asking again."""

    place: str | None
    wait: float


class SharedLimits:
    """The limits of all processes that use the Redis at ``url``.

    ``patience`` and ``lease`` are seconds: for one command, and for a place that is not renewed.
    """

    def __init__(self, url: str, *, patience: float, lease: float = _LEASE) -> None:
        _require_redis()
        self.processes = 1
        self._url = url
        self._patience = patience
        self._lease = lease
        self._process = secrets.token_hex(8)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._away_until = 0.0
        self._told = False

    async def take(self, name: str, rule: "LimitSettings", tokens: int) -> Said | None:
        """A place in a model's limits, or when to ask again; nothing when there is no Redis.

        Whoever goes away while Redis answers has its place given back.
        """
        place = secrets.token_hex(8)
        limits = [rule.concurrency or 0, rule.rpm or 0, rule.tpm or 0, tokens]
        spans = [_ms(WINDOW), _ms(self._lease), _ms(_SEEN)]
        asked = self._start(self._ask(_TAKE, name, place, self._process, *limits, *spans))
        try:
            said = await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda _asked: self.give_back(name, place, 0))
            raise
        if said is None:
            return None
        taken, wait, self.processes = said
        return Said(place if taken else None, wait / 1000)

    def give_back(self, name: str, place: str, tokens: int | None) -> None:
        """A request is over; ``tokens`` is what it took, when that is known."""
        self._start(self._ask(_GIVE_BACK, name, place, -1 if tokens is None else tokens))

    def pause(self, name: str, seconds: float) -> None:
        """A provider wants to be left alone for so long, by every process."""
        self._start(self._ask(_PAUSE_ALL, name, max(_ms(seconds), 1)))

    def keep(self, name: str, place: str) -> "asyncio.Task[None]":
        """Renew a place's lease until the task is cancelled."""
        return asyncio.create_task(self._keep(name, place))

    async def _keep(self, name: str, place: str) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            await asyncio.shield(self._start(self._ask(_RENEW, name, place, _ms(self._lease))))

    async def aclose(self) -> None:
        """Give back what is still to be given back, and close the running loop's connections."""
        loop = asyncio.get_running_loop()
        while ours := [task for task in self._under_way if task.get_loop() is loop]:
            await asyncio.wait(ours)
        client = self._clients.pop(loop, None)
        if client is not None:
            await client.aclose()

    def _start(self, command: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A command is not cancelled midway: its connection would be good for nothing."""
        task = asyncio.create_task(command)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _ask(self, script: str, name: str, *arguments: str | int) -> Any:
        from redis.exceptions import RedisError

        if time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(self._patience):
                said = await self._client().eval(script, len(_KEYS), *_keys(name), *arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return None
        self._told = False
        return said

    def _went_away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _PAUSE
        if not self._told:
            self._told = True
            logger.warning(
                "no Redis at LLM_REDIS_URL (%s): this process keeps 1/%d of the limits by itself",
                type(error).__name__,
                self.processes,
            )

    def _client(self) -> "Redis":
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = _connected(self._url, self._patience)
        return self._clients[loop]


def _keys(name: str) -> list[str]:
    """Braces keep the keys of a model on one node of a cluster."""
    return [f"{_PREFIX}{{{name}}}:{what}" for what in _KEYS]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _require_redis() -> None:
    try:
        import redis.asyncio  # noqa: F401 - only whether it is there
    except ImportError:
        raise LLMConfigurationError(
            "LLM_REDIS_URL needs the package redis: install llm-services[redis]"
        ) from None


def _connected(url: str, patience: float) -> "Redis":
    """A client that gives up at once: a call has no time for a second try."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}
    return Redis.from_url(url, socket_timeout=patience, socket_connect_timeout=patience, **options)

"""Entries in Redis, for processes on any machine, of which one asks and the others wait.

A Redis that is away costs a call ``patience`` seconds once in a while, and nothing else.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from anyio import CancelScope

from modules.llm_services.exceptions import LLMConfigurationError

from .entry import HEAD, Labels, Selection, labels_of
from .store import Trouble

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

_LEASE = 10.0  # seconds after which the right of a dead process to ask ends
_PAUSE = 5.0  # seconds until a Redis that is away is tried again
_SHORTEST, _LONGEST = 0.02, 0.2  # seconds between two looks at what another process is asking
_SCANNED = 1_000
_PREFIX = "llm:cache:"
_MINE, _ANOTHERS = 1, 0

# The entry, else the right to ask for it (1), else the news that another has it (0).
_TURN = """
local found = redis.call('GET', KEYS[1])
if found then return found end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
"""
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisStore:
    """The server at ``url`` bounds its memory itself (``maxmemory``). ``patience`` and ``lease``
    are seconds: for one command, and for the right to ask, which is renewed while it is used.
    """

    def __init__(self, url: str, *, patience: float, lease: float = _LEASE) -> None:
        _check(url)
        self._url = url
        self._patience = patience
        self._lease = lease
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Redis] = WeakKeyDictionary()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._away_until = 0.0
        self._trouble = Trouble("at LLM_REDIS_URL")

    async def get(self, key: str) -> bytes | None:
        """What is kept under a key."""
        found = await self._attempted(lambda redis: redis.get(_entry(key)))
        return found if isinstance(found, bytes) else None

    def at_hand(self, _key: str) -> bytes | None:
        """Nothing: what is kept here has to be waited for."""
        return None

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[bytes | None]:
        """The same; when there is nothing, alone among all processes for as long as it takes."""
        token, found = secrets.token_hex(16), None
        renewing: asyncio.Task[None] | None = None
        try:
            found, mine = await self._wait(key, token)
            if mine:
                renewing = asyncio.create_task(self._renew(key, token))
            yield found
        finally:
            if renewing is not None:
                renewing.cancel()
            if found is None:  # also when we go away just as it becomes our turn
                await self._release(key, token)

    async def put(self, key: str, packed: bytes, labels: Labels, seconds: float) -> None:  # noqa: ARG002
        """Keep bytes; their labels are in them."""
        milliseconds = max(round(seconds * 1000), 1)
        await self._attempted(lambda redis: redis.set(_entry(key), packed, px=milliseconds))

    async def clear(self, selection: Selection) -> int:
        """Forget entries of all processes. Raises `OSError` when it cannot."""
        from redis.exceptions import RedisError

        try:
            return await self._clear(self._client(), selection)
        except RedisError as error:
            raise OSError(f"LLM_REDIS_URL: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        loop = asyncio.get_running_loop()
        late = {task for task in self._under_way if task.get_loop() is loop}
        if late:
            await asyncio.wait(late, timeout=self._patience)
        client = self._clients.pop(loop, None)
        if client is not None:
            await client.aclose()

    def close(self) -> None:
        """Connections belong to loops."""

    async def _wait(self, key: str, token: str) -> tuple[bytes | None, bool]:
        """The entry, or whether it is our turn to ask. Neither, when there is no Redis."""
        pause, names = _SHORTEST, (_entry(key), _turn(key))
        while True:
            said = await self._attempted(
                lambda redis: redis.eval(_TURN, 2, *names, token, self._lease_ms)
            )
            if said != _ANOTHERS:
                return (said, False) if isinstance(said, bytes) else (None, said == _MINE)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST)

    async def _renew(self, key: str, token: str) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            await self._attempted(
                lambda redis: redis.eval(_RENEW, 1, _turn(key), token, self._lease_ms)
            )

    async def _release(self, key: str, token: str) -> None:
        with CancelScope(shield=True):
            await self._attempted(lambda redis: redis.eval(_RELEASE, 1, _turn(key), token))

    async def _attempted(self, command: "Callable[[Redis], Awaitable[T]]") -> T | None:
        from redis.exceptions import RedisError

        if time.monotonic() < self._away_until:
            return None
        try:
            answer = await self._in_a_task(command)
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + _PAUSE
            self._trouble.tell(error)
            return None
        self._trouble.over()
        return answer

    async def _in_a_task(self, command: "Callable[[Redis], Awaitable[T]]") -> T:
        """What a command gives, which nobody who goes away takes along.

        redis-py 8.1 loses a cancellation now and then (measured: 16 of 400), for on Python 3.11
        ``asyncio.wait_for`` does; it may go to the client itself when 3.12 is the oldest.
        """

        async def run() -> T:
            return await command(self._client())

        task = asyncio.create_task(run())
        self._under_way.add(task)
        task.add_done_callback(self._landed)
        try:
            await asyncio.wait((task,), timeout=self._patience)
        except asyncio.CancelledError:
            with CancelScope(shield=True):  # what follows must not overtake it
                await asyncio.wait((task,), timeout=self._patience)
            raise
        if not task.done():
            raise TimeoutError
        return task.result()

    def _landed(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever still waited

    async def _clear(self, client: "Redis", selection: Selection) -> int:
        cleared = 0
        async for name in client.scan_iter(match=f"{_PREFIX}{{*}}", count=_SCANNED):
            head = await client.getrange(name, 0, HEAD - 1)
            labels = labels_of(head if isinstance(head, bytes) else head.encode())
            if labels is not None and selection.matches(labels):
                cleared += await client.unlink(name)
        return cleared

    def _client(self) -> "Redis":
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = _connected(self._url, self._patience)
        return self._clients[loop]

    @property
    def _lease_ms(self) -> int:
        return round(self._lease * 1000)


def _entry(key: str) -> str:
    return f"{_PREFIX}{{{key}}}"  # braces keep both names of a key on one node of a cluster


def _turn(key: str) -> str:
    return f"{_entry(key)}:turn"


def _check(url: str) -> None:
    """Find what would fail in the first call. No error quotes the URL: it may hold a password."""
    try:
        from redis.asyncio.connection import parse_url

        parse_url(url)
    except ImportError:
        raise LLMConfigurationError(
            "LLM_REDIS_URL needs the package redis: install llm-services[redis]"
        ) from None
    except ValueError:
        raise LLMConfigurationError(
            "LLM_REDIS_URL cannot be read: write it as redis://:password@host:6379/0, and signs "
            "such as / and # in the password percent-encoded"
        ) from None


def _connected(url: str, patience: float) -> "Redis":
    """A client that gives up at once: the road has its own idea of trying again."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}
    later = 2 * patience  # than its caller gives up: then the connection is let go
    return Redis.from_url(url, socket_timeout=later, socket_connect_timeout=later, **options)

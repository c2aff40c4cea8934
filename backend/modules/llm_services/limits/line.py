"""The queue of one model: who comes first goes first, and nobody waits for nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from modules.llm_services.exceptions import LLMOverloadedError

from .allowance import Allowance
from .window import Sent, Window

if TYPE_CHECKING:
    from modules.llm_services.setting_types import LimitSettings

    from .headers import Heard

Clock: TypeAlias = Callable[[], float]
_NAP = 0.1  # seconds after which the first in line looks again, whatever it was told
LONGEST_PAUSE = 60.0  # seconds: then one request asks whether the provider still means it
_MOMENT = 0.001
_FRESH = 0.05  # seconds: reading headers costs more than the rest of the gate


class Ticket:
    """Leave to send one request; `close` it when the request is over. Twice does no harm."""

    __slots__ = ("_line", "_open", "sent")

    def __init__(self, line: Line, sent: Sent) -> None:
        self._line = line
        self._open = True
        self.sent = sent

    def close(self, tokens: int | None = None) -> None:
        """The request is over; ``tokens`` is what it took, when that is known."""
        if self._open:
            self._open = False
            self._line.leave(self, tokens)


class _Turnstile:
    """One event loop's queue: a lock is fair, and whoever holds it is the first in line."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.news = asyncio.Event()


class Line:
    """One model's limits, and those who wait for them. ``queue`` is how many may."""

    def __init__(
        self, name: str, rule: LimitSettings | None, queue: int, clock: Clock = time.monotonic
    ) -> None:
        self._name = name
        self._limit_to(rule)
        self._queue = queue
        self._clock = clock
        self._window = Window()
        self._requests, self._tokens = Allowance(), Allowance()
        self._paused_until = 0.0
        self._heard_at = float("-inf")
        self._held = self._held_tokens = self._waiting = 0
        self._lock = Lock()  # several event loops may share one process
        self._turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turnstile] = (
            WeakKeyDictionary()
        )

    def _limit_to(self, rule: LimitSettings | None, shares: int = 1) -> None:
        """Keep a rule, or one of several equal shares of it."""
        self._concurrency = _share(rule.concurrency if rule else None, shares)
        self._rpm = _share(rule.rpm if rule else None, shares)
        self._tpm = _share(rule.tpm if rule else None, shares)

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a request takes."""
        return self._tpm is not None or self._tokens.known

    @property
    def listens(self) -> bool:
        """Whether news of the provider are worth reading: what it said a moment ago still holds,
        less what was sent since, unless somebody waits.
        """
        return self._waiting > 0 or self._clock() - self._heard_at >= _FRESH

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    @property
    def held(self) -> int:
        """How many requests are under way."""
        return self._held

    async def enter(self, tokens: int, seconds: float) -> Ticket:
        """A ticket for a request of so many tokens, when its turn has come.

        Raises `LLMOverloadedError`: at once when the queue is full or the wait cannot end within
        ``seconds``, else when they are over.
        """
        ticket = None if self._waiting else self._take(tokens)
        return ticket or await self._wait(tokens, seconds)

    async def _wait(self, tokens: int, seconds: float) -> Ticket:
        if self._waiting >= self._queue:
            raise self._full()
        self._refuse_beyond(seconds, self._wait_for(tokens, self._waiting))
        deadline = self._clock() + seconds
        turnstile = self._turnstile()
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds), turnstile.lock:
                return await self._as_first(tokens, deadline, turnstile.news)
        except TimeoutError:
            raise self._too_late(None) from None
        finally:
            self._waiting -= 1

    async def _as_first(self, tokens: int, deadline: float, news: asyncio.Event) -> Ticket:
        while True:
            news.clear()
            ticket = await self._try(tokens)
            if ticket is not None:
                return ticket
            wait = self._wait_for(tokens)
            self._refuse_beyond(deadline - self._clock(), wait)
            await _nap(news, min(wait or _NAP, _NAP))

    async def _try(self, tokens: int) -> Ticket | None:
        return self._take(tokens)

    def _take(self, tokens: int) -> Ticket | None:
        with self._lock:
            full = self._concurrency is not None and self._held >= self._concurrency
            if full or self._wait_for(tokens):
                return None
            return self._admitted(tokens)

    def _admitted(self, tokens: int) -> Ticket:
        reserved = min(tokens, self._tpm) if self._tpm else tokens
        self._held += 1
        self._held_tokens += reserved
        self._requests.spend(1)
        self._tokens.spend(reserved)
        if self._rpm or self._tpm:
            return Ticket(self, self._window.add(self._clock(), reserved))
        return Ticket(self, Sent(0.0, reserved))

    def _wait_for(self, tokens: int, ahead: int = 0) -> float:
        """Seconds until a request may leave, as far as that is known; places are given back when
        somebody is through, and nobody knows when.
        """
        ruled = 0.0
        if self._rpm or self._tpm:
            ruled = self._window.wait(self._clock(), tokens, self._rpm, self._tpm, ahead)
        return max(self._held_back(tokens), ruled)

    def _held_back(self, tokens: int) -> float:
        """Seconds for which the provider itself wants no more requests."""
        now = self._clock()
        wait = max(self._paused_until - now, 0.0)
        if not self._rpm:
            wait = max(wait, self._requests.wait(now, 1))
        if not self._tpm:
            wait = max(wait, self._tokens.wait(now, tokens))
        return wait

    def leave(self, ticket: Ticket, tokens: int | None) -> None:
        """The counterpart of `enter`, for tickets."""
        with self._lock:
            self._held -= 1
            self._held_tokens -= ticket.sent.tokens
            if tokens is not None and (self._rpm or self._tpm):
                self._window.correct(ticket.sent, tokens)
        self._wake()

    def hear(self, heard: Heard) -> None:
        """What the provider says in an answer. Limits of the settings go before it."""
        now = self._heard_at = self._clock()
        with self._lock:
            if heard.requests:
                self._requests.hear(heard.requests, now, self._held)
            if heard.tokens:
                self._tokens.hear(heard.tokens, now, self._held_tokens)
        self._wake()

    def pause(self, seconds: float) -> None:
        """The provider wants to be left alone: by all, not only by the one that it told."""
        until = self._clock() + min(seconds, LONGEST_PAUSE)
        self._paused_until = max(self._paused_until, until)

    def _wake(self) -> None:
        if self._waiting:
            self._turnstile().news.set()  # the first in line of another loop looks by itself

    def _turnstile(self) -> _Turnstile:
        return self._turnstiles.setdefault(asyncio.get_running_loop(), _Turnstile())

    def _refuse_beyond(self, seconds: float, wait: float) -> None:
        if wait > seconds:
            raise self._too_late(wait)

    def _too_late(self, wait: float | None) -> LLMOverloadedError:
        return LLMOverloadedError(
            f"{self._name} is at its limit, and no place comes free before the deadline",
            retry_after=wait,
        )

    def _full(self) -> LLMOverloadedError:
        return LLMOverloadedError(
            f"{self._name} is at its limit, and {self._waiting} requests wait already "
            "(LLM_QUEUE_LIMIT)",
            retry_after=max(self._wait_for(0), _MOMENT),
        )


def _share(limit: int | None, shares: int) -> int | None:
    return None if limit is None else max(limit // shares, 1)


async def _nap(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return

"""The gate before each request to a provider: is it up, and is there room for one more."""

import time

from .breaker import Breaker, Circuit, Trial
from .exceptions import LLMError, LLMRateLimitError
from .limits import Limits, Line, Ticket, demand
from .types import Call, Usage

CIRCUIT_FAILURES = 10
CIRCUIT_SECONDS = 10.0
_REFUSED = 400


class Passage:
    """Leave to send one request. Tell it how that ended, and `close` it; twice does no harm."""

    __slots__ = ("_breaker", "_line", "_successes", "_ticket", "_trial")

    def __init__(
        self,
        breaker: Breaker,
        trial: Trial,
        line: Line,
        ticket: Ticket,
        successes: dict[str, float],
    ) -> None:
        self._breaker, self._trial = breaker, trial
        self._line, self._ticket = line, ticket
        self._successes = successes

    def answered(self) -> None:
        """The provider has answered, or has begun to."""
        self._breaker.answered(self._trial)
        self._successes[self._trial.key[0]] = time.time()

    def failed(self, error: LLMError) -> None:
        """The request failed. What a provider refuses takes no tokens that it does not report."""
        self._breaker.failed(self._trial, error)
        if isinstance(error, LLMRateLimitError) and error.retryable and error.retry_after:
            self._line.pause(error.retry_after)
        refused = error.status_code is not None and error.status_code >= _REFUSED
        self._ticket.close(_tokens(error.usage, 0 if refused else None))

    def close(self, usage: Usage | None = None) -> None:
        """The request is over, however it ended; ``usage`` is what it took, when that is known."""
        self._breaker.left(self._trial)
        self._ticket.close(_tokens(usage))


class Gate:
    """Lets the requests of one process through when there is room, or says that it will not."""

    def __init__(self, breaker: Breaker | None = None, limits: Limits | None = None) -> None:
        self._breaker = breaker or Breaker(CIRCUIT_FAILURES, CIRCUIT_SECONDS)
        self.limits = limits or Limits()
        self.last_success: dict[str, float] = {}  # Unix time, by provider

    async def enter(self, call: Call, seconds: float, failure: LLMError | None = None) -> Passage:
        """Leave to send one request of a call, perhaps after a wait within ``seconds``.

        Raises `LLMCircuitOpenError` or `LLMOverloadedError`, or the ``failure`` that the call has
        met with before: that says more.
        """
        try:
            return await self._enter(call, seconds)
        except LLMError:
            if failure is None:
                raise
            raise failure from None

    async def _enter(self, call: Call, seconds: float) -> Passage:
        self._breaker.check(call.provider, call.model)
        line = self.limits.line(call.provider, call.model)
        ticket = await line.enter(demand(call) if line.counts_tokens else 0, seconds)
        try:
            trial = self._breaker.begin(call.provider, call.model)
        except LLMError:
            ticket.close(0)
            raise
        return Passage(self._breaker, trial, line, ticket, self.last_success)

    def circuits(self) -> tuple[Circuit, ...]:
        """See `Breaker.circuits`."""
        return self._breaker.circuits()


OPEN_GATE = Gate(Breaker(0, 0))
"""For what asks no model anything."""


def _tokens(usage: Usage | None, otherwise: int | None = None) -> int | None:
    total = usage.total_tokens if usage else None
    return otherwise if total is None else total

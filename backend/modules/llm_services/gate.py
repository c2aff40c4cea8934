"""The gate before each request to a provider: is it up."""

from .breaker import Breaker, Circuit, Trial
from .exceptions import LLMError
from .types import Call

CIRCUIT_FAILURES = 10
CIRCUIT_SECONDS = 10.0


class Passage:
    """Leave to send one request. Tell it how that ended, and `close` it; twice does no harm."""

    __slots__ = ("_breaker", "_trial")

    def __init__(self, breaker: Breaker, trial: Trial) -> None:
        self._breaker = breaker
        self._trial = trial

    def answered(self) -> None:
        """The provider has answered, or has begun to."""
        self._breaker.answered(self._trial)

    def failed(self, error: LLMError) -> None:
        """The request failed."""
        self._breaker.failed(self._trial, error)

    def close(self) -> None:
        """The request is over, however it ended."""
        self._breaker.left(self._trial)


class Gate:
    """Lets the requests of one process through, or says at once that it will not."""

    def __init__(self, breaker: Breaker | None = None) -> None:
        self._breaker = breaker or Breaker(CIRCUIT_FAILURES, CIRCUIT_SECONDS)

    async def enter(self, call: Call) -> Passage:
        """Leave to send one request of a call. Raises `LLMCircuitOpenError`."""
        return Passage(self._breaker, self._breaker.begin(call.provider, call.model))

    def circuits(self) -> tuple[Circuit, ...]:
        """See `Breaker.circuits`."""
        return self._breaker.circuits()

"""The circuit breaker: a model that does not answer is left in peace, and asked now and then.

A circuit is *closed* while requests are answered. After enough failures in a row that speak of the
provider being down it is *open*: nothing is sent, and calls fail at once. When it has cooled down
it is *half-open*: one request tries, and closes it or opens it again; the others go on failing.

Each process learns for itself: what one cannot reach, another may. Any answer with a status below
500, also a refusal, proves that the provider is up. Failures that happen together count once: what
breaks a hundred connections in a moment is mended by the calls' own retries.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, TypeAlias

from .exceptions import LLMCircuitOpenError, LLMConnectionError, LLMError, LLMTimeoutError

logger = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]
CircuitState: TypeAlias = Literal["closed", "open", "half-open"]
_SERVER_ERROR = 500
_PATIENCE = 1.0  # seconds: a caller who waits for less learns nothing about the provider
_TOGETHER = 1.0  # seconds: failures of requests under way at once, within which one counts
_PROBING = 1.0  # seconds to wait while somebody else's request tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A model that has failed lately: ``failures`` in a row, ``seconds`` until it is tried."""

    provider: str
    model: str
    state: CircuitState
    failures: int
    seconds: float


@dataclass(slots=True, eq=False)
class Trial:
    """Leave to send one request; it must be told how that ended, and may be told twice."""

    key: tuple[str, str]
    began: float


@dataclass(slots=True)
class _Trouble:
    """What is remembered of a model whose last request failed."""

    failures: int = 0
    counted_at: float = field(default=float("-inf"))
    opened_at: float | None = None
    probe: Trial | None = None


class Breaker:
    """The circuits of one process, by provider and model; those that work take no space.

    A circuit opens after ``failures`` in a row (0: never) and is tried after ``seconds``.
    """

    def __init__(self, failures: int, seconds: float, clock: Clock = time.monotonic) -> None:
        self._failures = failures
        self._seconds = seconds
        self._clock = clock
        self._troubles: dict[tuple[str, str], _Trouble] = {}
        self._lock = Lock()  # several event loops may share one process

    def check(self, provider: str, model: str) -> None:
        """Raise `LLMCircuitOpenError` when a request would not be let through now."""
        trouble = self._troubles.get((provider, model))
        if trouble is not None:
            self._check(provider, model, trouble)

    def begin(self, provider: str, model: str) -> Trial:
        """Leave to send one request, the probe of a half-open circuit among them.

        Raises `LLMCircuitOpenError`.
        """
        trial = Trial((provider, model), self._clock())
        if trial.key in self._troubles:
            with self._lock:
                self._begin(trial)
        return trial

    def _begin(self, trial: Trial) -> None:
        trouble = self._troubles.get(trial.key)
        if trouble is not None and trouble.opened_at is not None:
            self._check(*trial.key, trouble)
            trouble.probe = trial

    def _check(self, provider: str, model: str, trouble: _Trouble) -> None:
        wait = self._seconds_left(trouble)
        if wait > 0:
            raise LLMCircuitOpenError(
                f"{provider}:{model} is not answering: nothing is sent to it for {wait:.1f} s",
                retry_after=wait,
            )

    def _seconds_left(self, trouble: _Trouble) -> float:
        if trouble.opened_at is None:
            return 0.0
        cooling = trouble.opened_at + self._seconds - self._clock()
        return max(cooling, _PROBING if trouble.probe else 0.0)

    def answered(self, trial: Trial) -> None:
        """The provider is up. A request from before a circuit opened does not close it."""
        if trial.key in self._troubles:
            with self._lock:
                self._answered(trial)

    def _answered(self, trial: Trial) -> None:
        trouble = self._troubles.get(trial.key)
        if trouble is None or (trouble.opened_at is not None and trouble.probe is not trial):
            return
        del self._troubles[trial.key]
        if trouble.opened_at is not None:
            logger.warning("%s:%s answers again: its circuit is closed", *trial.key)

    def failed(self, trial: Trial, error: LLMError) -> None:
        """The request failed: the provider is down, or up all the same, or it says nothing."""
        if self._speaks_of_an_outage(trial, error):
            with self._lock:
                self._count(trial, error)
        elif error.status_code is not None:
            self.answered(trial)
        else:
            self.left(trial)

    def left(self, trial: Trial) -> None:
        """Nothing was learnt, as after a cancellation: the next request may be the probe."""
        trouble = self._troubles.get(trial.key)
        if trouble is not None and trouble.probe is trial:
            trouble.probe = None

    def _speaks_of_an_outage(self, trial: Trial, error: LLMError) -> bool:
        if not self._failures:
            return False
        if isinstance(error, LLMTimeoutError):
            return self._clock() - trial.began >= _PATIENCE
        if isinstance(error, LLMConnectionError):
            return True
        return error.status_code is not None and error.status_code >= _SERVER_ERROR

    def _count(self, trial: Trial, error: LLMError) -> None:
        trouble, now = self._troubles.setdefault(trial.key, _Trouble()), self._clock()
        together = trial.began <= trouble.counted_at and now - trouble.counted_at < _TOGETHER
        if trouble.probe is trial:
            trouble.opened_at, trouble.probe = now, None
        elif trouble.opened_at is None and not together:
            trouble.failures, trouble.counted_at = trouble.failures + 1, now
            if trouble.failures >= self._failures:
                trouble.opened_at = now
                self._tell(trial, error)

    def _tell(self, trial: Trial, error: LLMError) -> None:
        logger.warning(
            "%s:%s failed %d times in a row, at last with %s: nothing is sent to it for %g s",
            *trial.key,
            self._failures,
            error.error_type,
            self._seconds,
        )

    def circuits(self) -> tuple[Circuit, ...]:
        """The models that have failed lately, for whoever looks after the process."""
        with self._lock:
            return tuple(self._told(key, trouble) for key, trouble in self._troubles.items())

    def _told(self, key: tuple[str, str], trouble: _Trouble) -> Circuit:
        state: CircuitState = "closed"
        cooling = 0.0
        if trouble.opened_at is not None:
            cooling = max(trouble.opened_at + self._seconds - self._clock(), 0.0)
            state = "open" if cooling else "half-open"
        return Circuit(
            provider=key[0],
            model=key[1],
            state=state,
            failures=trouble.failures,
            seconds=cooling,
        )

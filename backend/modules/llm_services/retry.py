"""The one retry layer: how often, how long, and never beyond the deadline.

SDKs and instructor have theirs switched off; what is decided here is the whole of it.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .exceptions import (
    LLMBadResponseError,
    LLMError,
    LLMTimeoutError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)

T = TypeVar("T")

FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0
JITTER = 0.25


@dataclass(slots=True)
class RetryBudget:
    """What one call may still spend: ``retries`` further requests until ``deadline``.

    ``deadline`` is on the clock of `time.monotonic`, in seconds. Without ``resend`` what was or may
    have been paid is not sent again.
    """

    retries: int
    deadline: float
    resend: bool = True
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    _used: int = field(default=0, init=False)
    _bad_responses: int = field(default=0, init=False)

    @property
    def seconds_left(self) -> float:
        """Until the deadline; never negative."""
        return max(self.deadline - self.clock(), 0.0)

    def wait_after(self, error: LLMError) -> float | None:
        """Seconds to wait before the next attempt, or ``None`` to give up now.

        A parameter that the model refused is left out of the next request: that is free. An
        answer that does not fit is asked for again at once. Anything else that is retryable is
        tried again after the time the provider names, or a growing, jittered one; a reply that is
        no answer only once. A wait that cannot end before the deadline is not begun.
        """
        if isinstance(error, LLMUnsupportedParameterError):
            return 0.0 if self.seconds_left else None
        if self._used >= self.retries:
            return None
        wait = self._wait(error)
        if wait is None or wait >= self.seconds_left:
            return None
        self._used += 1
        return wait

    def _wait(self, error: LLMError) -> float | None:
        if isinstance(error, LLMValidationError):
            return 0.0
        if isinstance(error, LLMBadResponseError):
            self._bad_responses += 1
        if not error.retryable or self._bad_responses > 1:
            return None
        if not self.resend and (error.maybe_billed or error.usage is not None):
            return None
        if error.retry_after is not None:
            return error.retry_after
        return self._backoff()

    def _backoff(self) -> float:
        longest = min(FIRST_WAIT * 2.0**self._used, LONGEST_WAIT)
        return longest * (1 - JITTER * self.chance())


async def within(seconds: float, answer: Awaitable[T], deadline: float) -> T:
    """The answer, or an error of ours: the deadline's, or a wrapped one that nobody foresaw.

    ``seconds`` are left of the call's ``deadline``.
    """
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise LLMTimeoutError(
            f"no answer within the deadline of {deadline:g} s", maybe_billed=True
        ) from None
    except LLMError:
        raise
    except Exception as error:
        raise LLMError(
            f"unexpected {type(error).__name__} while calling the provider", maybe_billed=True
        ) from error

"""How often, how long, and never beyond the deadline."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)
from modules.llm_services.retry import FIRST_WAIT, JITTER, LONGEST_WAIT, RetryBudget


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def budget(
    retries: int = 5, seconds: float = 60.0, *, chance: float = 0.0, clock: Clock | None = None
) -> RetryBudget:
    """A budget that starts now."""
    clock = clock or Clock()
    return RetryBudget(retries, clock.now + seconds, clock=clock, chance=lambda: chance)


def waits(spent: RetryBudget, *errors: LLMError) -> list[float | None]:
    """What each of these errors in turn is answered with."""
    return [spent.wait_after(error) for error in errors]


def test_waits_double_up_to_the_longest() -> None:
    """Without a word of the provider the waits grow from half a second to eight."""
    failed = [LLMProviderError("500")] * 8
    assert waits(budget(7), *failed) == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, None]


def test_jitter_only_shortens() -> None:
    """Callers that failed together don't come back together, and never later than said."""
    assert waits(budget(chance=1.0), LLMProviderError("500")) == [FIRST_WAIT * (1 - JITTER)]
    assert waits(budget(chance=0.5), LLMProviderError("500")) == [FIRST_WAIT * (1 - JITTER / 2)]


def test_a_budget_without_retries_gives_up_at_once() -> None:
    """``max_retries=0`` means one request."""
    assert waits(budget(0), LLMRateLimitError("429", retry_after=0.1)) == [None]
    assert waits(budget(0), LLMValidationError("no fit")) == [None]


def test_the_providers_word_counts() -> None:
    """``Retry-After`` goes before the growing wait, and uses up a retry like any other."""
    told = LLMRateLimitError("429", retry_after=3.5)
    assert waits(budget(2, chance=1.0), told, told, told) == [3.5, 3.5, None]
    assert waits(budget(), LLMProviderError("503", retry_after=0.0)) == [0.0]


@pytest.mark.parametrize(
    "error",
    [
        LLMAuthenticationError("401"),
        LLMBadRequestError("400"),
        LLMQuotaExceededError("429"),
        LLMRefusedError("no"),
        LLMTruncatedError("cut"),
        LLMError("unexpected"),
        LLMProviderError("500", retryable=False),
        LLMRateLimitError("429", retryable=False, retry_after=1.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_repeating_does_not_cure_is_not_repeated(error: LLMError) -> None:
    """Only errors that say they are retryable are tried again."""
    assert waits(budget(), error) == [None]


@pytest.mark.parametrize(
    "error",
    [
        LLMTimeoutError("slow"),
        LLMConnectionError("broke"),
        LLMProviderError("500"),
        LLMRateLimitError("429"),
        LLMBadRequestError("400", retryable=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_repeated(error: LLMError) -> None:
    """Errors that say they are retryable are tried again."""
    assert waits(budget(), error) == [FIRST_WAIT]


def test_an_answer_that_does_not_fit_is_asked_for_again_at_once() -> None:
    """Re-asking needs no wait, but counts as a retry."""
    misfit = LLMValidationError("no fit")
    assert waits(budget(2), misfit, misfit, misfit) == [0.0, 0.0, None]


def test_a_reply_that_is_no_answer_is_asked_for_once_more() -> None:
    """A provider that answers rubbish twice will do so a third time; each may have been paid."""
    rubbish = LLMBadResponseError("html")
    assert waits(budget(), rubbish, rubbish) == [FIRST_WAIT, None]
    assert waits(budget(), rubbish, LLMProviderError("500"), rubbish) == [0.5, 1.0, None]


def test_leaving_out_a_refused_parameter_is_free() -> None:
    """A dropped parameter uses up no retry and no time."""
    refused = LLMUnsupportedParameterError("temperature")
    spent = budget(1)
    assert waits(spent, refused, refused, LLMProviderError("500")) == [0.0, 0.0, FIRST_WAIT]
    assert waits(spent, refused, LLMProviderError("500")) == [0.0, None]


@pytest.mark.parametrize("wait", [60.0, 61.0, 1e99, math.inf])
def test_a_wait_that_cannot_end_in_time_is_not_begun(wait: float) -> None:
    """Giving up now is better than giving up at the deadline."""
    assert waits(budget(seconds=60.0), LLMRateLimitError("429", retry_after=wait)) == [None]


def test_a_wait_that_ends_just_in_time_is_begun() -> None:
    """The deadline is the only limit of what a provider may ask for."""
    assert waits(budget(seconds=60.0), LLMRateLimitError("429", retry_after=59.9)) == [59.9]


def test_nothing_is_repeated_after_the_deadline() -> None:
    """When time is up even a re-ask is not begun."""
    clock = Clock()
    spent = budget(seconds=10.0, clock=clock)
    assert spent.seconds_left == 10.0
    clock.now += 10.0
    assert spent.seconds_left == 0.0
    assert waits(spent, LLMValidationError("no fit"), LLMProviderError("500")) == [None, None]
    clock.now += 5.0
    assert spent.seconds_left == 0.0


def test_a_wait_that_was_not_begun_costs_nothing() -> None:
    """Only what is repeated uses up a retry."""
    spent = budget(1, seconds=1.0)
    assert waits(spent, LLMRateLimitError("429", retry_after=5.0)) == [None]
    assert waits(spent, LLMRateLimitError("429", retry_after=0.5)) == [0.5]


def test_the_real_clock_and_chance_are_the_defaults() -> None:
    """Without injected ones a budget runs on the monotonic clock and jitters by itself."""
    wait = RetryBudget(1, math.inf).wait_after(LLMProviderError("500"))
    assert wait is not None
    assert FIRST_WAIT * (1 - JITTER) <= wait <= FIRST_WAIT


_KINDS: list[type[LLMError]] = [
    LLMProviderError,
    LLMRateLimitError,
    LLMTimeoutError,
    LLMBadResponseError,
    LLMValidationError,
    LLMBadRequestError,
    LLMUnsupportedParameterError,
]
_SECONDS = st.floats(0, 200)


def _error(kind: type[LLMError], **facts: Any) -> LLMError:
    return kind("failed", **facts)


@settings(max_examples=300, deadline=None)
@given(
    retries=st.integers(0, 20),
    seconds=st.floats(0.001, 300),
    chance=st.floats(0, 1, exclude_max=True),
    failures=st.lists(
        st.tuples(st.sampled_from(_KINDS), st.none() | _SECONDS, _SECONDS), max_size=60
    ),
)
def test_no_run_of_failures_exceeds_the_budget(
    retries: int,
    seconds: float,
    chance: float,
    failures: list[tuple[type[LLMError], float | None, float]],
) -> None:
    """Whatever happens: no more repetitions than retries, and no wait that ends after the deadline.

    Refused parameters are free, rubbish is repeated once, and no wait exceeds what was said or
    the longest of ours.
    """
    clock = Clock()
    spent = budget(retries, seconds, chance=chance, clock=clock)
    repeated: list[type[LLMError]] = []
    for kind, told, took in failures:
        clock.now += took
        wait = spent.wait_after(_error(kind, retry_after=told))
        if wait is None:
            break
        if kind is LLMUnsupportedParameterError:
            assert wait == 0
            continue
        repeated.append(kind)
        assert 0 <= wait <= (LONGEST_WAIT if told is None else told)
        assert wait < spent.seconds_left
        clock.now += wait
    assert len(repeated) <= retries
    assert repeated.count(LLMBadResponseError) <= 1
    assert LLMBadRequestError not in repeated

"""When a model does not answer: whether another one is asked, and how long each may take."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMCircuitOpenError,
    LLMContextLengthError,
    LLMError,
    LLMInputError,
    LLMNotFoundError,
    LLMQuotaExceededError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMValidationError,
)
from modules.llm_services.types import Call, Candidate, FallbackReason
from modules.llm_services.types.routing import USUAL_REASONS

_REASONS: Mapping[type[LLMError], FallbackReason] = {
    LLMTimeoutError: "timeout",
    LLMQuotaExceededError: "quota",
    LLMCircuitOpenError: "circuit_open",
    LLMContextLengthError: "context_length",
    LLMRefusedError: "refusal",
    LLMNotFoundError: "not_found",
    LLMAuthenticationError: "authentication",
    LLMValidationError: "validation",
}


def with_fallback(
    call: Call, candidates: Iterable[Candidate], reasons: frozenset[FallbackReason] | None = None
) -> Call:
    """The call with the models that are asked after its own, each once."""
    others: dict[tuple[str, str], Candidate] = {}
    for one in candidates:
        others.setdefault(one.key, one)
    others.pop((call.provider, call.model), None)
    said = USUAL_REASONS if reasons is None else reasons
    return replace(call, fallback=tuple(others.values()), fallback_on=said)


def each_model(call: Call) -> Iterator[Call]:
    """The call as each of the models that may answer is asked it."""
    yield call
    for number, one in enumerate(call.fallback, 1):
        parameters = call.parameters if one.parameters is None else one.parameters
        yield replace(
            call,
            provider=one.provider,
            model=one.model,
            parameters=parameters,
            fallback=call.fallback[number:],
        )


def fitting(
    candidates: Iterable[Candidate], fit: Callable[[Candidate], Mapping[str, Any] | None]
) -> Iterator[Candidate]:
    """Those that can take a call, each with the parameters that ``fit`` finds for it.

    One that the caller has named and that cannot is an `LLMInputError`.
    """
    for one in candidates:
        try:
            yield replace(one, parameters=fit(one))
        except LLMInputError as error:
            if one.named:
                raise LLMInputError(f"fallback {one}: {error.message}") from error


def following(call: Call, error: LLMError) -> Call | None:
    """The call as the next model is asked it, or ``None`` when the error is the last word.

    A call that may not be sent again after it may have been paid is not sent to another model
    either.
    """
    if not call.fallback or _reason(error) not in call.fallback_on:
        return None
    if not call.resend and (error.maybe_billed or error.usage is not None):
        return None
    _, another, *_ = each_model(call)
    return another


def _reason(error: LLMError) -> FallbackReason | None:
    named = next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), None)
    return named or ("failure" if error.retryable else None)


def seconds_for(call: Call, seconds_left: float) -> float:
    """How long the call's own model may take: a model that hangs must not leave nothing for those
    that follow.
    """
    if "timeout" not in call.fallback_on:
        return seconds_left
    return seconds_left / (1 + len(call.fallback))

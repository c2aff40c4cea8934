"""Errors of the module as answers to a web application's own clients (RFC 9457)."""

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from modules.shared.problems import problem_response

from .exceptions import (
    LLMAuthenticationError,
    LLMBudgetExceededError,
    LLMCircuitOpenError,
    LLMConfigurationError,
    LLMContextLengthError,
    LLMError,
    LLMIdempotencyError,
    LLMInputError,
    LLMNotFoundError,
    LLMOverloadedError,
    LLMPricingError,
    LLMProviderError,
    LLMRateLimitError,
    LLMRecordingError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMToolRunError,
    LLMTruncatedError,
    LLMValidationError,
)

logger = logging.getLogger(__name__)

STATUS: Mapping[type[LLMError], int] = {
    LLMInputError: 422,
    LLMIdempotencyError: 409,
    LLMContextLengthError: 422,
    LLMRefusedError: 422,
    LLMRateLimitError: 429,
    LLMBudgetExceededError: 429,
    LLMCircuitOpenError: 503,
    LLMOverloadedError: 503,
    LLMRecordingError: 503,
    LLMTimeoutError: 504,
    LLMAuthenticationError: 500,
    LLMConfigurationError: 500,
    LLMNotFoundError: 500,
    LLMPricingError: 500,
    LLMTruncatedError: 502,
    LLMValidationError: 502,
    LLMToolRunError: 502,
    LLMProviderError: 502,
    LLMError: 502,
}
"""The nearest class decides: 4xx the client can mend, 500 we, 502 and 504 are the provider's."""

_BUSY_SECONDS: Mapping[int, int] = {503: 1}
"""When to come back to a service of ours that is busy: nobody else says when."""

_OURS_TO_REPAIR = 500


def llm_problem(error: LLMError, **members: Any) -> JSONResponse:
    """The error as ``application/problem+json``: its safe message and no internals.

    Besides the standard's members it has ``request_id`` (the ledger's row, or null) and
    ``retryable``; ``members`` come on top. ``Retry-After`` is sent as far as a wait is known.
    """
    status = status_of(type(error))
    if status == _OURS_TO_REPAIR:  # the client is not told what is wrong, so somebody else must be
        _tell_operators(error)
    return problem_response(
        status,
        type_=f"urn:problem-type:llm:{error.error_type}",
        title=_spaced(error.error_type),
        detail=error.safe_message,
        headers=_retry_after(error, status),
        request_id=str(error.request_id) if error.request_id else None,
        retryable=error.retryable,
        **members,
    )


async def llm_error_handler(_request: Request, error: Exception) -> JSONResponse:
    """For ``app.add_exception_handler(LLMError, llm_error_handler)``. See `llm_problem`."""
    assert isinstance(error, LLMError)  # noqa: S101 - Starlette types every handler alike
    return llm_problem(error)


def _tell_operators(error: LLMError) -> None:
    from .redaction import safe_error_text

    told = safe_error_text(str(error)).replace("\n", " ")
    logger.error("%s (request_id=%s): %s", type(error).__name__, error.request_id, told)


def status_of(kind: type[LLMError]) -> int:
    """The HTTP status of a class of errors."""
    return next(STATUS[cls] for cls in kind.__mro__ if cls in STATUS)


def _retry_after(error: LLMError, status: int) -> dict[str, str] | None:
    """Whole seconds, rounded up: who comes back then does not come too early."""
    wait = error.retry_after
    known = wait is not None and math.isfinite(wait) and wait >= 0
    seconds = math.ceil(wait) if wait is not None and known else _BUSY_SECONDS.get(status)
    return None if seconds is None else {"Retry-After": str(seconds)}


def _spaced(error_type: str) -> str:
    """``RateLimited`` reads ``Rate limited``."""
    return re.sub(r"(?<!^)[A-Z]", lambda letter: f" {letter[0].lower()}", error_type)

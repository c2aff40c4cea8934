"""What goes wrong with a provider, or with its answer."""

from collections.abc import Sequence
from typing import Any

from modules.llm_services.types import JsonObject, ToolRun

from .base import LLMError


class LLMAuthenticationError(LLMError):
    """The provider does not accept the key (401)."""

    error_type = "Authentication"
    safe_text = "The language model service is not set up correctly."


class LLMPermissionError(LLMAuthenticationError):
    """The key is good but may not use this model or endpoint (403)."""

    error_type = "PermissionDenied"


class LLMRateLimitError(LLMError):
    """Too many requests or tokens (429); ``retry_after`` says how long to wait when it is known."""

    error_type = "RateLimited"
    retryable_by_nature = True
    safe_text = "The language model is busy. Please try again in a moment."


class LLMQuotaExceededError(LLMRateLimitError):
    """The account's credit or hard limit is used up: waiting does not help."""

    error_type = "QuotaExceeded"
    retryable_by_nature = False
    safe_text = "The language model is not available at the moment."


class LLMTimeoutError(LLMError):
    """The deadline of the call passed before an answer was complete."""

    error_type = "Timeout"
    retryable_by_nature = True
    safe_text = "The language model took too long to answer."


class LLMRefusedError(LLMError):
    """The model refused, or a filter stopped the answer; ``partial_text`` holds what was said."""

    error_type = "Refused"
    safe_text = "The language model declined to answer this request."


class LLMTruncatedError(LLMError):
    """The output cap was reached before the answer was usable; raise ``max_tokens``."""

    error_type = "Truncated"
    safe_text = "The answer was too long to be completed."


class LLMValidationError(LLMError):
    """The model's answer does not fit the response model.

    ``errors`` are pydantic's (location, type, message; without inputs), ``last_text`` is the last
    answer as it came.
    """

    error_type = "Validation"
    safe_text = "The language model's answer could not be used."

    def __init__(
        self,
        message: str,
        *,
        errors: Sequence[JsonObject] = (),
        last_text: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, partial_text=last_text, **facts)
        self.errors = list(errors)
        self.last_text = last_text


class LLMToolRunError(LLMError):
    """A run of tools was stopped before the model came to an answer.

    ``limit`` says by what: ``rounds``, ``cost``, ``time``, or ``tool`` for one that failed when
    ``on_tool_error="raise"``, whose exception is the ``__cause__``. ``run`` is what has come of it
    by then. No row has this error: the rows of its rounds are completed.
    """

    error_type = "Interrupted"
    safe_text = "The language model did not come to an answer."

    def __init__(self, message: str, *, limit: str, run: ToolRun, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.limit = limit
        self.run = run


class LLMProviderError(LLMError):
    """The provider failed in a way that no other class describes."""

    retryable_by_nature = True


class LLMConnectionError(LLMProviderError):
    """No connection, or one that broke before the answer was complete."""

    error_type = "Connection"


class LLMStreamCutError(LLMProviderError):
    """A stream ended without a finish reason: ``partial_text`` is what had come by then."""

    error_type = "StreamCut"


class LLMBadResponseError(LLMProviderError):
    """A success status whose body is no answer: not JSON, wrong shape, empty."""

    error_type = "BadResponse"


class LLMBadRequestError(LLMProviderError):
    """The provider refuses the request as it is; sending it again changes nothing."""

    error_type = "BadRequest"
    retryable_by_nature = False
    safe_text = "The request was not valid."


class LLMContextLengthError(LLMBadRequestError):
    """Prompt and output cap together do not fit the model's context."""

    error_type = "ContextLength"
    safe_text = "The text is too long for the language model."


class LLMNotFoundError(LLMBadRequestError):
    """The provider knows no such model or endpoint."""

    error_type = "NotFound"
    safe_text = "The language model service is not set up correctly."


class LLMUnsupportedParameterError(LLMBadRequestError):
    """The model refuses one parameter that can be left out: it is, and the call goes on."""

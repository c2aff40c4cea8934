"""Every error that leaves the module.

::

    LLMError
    ├── LLMInputError                 a bad argument: nothing was sent, no row was written
    │   └── LLMIdempotencyError       the idempotency key belongs to another request or answer
    ├── LLMConfigurationError         the environment does not make sense; names the variable
    ├── LLMPricingError               no price is known for a model that was asked about
    ├── LLMBudgetExceededError        the call may cost more than a budget has left
    ├── LLMRecordingError             the row could not be written first, so nothing was sent
    ├── LLMAuthenticationError        401: the key is wrong
    │   └── LLMPermissionError        403: the key may not do this
    ├── LLMRateLimitError             429: wait and try again
    │   └── LLMQuotaExceededError     429 that waiting does not cure: the credit is used up
    ├── LLMOverloadedError            at a limit for longer than may be waited: nothing was sent
    ├── LLMCircuitOpenError           the model does not answer: nothing was sent, try later
    ├── LLMTimeoutError               the call's deadline passed
    ├── LLMRefusedError               the model refused, or a content filter stopped the answer
    ├── LLMTruncatedError             the output cap was reached before the answer was usable
    ├── LLMValidationError            the answer does not fit the response model, after re-asking
    ├── LLMToolRunError               run_tools reached a limit, or a tool failed; has the run
    └── LLMProviderError              anything else that went wrong at the provider
        ├── LLMConnectionError        the network failed
        ├── LLMStreamCutError         a stream ended before the answer did
        ├── LLMBadResponseError       a success status whose body is no answer
        └── LLMBadRequestError        the provider refuses the request as it is
            ├── LLMContextLengthError       the prompt is too long for the model
            ├── LLMNotFoundError            no such model or endpoint
            └── LLMUnsupportedParameterError  one parameter is refused; it is dropped once

A caller that only wants to know "shall I try again" reads ``retryable``; one that bills reads
``usage``, ``cost`` and ``maybe_billed``. ``safe_message`` may be shown to an end user.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from .types import JsonObject, ToolRun, Usage
from .types.budgets import BudgetShortage


class LLMError(Exception):
    """Base of all errors of the module.

    ``error_type`` is what the ledger's column of that name holds. ``retry_after`` is in seconds,
    ``cost`` in USD. ``maybe_billed`` says that the provider may have produced, and charged for,
    an answer that never arrived.
    """

    error_type: ClassVar[str] = "ProviderError"
    retryable_by_nature: ClassVar[bool] = False
    safe_text: ClassVar[str] = "The language model could not answer this request."

    def __init__(
        self,
        message: str,
        *,
        request_id: UUID | None = None,
        provider: str | None = None,
        model: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        param: str | None = None,
        provider_request_id: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        maybe_billed: bool = False,
        usage: Usage | None = None,
        cost: Decimal | None = None,
        partial_text: str | None = None,
        response_body: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.provider = provider
        self.model = model
        self.status_code = status_code
        self.code = code
        self.param = param
        self.provider_request_id = provider_request_id
        self.retryable = self.retryable_by_nature if retryable is None else retryable
        self.retry_after = retry_after
        self.maybe_billed = maybe_billed
        self.usage = usage
        self.cost = cost
        self.partial_text = partial_text
        self.response_body = response_body

    @property
    def safe_message(self) -> str:
        """A sentence for end users: no provider, no payload, no identifier."""
        return self.safe_text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


def _rebuild(cls: type[LLMError], message: str, state: Mapping[str, Any]) -> LLMError:
    """Unpickle without calling a constructor whose keywords differ between subclasses."""
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class LLMInputError(LLMError):
    """An argument is wrong: the message names it and says what would be right."""

    error_type = "BadRequest"
    safe_text = "The request was not valid."


class LLMIdempotencyError(LLMInputError):
    """The idempotency key was used before, and its answer cannot be given again.

    Either for another request, or for this one, whose answer the ledger does not hold whole:
    ``request_id`` is the row that has the key. Nothing was sent. With another key it would be
    paid for again.
    """


class LLMConfigurationError(LLMError):
    """The configuration does not make sense. Raised when it is loaded, with every fault at once."""

    error_type = "BadRequest"
    safe_text = "The language model service is not set up correctly."


class LLMPricingError(LLMError):
    """No price is known for the model, so a cost cannot be estimated."""

    safe_text = "The cost of this request is not known."


class LLMBudgetExceededError(LLMError):
    """The call may cost more than a budget has left, or nobody can say: nothing was sent.

    ``budget`` says which, its limit and what is used of it; ``retry_after`` is the seconds until
    its period ends.
    """

    error_type = "BudgetExceeded"
    safe_text = "The limit of this service is reached. Please try again later."

    def __init__(self, message: str, *, budget: BudgetShortage | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.budget = budget


class LLMRecordingError(LLMError):
    """The ledger could not take the row, so nothing was sent and nothing was paid."""

    error_type = "Overloaded"
    retryable_by_nature = True
    safe_text = "The service is busy. Please try again."


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


class LLMOverloadedError(LLMError):
    """The model's limits leave at a limit for longer than may be waited: nothing was sent."""

    error_type = "Overloaded"
    retryable_by_nature = True
    safe_text = "The service is busy. Please try again in a moment."


class LLMCircuitOpenError(LLMError):
    """The model has not answered lately, so nothing was sent; it is tried after ``retry_after``."""

    error_type = "CircuitOpen"
    retryable_by_nature = True
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

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

from .base import LLMError
from .ours import (
    LLMBudgetExceededError,
    LLMCircuitOpenError,
    LLMConfigurationError,
    LLMIdempotencyError,
    LLMInputError,
    LLMOverloadedError,
    LLMPricingError,
    LLMRecordingError,
)
from .providers import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMContextLengthError,
    LLMNotFoundError,
    LLMPermissionError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMStreamCutError,
    LLMTimeoutError,
    LLMToolRunError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)

__all__ = [
    "LLMAuthenticationError",
    "LLMBadRequestError",
    "LLMBadResponseError",
    "LLMBudgetExceededError",
    "LLMCircuitOpenError",
    "LLMConfigurationError",
    "LLMConnectionError",
    "LLMContextLengthError",
    "LLMError",
    "LLMIdempotencyError",
    "LLMInputError",
    "LLMNotFoundError",
    "LLMOverloadedError",
    "LLMPermissionError",
    "LLMPricingError",
    "LLMProviderError",
    "LLMQuotaExceededError",
    "LLMRateLimitError",
    "LLMRecordingError",
    "LLMRefusedError",
    "LLMStreamCutError",
    "LLMTimeoutError",
    "LLMToolRunError",
    "LLMTruncatedError",
    "LLMUnsupportedParameterError",
    "LLMValidationError",
]

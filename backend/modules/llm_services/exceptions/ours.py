"""What the module itself refuses: nothing was sent, and nothing was paid."""

from typing import Any

from modules.llm_services.types.budgets import BudgetShortage

from .base import LLMError


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


class LLMOverloadedError(LLMError):
    """The model is at its limits for longer than may be waited: nothing was sent."""

    error_type = "Overloaded"
    retryable_by_nature = True
    safe_text = "The service is busy. Please try again in a moment."


class LLMCircuitOpenError(LLMError):
    """The model has not answered lately, so nothing was sent; it is tried after ``retry_after``."""

    error_type = "CircuitOpen"
    retryable_by_nature = True
    safe_text = "The language model is not available at the moment."

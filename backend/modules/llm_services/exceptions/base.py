"""What every error of the module carries."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from modules.llm_services.types import Usage


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

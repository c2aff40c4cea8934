"""The one file of this module that siblings import.

::

    from modules.llm_services.public import GeneratesText, LLMMessageDTO, llm_services_provider

    @router.post("/summaries")
    async def summarise(body: Text, llm: GeneratesText = Depends(llm_services_provider)) -> str:
        response, request_id = await llm.generate_response(
            [LLMMessageDTO(role="user", content=f"Summarise:\\n{body.text}")], feature="summaries"
        )
        return response.content

Ask for as little as you need: `LLMServicesProvider` is made of small Protocols.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar, Unpack
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel
from sqlalchemy.orm import Session

from modules.shared.db import get_engine, get_session, session_factory

from .exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMContextLengthError,
    LLMError,
    LLMInputError,
    LLMNotFoundError,
    LLMPermissionError,
    LLMPricingError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRecordingError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)
from .repo import LLMRequestRepo
from .service import LLMService
from .types import GenerationOptions, LLMMessageDTO, LLMRequestDTO, LLMResponseDTO, MessageRole
from .wiring import hold, release

T = TypeVar("T", bound=BaseModel)


class GeneratesText(Protocol):
    """Answers a conversation with text."""

    async def generate_response(
        self,
        messages: Sequence[LLMMessageDTO],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> tuple[LLMResponseDTO, UUID]:
        """Ask a model and record it.

        Args:
            messages: the conversation, at least one message.
            user_id: for whom; written on the row, never sent.
            model: a role (``fast``, ``smart``), ``provider:model`` or a model's name; the
                configured one by default.
            temperature: 0 to 2; left out for models that refuse it (see ``dropped_params``).
            max_tokens: cap on visible plus reasoning tokens.
            options: see `GenerationOptions`.

        Returns:
            The response, and the id of its row in the ledger.

        Raises:
            LLMInputError: an argument is wrong; nothing was sent and no row was written.
            LLMError: another subclass says what went wrong; ``error.request_id`` is the row.

        """
        ...


class GeneratesStructured(Protocol):
    """Answers a conversation with an instance of a Pydantic model."""

    async def generate_structured_response(
        self,
        messages: Sequence[LLMMessageDTO],
        response_model: type[T],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> tuple[T, UUID]:
        """Ask a model for an object and record it.

        An answer that does not fit is asked for again with the errors, within ``max_retries``
        and the same deadline; a refused or cut-off one is not. Arguments as for
        `GeneratesText.generate_response`, and ``response_model``, a subclass of `BaseModel`.

        Returns:
            The instance, and the id of its row in the ledger.

        Raises:
            LLMValidationError: the last answer did not fit; carries pydantic's errors and the text.
            LLMRefusedError: the model declined.
            LLMTruncatedError: the cap was reached first.
            LLMError: as for `GeneratesText.generate_response`.

        """
        ...


class ReadsLedger(Protocol):
    """Reads what was asked and answered, through the session that was handed in."""

    def get_request(self, request_id: UUID) -> LLMRequestDTO | None:
        """One request with its messages and answer, or ``None``.

        It is found by its id alone: compare ``user_id`` before showing it to a user.
        """
        ...

    def get_user_requests(
        self, user_id: UUID, limit: int = 50, offset: int = 0
    ) -> list[LLMRequestDTO]:
        """A user's requests, newest first, without the wide columns. ``limit`` is 200 at most."""
        ...


class EstimatesCost(Protocol):
    """Says what a request will probably cost."""

    def estimate_cost(self, messages: Sequence[LLMMessageDTO], model: str | None = None) -> float:
        """USD for the prompt and an answer as long as the model's answers usually are.

        Raises:
            LLMPricingError: the model's price is not known; the answer is never 0 for that.

        """
        ...


class LLMServicesProvider(GeneratesText, GeneratesStructured, ReadsLedger, EstimatesCost, Protocol):
    """All that the module offers."""


def llm_services_provider(session: Session = Depends(get_session)) -> LLMServicesProvider:
    """FastAPI's way in: ``llm: LLMServicesProvider = Depends(llm_services_provider)``.

    The session serves the reads. The ledger is written to the same database through connections
    of its own: it survives your rollback, and your work is never committed by us. Commit before
    you await a model, or your session holds its connection all the while.
    """
    return LLMService(LLMRequestRepo(session))


@asynccontextmanager
async def open_llm_services() -> AsyncIterator[LLMServicesProvider]:
    """The same outside FastAPI, for workers and scripts, on the database of ``DATABASE_URL``."""
    runtime = hold(get_engine())
    try:
        with session_factory()() as session:
            yield LLMService(LLMRequestRepo(session), runtime=runtime, owns_session=True)
    finally:
        await release(runtime)


@asynccontextmanager
async def llm_services_lifespan() -> AsyncIterator[None]:
    """For an application's lifespan: a wrong configuration fails at start, not at the first call,
    and what the ledger still has to write is written before the process ends.
    """
    runtime = hold(get_engine())
    try:
        yield
    finally:
        await release(runtime)


__all__ = [
    "EstimatesCost",
    "GeneratesStructured",
    "GeneratesText",
    "GenerationOptions",
    "LLMAuthenticationError",
    "LLMBadRequestError",
    "LLMBadResponseError",
    "LLMConfigurationError",
    "LLMConnectionError",
    "LLMContextLengthError",
    "LLMError",
    "LLMInputError",
    "LLMMessageDTO",
    "LLMNotFoundError",
    "LLMPermissionError",
    "LLMPricingError",
    "LLMProviderError",
    "LLMQuotaExceededError",
    "LLMRateLimitError",
    "LLMRecordingError",
    "LLMRefusedError",
    "LLMRequestDTO",
    "LLMResponseDTO",
    "LLMServicesProvider",
    "LLMTimeoutError",
    "LLMTruncatedError",
    "LLMUnsupportedParameterError",
    "LLMValidationError",
    "MessageRole",
    "ReadsLedger",
    "llm_services_lifespan",
    "llm_services_provider",
    "open_llm_services",
]

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

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import Depends
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
    LLMStreamCutError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)
from .protocols import (
    EstimatesCost,
    GeneratesStructured,
    GeneratesText,
    ObjectStream,
    ReadsLedger,
    StreamsStructured,
    StreamsText,
    TextStream,
)
from .repo import LLMRequestRepo
from .service import LLMService
from .types import GenerationOptions, LLMMessageDTO, LLMRequestDTO, LLMResponseDTO, MessageRole
from .types.stream import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from .wiring import hold, release


class LLMServicesProvider(
    GeneratesText,
    GeneratesStructured,
    StreamsText,
    StreamsStructured,
    ReadsLedger,
    EstimatesCost,
    Protocol,
):
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
    "LLMStreamCutError",
    "LLMTimeoutError",
    "LLMTruncatedError",
    "LLMUnsupportedParameterError",
    "LLMValidationError",
    "MessageRole",
    "ObjectStream",
    "ReadsLedger",
    "ReasoningDelta",
    "StreamEvent",
    "StreamsStructured",
    "StreamsText",
    "TextDelta",
    "TextStream",
    "ToolCallDelta",
    "llm_services_lifespan",
    "llm_services_provider",
    "open_llm_services",
]

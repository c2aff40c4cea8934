"""The one file of this module that siblings import.

::

    from modules.llm_services.public import GeneratesText, LLMMessageDTO, llm_services_provider

    @router.post("/summaries")
    async def summarise(body: Text, llm: GeneratesText = Depends(llm_services_provider)) -> str:
        question = [LLMMessageDTO(role="user", content=f"Summarise:\\n{body.text}")]
        return (await llm.generate_response(question))[0].content

Ask for as little as you need: `LLMServicesProvider` is made of small Protocols.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends
from sqlalchemy.orm import Session

from modules.shared.db import get_engine, get_session, session_factory

from .attribution import attribution
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
    LLMToolRunError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)
from .protocols import (
    AuditsCosts,
    EstimatesCost,
    GeneratesAudio,
    GeneratesEmbeddings,
    GeneratesImages,
    GeneratesStructured,
    GeneratesText,
    LLMServicesAdminProvider,
    LLMServicesProvider,
    ObjectStream,
    OverviewsLedger,
    PurgesLedger,
    ReadsLedger,
    ReportsUsage,
    RunsBatches,
    RunsTools,
    SearchesWeb,
    StreamsStructured,
    StreamsText,
    TextStream,
    TranscribesAudio,
)
from .repo import LLMRequestRepo
from .service import LLMAdminService, LLMService
from .types import (
    AttributionValues,
    AudioPart,
    ContentPart,
    DocumentPart,
    ErasureReport,
    GenerationOptions,
    ImagePart,
    LLMMessageDTO,
    LLMRequestDTO,
    LLMResponseDTO,
    MessageRole,
    PayloadMode,
    PurgeReport,
    ReasoningItem,
    TextPart,
    Tool,
    ToolCall,
    ToolResult,
    ToolRun,
    ToolRunOptions,
    ToolSpec,
)
from .types.audio import (
    AudioFile,
    AudioFormat,
    GeneratedAudio,
    SpeechOptions,
    Transcript,
    TranscriptionOptions,
    TranscriptSegment,
)
from .types.batch import (
    BatchDTO,
    BatchOptions,
    BatchRequest,
    BatchResult,
    BatchState,
    BatchStatusDTO,
)
from .types.embeddings import EmbeddingOptions
from .types.images import GeneratedImage, ImageEditOptions, ImageOptions, Picture
from .types.money import ReconcileReport, RecostReport
from .types.paging import RequestFilter, RequestPage
from .types.search import (
    SearchAnswer,
    SearchCitation,
    SearchLocation,
    SearchOptions,
    SearchResult,
)
from .types.stream import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from .types.usage_report import (
    UsageRow,
    UsageTotals,
)
from .web import AttributionMiddleware, attribute_requests
from .wiring import held, media_store


def llm_services_provider(session: Session = Depends(get_session)) -> LLMServicesProvider:
    """FastAPI's way in: ``llm: LLMServicesProvider = Depends(llm_services_provider)``.

    The session serves the reads. The ledger is written to the same database through connections
    of its own: it survives your rollback, and your work is never committed by us. Commit before
    you await a model, or your session holds its connection all the while.
    """
    return LLMService(LLMRequestRepo(session))


def llm_services_admin_provider(
    session: Session = Depends(get_session),
) -> LLMServicesAdminProvider:
    """FastAPI's way in for operators. It reads everybody's rows: the route must be protected by a
    dependency of yours.
    """
    return LLMAdminService(LLMRequestRepo(session))


@asynccontextmanager
async def open_llm_services() -> AsyncIterator[LLMServicesProvider]:
    """The same outside FastAPI, for workers and scripts, on the database of ``DATABASE_URL``."""
    async with held(get_engine()) as runtime:
        with session_factory()() as session:
            yield LLMService(LLMRequestRepo(session), runtime=runtime, owns_session=True)


@asynccontextmanager
async def open_llm_services_admin() -> AsyncIterator[LLMServicesAdminProvider]:
    """The operators' door outside FastAPI, on the database of ``DATABASE_URL``."""
    async with held(get_engine()) as runtime:
        with session_factory()() as session:
            yield LLMAdminService(LLMRequestRepo(session), runtime=runtime, owns_session=True)


@asynccontextmanager
async def llm_services_lifespan() -> AsyncIterator[None]:
    """For an application's lifespan: a wrong configuration fails at start, not at the first call,
    and what the ledger still has to write is written before the process ends.
    """
    async with held(get_engine()):
        yield


def read_image(url: str) -> GeneratedImage:
    """The bytes and the media type of a picture by the URL that `GeneratesImages` gave out.

    Reads ``data:`` URLs, files inside ``LLM_MEDIA_DIR``, and URLs below ``LLM_MEDIA_BASE_URL`` (as
    the files that they stand for). Nothing is fetched from the network: the URL of a provider is
    yours to fetch. Blocks while a file is read.

    Raises:
        LLMInputError: any other URL, or something there that is no PNG, JPEG, WebP or GIF.
        LLMConfigurationError: the settings of the media folder do not make sense.

    """
    return media_store().read(url)


__all__ = [
    "AttributionMiddleware",
    "AttributionValues",
    "AudioFile",
    "AudioFormat",
    "AudioPart",
    "AuditsCosts",
    "BatchDTO",
    "BatchOptions",
    "BatchRequest",
    "BatchResult",
    "BatchState",
    "BatchStatusDTO",
    "ContentPart",
    "DocumentPart",
    "EmbeddingOptions",
    "ErasureReport",
    "EstimatesCost",
    "GeneratedAudio",
    "GeneratedImage",
    "GeneratesAudio",
    "GeneratesEmbeddings",
    "GeneratesImages",
    "GeneratesStructured",
    "GeneratesText",
    "GenerationOptions",
    "ImageEditOptions",
    "ImageOptions",
    "ImagePart",
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
    "LLMServicesAdminProvider",
    "LLMServicesProvider",
    "LLMStreamCutError",
    "LLMTimeoutError",
    "LLMToolRunError",
    "LLMTruncatedError",
    "LLMUnsupportedParameterError",
    "LLMValidationError",
    "MessageRole",
    "ObjectStream",
    "OverviewsLedger",
    "PayloadMode",
    "Picture",
    "PurgeReport",
    "PurgesLedger",
    "ReadsLedger",
    "ReasoningDelta",
    "ReasoningItem",
    "ReconcileReport",
    "RecostReport",
    "ReportsUsage",
    "RequestFilter",
    "RequestPage",
    "RunsBatches",
    "RunsTools",
    "SearchAnswer",
    "SearchCitation",
    "SearchLocation",
    "SearchOptions",
    "SearchResult",
    "SearchesWeb",
    "SpeechOptions",
    "StreamEvent",
    "StreamsStructured",
    "StreamsText",
    "TextDelta",
    "TextPart",
    "TextStream",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "ToolRun",
    "ToolRunOptions",
    "ToolSpec",
    "TranscribesAudio",
    "Transcript",
    "TranscriptSegment",
    "TranscriptionOptions",
    "UsageRow",
    "UsageTotals",
    "attribute_requests",
    "attribution",
    "llm_services_admin_provider",
    "llm_services_lifespan",
    "llm_services_provider",
    "open_llm_services",
    "open_llm_services_admin",
    "read_image",
]

"""The words that the whole module speaks: messages, options, usage and the frozen call.

Nothing here imports another room, a vendor's SDK or the database.
"""

from .audio import (
    AudioFile,
    AudioFormat,
    GeneratedAudio,
    Recording,
    SpeechOptions,
    Transcript,
    TranscriptionOptions,
    TranscriptSegment,
)
from .basic import JsonObject, JsonValue, LLMProviderType, MessageRole, RequestStatus
from .batch import (
    BatchDTO,
    BatchOptions,
    BatchPlace,
    BatchRequest,
    BatchResult,
    BatchState,
    BatchStatusDTO,
)
from .cache import CachePolicy, CacheScope, CacheStatistics, CacheUse
from .call import Attribution, AttributionValues, Call
from .embeddings import EmbeddingOptions
from .idempotency import KeyClaim
from .images import GeneratedImage, GivenImages, ImageEditOptions, ImageOptions, Picture
from .messages import LLMMessageDTO
from .money import ReconcileReport, RecostReport
from .options import (
    GenerationOptions,
    GenerationParameters,
    ReasoningEffort,
    ServiceTier,
    ToolRunOptions,
    Verbosity,
)
from .parts import AudioPart, ContentPart, DocumentPart, ImagePart, MediaPart, TextPart
from .payload import ErasureReport, PayloadMode, PurgeReport, mode_of, stricter
from .reasoning import ReasoningItem
from .results import LLMRequestDTO, LLMResponseDTO
from .routing import Candidate, FallbackReason, Strategy
from .search import (
    SearchAnswer,
    SearchCitation,
    SearchContextSize,
    SearchLocation,
    SearchOptions,
    SearchRecency,
    SearchResult,
    SearchSource,
)
from .tool_runs import ToolResult, ToolRun
from .tools import Tool, ToolCall, ToolChoice, ToolSpec
from .usage import Usage

LLMMessage = LLMMessageDTO
"""Legacy name of `LLMMessageDTO`."""
LLMResponse = LLMResponseDTO
"""Legacy name of `LLMResponseDTO`."""

__all__ = [
    "Attribution",
    "AttributionValues",
    "AudioFile",
    "AudioFormat",
    "AudioPart",
    "BatchDTO",
    "BatchOptions",
    "BatchPlace",
    "BatchRequest",
    "BatchResult",
    "BatchState",
    "BatchStatusDTO",
    "CachePolicy",
    "CacheScope",
    "CacheStatistics",
    "CacheUse",
    "Call",
    "Candidate",
    "ContentPart",
    "DocumentPart",
    "EmbeddingOptions",
    "ErasureReport",
    "FallbackReason",
    "GeneratedAudio",
    "GeneratedImage",
    "GenerationOptions",
    "GenerationParameters",
    "GivenImages",
    "ImageEditOptions",
    "ImageOptions",
    "ImagePart",
    "JsonObject",
    "JsonValue",
    "KeyClaim",
    "LLMMessage",
    "LLMMessageDTO",
    "LLMProviderType",
    "LLMRequestDTO",
    "LLMResponse",
    "LLMResponseDTO",
    "MediaPart",
    "MessageRole",
    "PayloadMode",
    "Picture",
    "PurgeReport",
    "ReasoningEffort",
    "ReasoningItem",
    "ReconcileReport",
    "Recording",
    "RecostReport",
    "RequestStatus",
    "SearchAnswer",
    "SearchCitation",
    "SearchContextSize",
    "SearchLocation",
    "SearchOptions",
    "SearchRecency",
    "SearchResult",
    "SearchSource",
    "ServiceTier",
    "SpeechOptions",
    "Strategy",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "ToolRun",
    "ToolRunOptions",
    "ToolSpec",
    "Transcript",
    "TranscriptSegment",
    "TranscriptionOptions",
    "Usage",
    "Verbosity",
    "mode_of",
    "stricter",
]

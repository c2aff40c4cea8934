"""The words that the whole module speaks: messages, options, usage and the frozen call.

Nothing here imports another room, a vendor's SDK or the database.
"""

from .basic import JsonObject, JsonValue, LLMProviderType, MessageRole, RequestStatus
from .call import Attribution, Call
from .messages import LLMMessageDTO
from .options import (
    GenerationOptions,
    GenerationParameters,
    ReasoningEffort,
    ServiceTier,
    Verbosity,
)
from .results import LLMRequestDTO, LLMResponseDTO
from .usage import Usage

LLMMessage = LLMMessageDTO
"""Legacy name of `LLMMessageDTO`."""
LLMResponse = LLMResponseDTO
"""Legacy name of `LLMResponseDTO`."""

__all__ = [
    "Attribution",
    "Call",
    "GenerationOptions",
    "GenerationParameters",
    "JsonObject",
    "JsonValue",
    "LLMMessage",
    "LLMMessageDTO",
    "LLMProviderType",
    "LLMRequestDTO",
    "LLMResponse",
    "LLMResponseDTO",
    "MessageRole",
    "ReasoningEffort",
    "RequestStatus",
    "ServiceTier",
    "Usage",
    "Verbosity",
]

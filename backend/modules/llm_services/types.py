"""The words that the whole module speaks: messages, options, usage and the frozen call.

Nothing here imports another room, a vendor's SDK or the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias, TypedDict
from uuid import UUID

from pydantic import BaseModel, ConfigDict, SkipValidation

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object from or for the wire. Its values are checked where they are read."""
_Stored: TypeAlias = Annotated[JsonObject | None, SkipValidation]
_StoredList: TypeAlias = Annotated[list[JsonObject] | None, SkipValidation]

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity = Literal["low", "medium", "high"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]


class MessageRole(StrEnum):
    """Who speaks. ``developer`` is what newer OpenAI models call ``system``; both are accepted."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class LLMProviderType(StrEnum):
    """The vendors with a name of their own here; ``providers`` in the configuration adds more."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"


class RequestStatus(StrEnum):
    """``pending`` while the provider may still answer, then exactly one of the other three."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LLMMessageDTO(BaseModel):
    """One message of a conversation.

    Its fields are checked when it is sent, not when it is made, so that the error can say which
    message of the list was wrong and is always an ``LLMInputError``.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    role: Annotated[str, SkipValidation]
    content: Annotated[str, SkipValidation] = ""
    name: Annotated[str | None, SkipValidation] = None


class GenerationParameters(TypedDict, total=False):
    """What is said to the model about how to answer, in neutral names (adapters translate)."""

    temperature: float
    max_tokens: int
    top_p: float
    frequency_penalty: float
    presence_penalty: float
    stop: str | Sequence[str]
    seed: int
    logit_bias: Mapping[str, float]
    reasoning_effort: ReasoningEffort
    verbosity: Verbosity
    service_tier: ServiceTier
    prompt_cache_key: str
    metadata: Mapping[str, str]


class GenerationOptions(TypedDict, total=False):
    """The closed set of keyword parameters of ``generate_response`` and its structured twin.

    ``top_p`` .. ``metadata`` go to the model. ``timeout`` (seconds, for the whole call with its
    retries) and ``max_retries`` override the configuration. ``feature``, ``tenant``,
    ``conversation_id`` and ``context`` are written on the row and never sent.
    """

    top_p: float
    frequency_penalty: float
    presence_penalty: float
    stop: str | Sequence[str]
    seed: int
    logit_bias: Mapping[str, float]
    reasoning_effort: ReasoningEffort
    verbosity: Verbosity
    service_tier: ServiceTier
    prompt_cache_key: str
    metadata: Mapping[str, str]
    timeout: float
    max_retries: int
    feature: str
    tenant: str
    conversation_id: str
    context: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them, by the subset rule.

    ``prompt_tokens`` includes cached and written ones, ``completion_tokens`` includes reasoning.
    ``None`` means "not reported", which is not the same as a reported zero.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Prompt plus completion; ``None`` when neither was reported."""
        return _sum(self.prompt_tokens, self.completion_tokens)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=_sum(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_sum(self.completion_tokens, other.completion_tokens),
            cache_read_tokens=_sum(self.cache_read_tokens, other.cache_read_tokens),
            cache_write_tokens=_sum(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens=_sum(self.reasoning_tokens, other.reasoning_tokens),
        )

    def as_dict(self) -> dict[str, int]:
        """The reported classes only, as the row's ``attempts`` keep them."""
        return {name: count for name, count in asdict(self).items() if count is not None}


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """For whom and for what a call is made: written on the row, never sent to a provider."""

    user_id: UUID | None = None
    feature: str | None = None
    tenant: str | None = None
    conversation_id: str | None = None
    context: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it goes down the road: checked, resolved, frozen.

    ``timeout`` is the deadline of the whole call in seconds, ``max_retries`` the HTTP requests
    allowed after the first (retries and re-asks together).
    """

    id: UUID
    operation: str
    provider: str
    model: str
    requested_model: str | None
    messages: tuple[LLMMessageDTO, ...]
    parameters: GenerationParameters
    timeout: float
    max_retries: int
    output_type: type[BaseModel] | None = None
    attribution: Attribution = field(default_factory=Attribution)


class LLMResponseDTO(BaseModel):
    """What a model answered, and what it took.

    ``model`` is the model that was asked, ``response_model`` the (often dated) one that answered.
    Costs are USD; ``cost_estimate`` is ``None`` when the price is not known, never 0.
    Token classes follow the subset rule of `Usage`. ``execution_time_ms`` covers all attempts.
    ``dropped_params`` names parameters that the model refuses and that were therefore not sent.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    content: str
    provider: str
    model: str
    response_model: str | None = None
    tokens_used: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_estimate: float | None = None
    finish_reason: str | None = None
    execution_time_ms: int | None = None
    attempts: int = 1
    cached: bool = False
    dropped_params: tuple[str, ...] = ()


class LLMRequestDTO(BaseModel):
    """A row of the ledger. ``messages``, ``response_content`` and ``response_raw`` are wide and
    filled only by ``get_request``; lists leave them ``None``. Times are aware, in UTC. JSON columns
    come as they are stored: an older engine may have written them.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: UUID
    user_id: UUID | None
    created_at: datetime
    completed_at: datetime | None
    status: str
    provider: str
    model: str
    requested_model: str | None
    response_model: str | None
    operation: str
    temperature: float
    max_tokens: int
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_used: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_estimate: float | None
    cost_source: str | None
    price_ref: str | None
    cost_details: _Stored
    usage_details: _Stored
    execution_time_ms: int | None
    finish_reason: str | None
    error_type: str | None
    error_message: str | None
    http_status: int | None
    provider_request_id: str | None
    retry_attempt: int
    attempts: _StoredList
    maybe_paid: bool
    cached: bool
    conversation_id: str | None
    feature: str | None
    tenant: str | None
    context_data: _Stored
    additional_params: _Stored
    dropped_params: Annotated[list[str] | None, SkipValidation]
    input_preview: str | None
    output_preview: str | None
    messages: _StoredList = None
    response_content: str | None = None
    response_raw: _Stored = None


LLMMessage = LLMMessageDTO
"""Legacy name of `LLMMessageDTO`."""
LLMResponse = LLMResponseDTO
"""Legacy name of `LLMResponseDTO`."""

"""What comes back: an answer, and a row of the ledger."""

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import ConfigDict, SkipValidation

from .basic import JsonObject
from .frozen import Frozen
from .messages import LLMMessageDTO
from .reasoning import ReasoningItem
from .tools import ToolCall

_Stored: TypeAlias = Annotated[JsonObject | None, SkipValidation]
_StoredList: TypeAlias = Annotated[list[JsonObject] | None, SkipValidation]


class LLMResponseDTO(Frozen):
    """What a model answered, and what it took.

    ``model`` is the model that was asked, ``response_model`` the (often dated) name by which it
    answered. ``requested_model`` is the caller's word where that says something else;
    ``fallback_from`` the ``provider:model`` that was to answer when another one had to.
    Costs are USD; ``cost_estimate`` is ``None`` when the price is not known, never 0.
    Token classes follow the subset rule of `Usage`. ``execution_time_ms`` covers all attempts.
    ``dropped_params`` names parameters that the model refuses and that were therefore not sent;
    ``include`` and ``reasoning``: its sealed reasoning was not handed out, or could not go back.
    ``tool_calls`` are what the model asks to have called; an answer of calls may have no text.
    ``reasoning`` is what it thought, sealed, when tools were offered: ``as_message`` carries it on.
    A ``cached`` answer was given before: it took no tokens and cost nothing.
    """

    model_config = ConfigDict(from_attributes=True)

    content: str
    provider: str
    model: str
    requested_model: str | None = None
    fallback_from: str | None = None
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
    time_to_first_token_ms: int | None = None
    attempts: int = 1
    cached: bool = False
    dropped_params: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[ReasoningItem, ...] = ()

    def as_message(self) -> LLMMessageDTO:
        """The answer as the assistant's message, to go on from."""
        return LLMMessageDTO(
            role="assistant",
            content=self.content,
            tool_calls=self.tool_calls,
            reasoning=self.reasoning,
        )


class LLMRequestDTO(Frozen):
    """A row of the ledger. ``messages``, ``response_content`` and ``response_raw`` are wide and
    filled only by ``get_request``; lists leave them ``None``. Times are aware, in UTC. JSON columns
    come as they are stored: an older engine may have written them.

    A ``cached`` row took its answer from the row ``cached_from_id``: no tokens, no cost, and
    ``saved_cost`` USD saved. ``cache_key`` is there for all calls that the cache might answer.
    ``provider`` and ``model`` are those that answered, or were asked last; ``fallback_from`` is the
    ``provider:model`` that was to answer when that was another. A row with ``replay_of`` tried that
    row's request on another model: sums of money leave it out.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: UUID | None
    created_at: datetime
    completed_at: datetime | None
    status: str
    provider: str
    model: str
    requested_model: str | None
    fallback_from: str | None
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
    usage_source: str | None
    cost_estimate: float | None
    cost_source: str | None
    price_ref: str | None
    cost_details: _Stored
    usage_details: _Stored
    execution_time_ms: int | None
    time_to_first_token_ms: int | None
    finish_reason: str | None
    error_type: str | None
    error_message: str | None
    http_status: int | None
    provider_request_id: str | None
    retry_attempt: int
    attempts: _StoredList
    maybe_paid: bool
    cached: bool
    cache_key: str | None
    cached_from_id: UUID | None
    saved_cost: float | None
    stream: bool
    batch_id: UUID | None
    replay_of: UUID | None
    service_tier: str | None
    conversation_id: str | None
    feature: str | None
    tenant: str | None
    trace_id: str | None
    span_id: str | None
    payload_state: str
    context_data: _Stored
    additional_params: _Stored
    dropped_params: Annotated[list[str] | None, SkipValidation]
    input_preview: str | None
    output_preview: str | None
    messages: _StoredList = None
    response_content: str | None = None
    response_raw: _Stored = None

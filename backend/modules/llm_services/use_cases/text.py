"""Text, or an object, for a conversation."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar, Unpack, cast
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.calls import CallArguments
from modules.llm_services.idempotency import Settled
from modules.llm_services.providers.base import Reply
from modules.llm_services.recording import Outcome
from modules.llm_services.types import (
    Call,
    GenerationOptions,
    LLMMessageDTO,
    LLMResponseDTO,
    ReasoningItem,
)

from .base import UseCases
from .routed import Asks

T = TypeVar("T", bound=BaseModel)


class Conversations(UseCases):
    """Makes calls that are answered with words."""

    async def _run(self, call: Call) -> tuple[Outcome, UUID]:
        """Every kind of call: the provider's adapter, then the road; and the row's id."""
        self._warn_about_open_transaction()
        call, invoke = await self._route(call, self._asks_text)
        ask = partial(self._runtime.executor.run, invoke=invoke)
        return await self._runtime.once(call, ask, Settled.outcome)

    async def _asks_text(self, call: Call) -> Asks[Reply]:
        return (await self._provider_for(call)).generate_text


class TextUseCases(Conversations):
    """Implements `GeneratesText` and `GeneratesStructured`."""

    async def generate_response(
        self,
        messages: Sequence[LLMMessageDTO],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> tuple[LLMResponseDTO, UUID]:
        """Text for a conversation. See `GeneratesText.generate_response`."""
        asked = CallArguments(messages, user_id, model, temperature, max_tokens, options)
        call = await self._call("chat", asked)
        outcome, request_id = await self._run(call)
        return response_dto(call, outcome), request_id

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
        """An object for a conversation. See `GeneratesStructured.generate_structured_response`."""
        asked = CallArguments(
            messages, user_id, model, temperature, max_tokens, options, response_model
        )
        call = await self._call("structured", asked)
        outcome, request_id = await self._run(call)
        return cast("T", outcome.reply.parsed), request_id


def response_dto(call: Call, outcome: Outcome) -> LLMResponseDTO:
    """What the caller gets of an outcome."""
    reply, usage = outcome.reply, outcome.usage
    return LLMResponseDTO(
        content=reply.text,
        provider=outcome.provider,
        model=outcome.model,
        requested_model=call.requested_model,
        fallback_from=outcome.fallback_from,
        response_model=reply.model,
        tokens_used=usage.total_tokens if usage else None,
        **(usage.as_dict() if usage else {}),
        cost_estimate=None if outcome.cost is None else float(outcome.cost),
        finish_reason=reply.finish_reason,
        execution_time_ms=outcome.milliseconds,
        attempts=outcome.attempts,
        cached=outcome.cached,
        dropped_params=tuple(reply.dropped_params),
        tool_calls=reply.tool_calls,
        reasoning=tuple(
            ReasoningItem(provider=outcome.provider, model=outcome.model, before=place, item=item)
            for place, item in reply.reasoning
        ),
    )

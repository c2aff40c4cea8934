"""A model and functions of the caller's, in turns."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, Unpack, cast
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.calls import CallArguments
from modules.llm_services.exceptions import LLMPricingError
from modules.llm_services.idempotency import following
from modules.llm_services.ids import uuid7
from modules.llm_services.routing import each_model
from modules.llm_services.tooling.loop import Ask, Limits, ToolLoop
from modules.llm_services.types import (
    Call,
    GenerationOptions,
    LLMMessageDTO,
    LLMResponseDTO,
    Tool,
    ToolRun,
    ToolRunOptions,
    Usage,
)

from .text import TextUseCases, response_dto


class ToolUseCases(TextUseCases):
    """Implements `RunsTools`."""

    async def run_tools(
        self,
        messages: Sequence[LLMMessageDTO],
        tools: Sequence[Tool],
        user_id: UUID | None = None,
        model: str | None = None,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - a bound on all rounds and tools together
        on_tool_error: Literal["tell", "raise"] = "tell",
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[ToolRunOptions],
    ) -> tuple[ToolRun, UUID]:
        """Rounds of a model and tools. See `RunsTools.run_tools`."""
        given = cast("GenerationOptions", options | {"tools": arguments.tools("tools", tools)})
        asked = CallArguments(messages, user_id, model, temperature, max_tokens, given)
        call = await self._call("tools", asked)
        arguments.check_runnable(call.tools)
        loop = ToolLoop(
            limits=self._limits(call, max_rounds, max_cost, timeout, on_tool_error),
            tools=call.tools,
            conversation_id=call.attribution.conversation_id or str(call.id),
            messages=call.messages,
        )
        run = await loop.run(self._round_of(call, loop.conversation_id))
        return run, run.request_ids[-1]

    def _limits(
        self, call: Call, max_rounds: object, max_cost: object, seconds: object, on_error: object
    ) -> Limits:
        rounds = arguments.max_rounds("max_rounds", max_rounds)
        cost = None if max_cost is None else arguments.max_cost("max_cost", max_cost)
        if cost is not None:
            self._require_price(call)
        longest = rounds * call.timeout
        return Limits(
            max_rounds=rounds,
            max_cost=cost,
            timeout=longest if seconds is None else arguments.timeout("timeout", seconds),
            call_timeout=call.timeout,
            on_tool_error=arguments.on_tool_error("on_tool_error", on_error),
        )

    def _require_price(self, call: Call) -> None:
        """Money that cannot be counted cannot be limited."""
        token = Usage(prompt_tokens=1, completion_tokens=1)
        for one in each_model(call):
            price = self._runtime.prices.price(one.provider, one.model, token, datetime.now(UTC))
            if price.total is None:
                raise LLMPricingError(
                    f"max_cost needs a price, and none is known for {one.provider}:{one.model}",
                    provider=one.provider,
                    model=one.model,
                )

    def _round_of(self, call: Call, conversation_id: str) -> Ask:
        """Each round is a call of its own, and a row; a forced tool is forced only once."""
        attribution = replace(call.attribution, conversation_id=conversation_id)

        async def ask(
            messages: tuple[LLMMessageDTO, ...], seconds: float
        ) -> tuple[LLMResponseDTO, UUID]:
            first = len(messages) == len(call.messages)
            forced = call.tool_choice if first or call.tool_choice == "none" else None
            this = replace(
                call,
                id=call.id if first else uuid7(),
                messages=messages,
                timeout=seconds,
                tool_choice=forced,
                attribution=attribution,
            )
            outcome, request_id = await self._run(this if first else following(this))
            return response_dto(this, outcome), request_id

        return ask

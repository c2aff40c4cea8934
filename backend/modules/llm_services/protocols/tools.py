"""A conversation in which the model calls tools until it comes to an answer."""

from collections.abc import Sequence
from typing import Literal, Protocol, Unpack
from uuid import UUID

from modules.llm_services.types import LLMMessageDTO, Tool, ToolRun, ToolRunOptions


class RunsTools(Protocol):
    """Answers a conversation with the help of functions of yours."""

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
        """Ask a model, run the tools that it asks for, tell it the results, and so on.

        Tools asked for together run side by side, functions that are not coroutines in worker
        threads. The model is told of unknown tools, of arguments that do not fit and of errors
        (class and message, no traceback), so that it can do better. Results are text, Pydantic
        models or anything that is JSON, and are cut at 100,000 characters, which is said. What a
        reasoning model thought goes back to it with its calls, where the API hands it out (sealed,
        in OpenAI's Responses API), so that it need not be thought, and paid for, again.

        Args:
            messages: the conversation, at least one message.
            tools: functions, or a `ToolSpec` with a ``function``.
            user_id: for whom; written on the rows, never sent.
            model: as for ``generate_response``.
            max_rounds: how often the model is asked at most, 1 to 100.
            max_cost: USD after which no further round is begun; one round may go beyond it. Needs
                a model with a known price.
            timeout: seconds for all rounds and tools together; by default ``max_rounds`` times
                the configured one of a single call, which also bounds each round.
            on_tool_error: ``tell`` the model, or ``raise`` `LLMToolRunError` from the error.
            temperature: as for ``generate_response``, and so ``max_tokens`` and ``options``. A
                ``tool_choice`` of ``required`` or a name is for the first round only.
            max_tokens: cap of each round.
            options: see `ToolRunOptions`. All rounds are rows of one ``conversation_id``, by
                default a new UUID.

        Returns:
            The run, and the id of its last round's row.

        Raises:
            LLMToolRunError: a limit was reached; ``error.run`` is the run so far.
            LLMPricingError: there is a ``max_cost`` and the model's price is not known.
            LLMError: a round failed, as ``generate_response`` would have.

        """
        ...

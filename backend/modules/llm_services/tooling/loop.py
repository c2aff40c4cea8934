"""The state of a run: rounds so far, what they cost, what was said, and when it has to end."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from uuid import UUID

from modules.llm_services.exceptions import LLMTimeoutError, LLMToolRunError
from modules.llm_services.types import (
    LLMMessageDTO,
    LLMResponseDTO,
    ToolResult,
    ToolRun,
    ToolSpec,
)

from .calling import run_calls

OnToolError: TypeAlias = Literal["tell", "raise"]
Ask: TypeAlias = Callable[
    [tuple[LLMMessageDTO, ...], float], Awaitable[tuple[LLMResponseDTO, UUID]]
]
"""Asks the model, given a conversation and the seconds that it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of a run: rounds, USD (``None``: any), seconds for all of it and for each call of a model,
    and what to do when a tool fails.
    """

    max_rounds: int
    max_cost: float | None
    timeout: float
    call_timeout: float
    on_tool_error: OnToolError


@dataclass(slots=True, kw_only=True)
class ToolLoop:
    """One run, from the caller's messages to an answer without calls."""

    limits: Limits
    tools: tuple[ToolSpec, ...]
    conversation_id: str
    messages: tuple[LLMMessageDTO, ...]
    started: float = field(default_factory=time.monotonic)
    _responses: list[LLMResponseDTO] = field(default_factory=list)
    _request_ids: list[UUID] = field(default_factory=list)
    _results: list[ToolResult] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        """Until the run's deadline; never negative."""
        return max(self.started + self.limits.timeout - time.monotonic(), 0.0)

    @property
    def cost(self) -> float | None:
        """USD of the rounds whose price is known; ``None`` when none is."""
        known = [r.cost_estimate for r in self._responses if r.cost_estimate is not None]
        return sum(known) if known else None

    async def run(self, ask: Ask) -> ToolRun:
        """Rounds until an answer asks for no tools.

        Raises `LLMToolRunError` when a limit is reached, before tools run whose results nobody
        would be told, and for a tool that failed when that was asked for.
        """
        while await self._wants_more(*await self._asked(ask)):
            pass
        return self.finished()

    async def _wants_more(self, response: LLMResponseDTO, request_id: UUID) -> bool:
        """Take in a round; when it asks for tools, run them: another is due."""
        self._responses.append(response)
        self._request_ids.append(request_id)
        self.messages += (response.as_message(),)
        if not response.tool_calls:
            return False
        self._check_limits()
        await self._run_tools()
        self._check_time()
        return True

    async def _run_tools(self) -> None:
        response = self._responses[-1]
        pairs = await run_calls(response.tool_calls, self.tools, self.seconds_left)
        self._results += [result for result, _ in pairs]
        self.messages += tuple(result.as_message() for result, _ in pairs)
        failed = [(result, cause) for result, cause in pairs if cause is not None]
        if failed and self.limits.on_tool_error == "raise":
            result, cause = failed[0]
            raise self._stopped("tool", f"the tool {result.call.name!r} failed") from cause

    def _check_limits(self) -> None:
        limits, rounds = self.limits, len(self._responses)
        if rounds >= limits.max_rounds:
            raise self._stopped("rounds", f"no answer after {rounds} rounds (max_rounds)")
        if limits.max_cost is not None:
            if self._responses[-1].cost_estimate is None:
                raise self._stopped("cost", "the cost of a round is not known, and max_cost is set")
            if (self.cost or 0.0) >= limits.max_cost:
                raise self._stopped("cost", f"{self.cost:g} USD were spent (max_cost)")
        self._check_time()

    def _check_time(self) -> None:
        if not self.seconds_left:
            raise self._out_of_time()

    async def _asked(self, ask: Ask) -> tuple[LLMResponseDTO, UUID]:
        """One round. Its deadline is the run's when that is nearer: then the run is out of time."""
        left = self.seconds_left
        try:
            return await ask(self.messages, min(left, self.limits.call_timeout))
        except LLMTimeoutError as error:
            if left > self.limits.call_timeout or not self._responses:
                raise
            raise self._out_of_time() from error

    def _out_of_time(self) -> LLMToolRunError:
        return self._stopped("time", f"no answer within {self.limits.timeout:g} s (timeout)")

    def finished(self) -> ToolRun:
        """What has come of it by now."""
        return ToolRun(
            response=self._responses[-1],
            messages=self.messages,
            rounds=len(self._responses),
            cost=self.cost,
            results=tuple(self._results),
            conversation_id=self.conversation_id,
            request_ids=tuple(self._request_ids),
        )

    def _stopped(self, limit: str, reason: str) -> LLMToolRunError:
        last = self._responses[-1]
        return LLMToolRunError(
            f"the run of tools was stopped: {reason}",
            limit=limit,
            run=self.finished(),
            request_id=self._request_ids[-1],
            provider=last.provider,
            model=last.model,
        )

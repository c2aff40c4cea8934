"""A call that several models may answer: which of them can, and the adapter of each."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias, TypeVar

from modules.llm_services.exceptions import LLMConfigurationError, LLMInputError
from modules.llm_services.providers.base import Attempt, LLMProvider
from modules.llm_services.routing import each_model
from modules.llm_services.types import Call, Candidate
from modules.llm_services.wiring import Runtime

T = TypeVar("T")
Asks: TypeAlias = Callable[[Call, Attempt], Awaitable[T]]


async def routed(
    runtime: Runtime, call: Call, method: Callable[[LLMProvider], Asks[T]]
) -> tuple[Call, Asks[T]]:
    """The call without the models of its role that cannot take it, and what asks the others.

    Raises `LLMInputError` for a model that the caller names in ``fallback`` and that cannot take
    it, and what the first one says when none can.
    """

    async def ask(asked: Call, attempt: Attempt) -> T:
        provider = await runtime.provider(asked.provider)
        with runtime.router.timed(asked):
            return await method(provider)(asked, attempt)

    return await _takers(runtime, call), ask


async def _takers(runtime: Runtime, call: Call) -> Call:
    own = Candidate(provider=call.provider, model=call.model)
    refusals, takers = [], []
    for one, asked in zip((own, *call.fallback), each_model(call), strict=True):
        try:
            (await runtime.provider(one.provider)).check(asked)
        except (LLMInputError, LLMConfigurationError) as error:
            if one.named:
                raise LLMInputError(f"fallback {one}: {error.message}") from error
            refusals.append(error)
        else:
            takers.append(one)
    if not takers:
        raise refusals[0]
    first, *others = takers
    return replace(call, provider=first.provider, model=first.model, fallback=tuple(others))

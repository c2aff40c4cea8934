"""A call that several models may answer: which of them can, and what asks each."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from modules.llm_services.exceptions import LLMConfigurationError, LLMInputError
from modules.llm_services.providers.base import Attempt
from modules.llm_services.routing import Router, each_model
from modules.llm_services.types import Call, Candidate

T = TypeVar("T")
Asks: TypeAlias = Callable[..., Awaitable[T]]
"""Asks a provider with a call, an `Attempt`, and what else the kind of call needs."""


async def routed(
    router: Router, call: Call, takes: Callable[[Call], Awaitable[Asks[T]]]
) -> tuple[Call, Asks[T]]:
    """The call without the models of its role that cannot take it, and what asks the others.

    ``takes`` gives what asks the provider of a call, or raises `LLMInputError`: that is the
    caller's for a model named in ``fallback``, and for the first one when none can.
    """

    async def ask(asked: Call, attempt: Attempt, **more: Any) -> T:
        method = await takes(asked)
        with router.timed(asked):
            return await method(asked, attempt, **more)

    return await _takers(call, takes), ask


async def _takers(call: Call, takes: Callable[[Call], Awaitable[object]]) -> Call:
    own = Candidate(provider=call.provider, model=call.model)
    refusals, takers = [], []
    for one, asked in zip((own, *call.fallback), each_model(call), strict=True):
        try:
            await takes(asked)
        except (LLMInputError, LLMConfigurationError) as error:
            if one.named:
                raise LLMInputError(f"fallback {one}: {error.message}") from error
            refusals.append(error)
        else:
            takers.append(asked)
    if not takers:
        raise refusals[0]
    keys = {(one.provider, one.model) for one in takers}
    return replace(takers[0], fallback=tuple(o for o in takers[0].fallback if o.key in keys))

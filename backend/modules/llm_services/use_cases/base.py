"""What every use case stands on: the repository, the runtime, and a word about transactions."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from modules.llm_services.arguments import guarded
from modules.llm_services.bulk import off_loop, weight
from modules.llm_services.calls import CallArguments, build_call, candidates, tenant_of
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.providers.base import LLMProvider
from modules.llm_services.repo import ListedRow, LLMRequestRepo
from modules.llm_services.repo.stored_time import read_time
from modules.llm_services.roles import ModelChoice
from modules.llm_services.routing import fitting, with_fallback
from modules.llm_services.types import Call, Candidate, LLMRequestDTO
from modules.llm_services.types.paging import Position, RequestPage
from modules.llm_services.wiring import Runtime, running_loop, runtime_for

from .routed import Asks, routed

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)


class UseCases:
    """Base of the use cases. Arguments as for `LLMService`."""

    def __init__(
        self,
        repo: LLMRequestRepo,
        *,
        runtime: Runtime | None = None,
        owns_session: bool = False,
    ) -> None:
        self._repo = repo
        self._runtime = runtime or runtime_for(repo.session)
        self._owns_session = owns_session

    async def _call(self, operation: str, asked: CallArguments) -> Call:
        """The call that a caller's words mean. Raises `LLMInputError`."""
        running_loop()
        config, providers = self._runtime.config, self._runtime.providers
        size, order = guarded("messages", weight, asked.messages), self._runtime.router.order
        return await off_loop(size, build_call, operation, asked, config, providers, order)

    def _choose(self, word: object, given: Mapping[str, Any]) -> ModelChoice:
        """The model that a word means for the tenant whom a call is for."""
        return self._runtime.choose(word, tenant_of(given))

    def _followed(
        self,
        call: Call,
        choice: ModelChoice,
        given: Mapping[str, Any],
        fit: Callable[[Candidate], Mapping[str, Any] | None],
    ) -> Call:
        """A call that is no conversation, with those models that may answer in its model's place
        and that ``fit`` has parameters for (``None``: the same).
        """
        if not choice.others and "fallback" not in given:
            return call
        runtime = self._runtime
        config = runtime.config.for_tenant(call.attribution.tenant)
        others = candidates(choice, given, config, runtime.providers, runtime.router.order)
        return with_fallback(call, fitting(others, fit), given.get("fallback_on"))

    async def _route(
        self, call: Call, takes: Callable[[Call], Awaitable[Asks[T]]]
    ) -> tuple[Call, Asks[T]]:
        """A call with those of its models that can take it, and what asks each of them."""
        if call.fallback:
            return await routed(self._runtime.router, call, takes)
        return call, await takes(call)

    async def _provider_for(self, call: Call) -> LLMProvider:
        """The adapter that a conversation goes to. Raises `LLMInputError` for one that cannot."""
        provider = await self._runtime.provider(call.provider)
        provider.check(call)
        return provider

    def _lacks(self, call: Call, what: str) -> LLMInputError:
        """Why a call cannot go where it was meant to; nothing was written or sent."""
        named = f"model {call.model!r}: " if call.model else ""
        return LLMInputError(f"{named}the provider {call.provider!r} {what}; name another")

    def _end_read(self) -> None:
        if self._owns_session:
            self._repo.session.close()

    def _warn_about_open_transaction(self) -> None:
        """The caller's connection is held while the model thinks: only the caller can cure that."""
        if self._owns_session or not self._repo.session.in_transaction():
            return
        place = _calling_place()
        if place not in self._runtime.warned:
            self._runtime.warned.add(place)
            logger.warning(
                "%s awaits a model while its database session is in a transaction, which holds a "
                "connection for that long: commit (or roll back) before the call",
                place,
            )


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``work`` gives, from a worker thread. Raises `LLMInputError` where no loop runs."""
    running_loop()
    return await asyncio.to_thread(work, *args, **kwargs)


def page(
    rows: Sequence[ListedRow], end: Position | None, looked_until: str | None = None
) -> RequestPage:
    """Rows as callers see them, with where the next page begins, and how far was looked."""
    return RequestPage(
        items=tuple(LLMRequestDTO.model_validate(row) for row in rows),
        next_cursor=None if end is None else end.as_cursor(),
        looked_until=None if looked_until is None else read_time(looked_until),
    )


_MODULE = __name__.partition(".use_cases")[0]


def _calling_place() -> str:
    """File and line of the nearest caller outside this module."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to ask who calls
    while frame.f_back and _package_of(frame).startswith(_MODULE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _package_of(frame: FrameType) -> str:
    """Empty for a script, whose package is ``None``."""
    return frame.f_globals.get("__package__") or ""

"""The use cases: arguments in, a frozen call down the road, a DTO back.

No SDK, no SQL, no ``try``: what can go wrong is decided further down.
"""

import logging
import sys
from collections.abc import Sequence
from typing import TypeVar, Unpack, cast
from uuid import UUID

from pydantic import BaseModel

from . import arguments
from .calls import CallArguments, build_call
from .estimating import estimate
from .executor import Outcome
from .models import LLMRequest
from .repo import LLMRequestRepo
from .roles import resolve_model
from .types import Call, GenerationOptions, LLMMessageDTO, LLMRequestDTO, LLMResponseDTO
from .wiring import Runtime, runtime_for

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=BaseModel)

MAX_PAGE = 200
_WIDE = frozenset({"messages", "response_content", "response_raw"})
_NARROW = tuple(name for name in LLMRequestDTO.model_fields if name not in _WIDE)


class LLMService:
    """Implements `LLMServicesProvider` on the ledger of the repository's session.

    ``owns_session`` says that nobody else uses that session: it is then emptied after each read,
    so that no transaction stays open.
    """

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
        call = build_call("chat", asked, self._runtime.config, self._runtime.providers)
        outcome = await self._run(call)
        return _response(call, outcome), call.id

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
        call = build_call("structured", asked, self._runtime.config, self._runtime.providers)
        outcome = await self._run(call)
        return cast("T", outcome.reply.parsed), call.id

    def get_request(self, request_id: UUID) -> LLMRequestDTO | None:
        """One row with its wide columns, or ``None``."""
        row = self._repo.by_id(arguments.uuid("request_id", request_id))
        found = None if row is None else LLMRequestDTO.model_validate(row)
        self._end_read()
        return found

    def get_user_requests(
        self, user_id: UUID, limit: int = 50, offset: int = 0
    ) -> list[LLMRequestDTO]:
        """A user's rows, newest first, without the wide columns."""
        rows = self._repo.by_user(
            arguments.uuid("user_id", user_id),
            arguments.whole(1, MAX_PAGE)("limit", limit),
            arguments.whole(0, arguments.MAX_COUNT)("offset", offset),
        )
        found = [_summary(row) for row in rows]
        self._end_read()
        return found

    def estimate_cost(self, messages: Sequence[LLMMessageDTO], model: str | None = None) -> float:
        """USD that a request will probably cost."""
        runtime = self._runtime
        choice = resolve_model(runtime.config, runtime.providers, model)
        said = arguments.messages(messages)
        cost = estimate(said, choice, runtime.config.max_tokens, runtime.prices, self._repo)
        self._end_read()
        return cost

    async def _run(self, call: Call) -> Outcome:
        """Every kind of call: the provider's adapter, then the road."""
        self._warn_about_open_transaction()
        provider = await self._runtime.provider(call.provider)
        return await self._runtime.executor.run(call, provider.generate_text)

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


def _calling_place() -> str:
    """File and line of the nearest caller outside this module."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to ask who calls
    while frame.f_back and frame.f_globals.get("__package__", "").startswith(str(__package__)):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _response(call: Call, outcome: Outcome) -> LLMResponseDTO:
    reply, usage = outcome.reply, outcome.usage
    return LLMResponseDTO(
        content=reply.text,
        provider=call.provider,
        model=call.model,
        response_model=reply.model,
        tokens_used=usage.total_tokens if usage else None,
        **(usage.as_dict() if usage else {}),
        cost_estimate=None if outcome.cost is None else float(outcome.cost),
        finish_reason=reply.finish_reason,
        execution_time_ms=outcome.milliseconds,
        attempts=outcome.attempts,
        dropped_params=tuple(reply.dropped_params),
    )


def _summary(row: LLMRequest) -> LLMRequestDTO:
    return LLMRequestDTO.model_validate({name: getattr(row, name) for name in _NARROW})

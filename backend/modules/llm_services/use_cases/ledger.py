"""Reads: what was asked and answered, and what it will cost."""

from collections.abc import Sequence
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.estimating import estimate
from modules.llm_services.models import LLMRequest
from modules.llm_services.roles import resolve_model
from modules.llm_services.types import LLMMessageDTO, LLMRequestDTO

from .base import UseCases

MAX_PAGE = 200
_WIDE = frozenset({"messages", "response_content", "response_raw"})
_NARROW = tuple(name for name in LLMRequestDTO.model_fields if name not in _WIDE)


class LedgerUseCases(UseCases):
    """Implements `ReadsLedger` and `EstimatesCost`."""

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
        found = [summary(row) for row in rows]
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


def summary(row: LLMRequest) -> LLMRequestDTO:
    """A row as lists show it."""
    return LLMRequestDTO.model_validate({name: getattr(row, name) for name in _NARROW})

"""Reads: what was asked and answered, and what it will cost."""

from collections.abc import Sequence
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.arguments import overview
from modules.llm_services.calls import tenant_of
from modules.llm_services.estimating import estimate
from modules.llm_services.repo import LedgerPages
from modules.llm_services.types import LLMMessageDTO, LLMRequestDTO
from modules.llm_services.types.paging import RequestPage

from .base import UseCases, page


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
        rows = LedgerPages(self._repo.session).of_user(
            arguments.uuid("user_id", user_id),
            overview.page_size("limit", limit),
            arguments.whole(0, arguments.MAX_COUNT)("offset", offset),
        )
        found = [LLMRequestDTO.model_validate(row) for row in rows]
        self._end_read()
        return found

    def user_requests_page(
        self, user_id: UUID, limit: int = 50, after: str | None = None
    ) -> RequestPage:
        """A page of a user's rows, newest first, and where the next begins."""
        found = LedgerPages(self._repo.session).page_of_user(
            arguments.uuid("user_id", user_id),
            overview.page_size("limit", limit),
            overview.cursor(after),
        )
        self._end_read()
        return page(*found)

    def estimate_cost(self, messages: Sequence[LLMMessageDTO], model: str | None = None) -> float:
        """USD that a request will probably cost."""
        runtime = self._runtime
        choice = runtime.choose(model, tenant_of({}))
        said = arguments.messages(messages)
        cost = estimate(said, choice, runtime.config.max_tokens, runtime.prices, self._repo)
        self._end_read()
        return cost

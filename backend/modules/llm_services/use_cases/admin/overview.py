"""Reads across users."""

from modules.llm_services import arguments
from modules.llm_services.repo import LedgerOverviewRepo
from modules.llm_services.types import LLMRequestDTO
from modules.llm_services.use_cases.base import UseCases
from modules.llm_services.use_cases.ledger import MAX_PAGE, summary


class OverviewUseCases(UseCases):
    """Implements `OverviewsLedger`."""

    def recent(self, limit: int = 50) -> list[LLMRequestDTO]:
        """The newest requests of everybody, without the wide columns."""
        overview = LedgerOverviewRepo(self._repo.session)
        found = [
            summary(row) for row in overview.recent(arguments.whole(1, MAX_PAGE)("limit", limit))
        ]
        self._end_read()
        return found

"""What operators ask of the whole ledger."""

from typing import Protocol

from modules.llm_services.types import LLMRequestDTO


class OverviewsLedger(Protocol):
    """Reads across users: for operators' pages and jobs, never for a user's own."""

    def recent(self, limit: int = 50) -> list[LLMRequestDTO]:
        """The newest requests of everybody, without the wide columns. ``limit`` is 200 at most."""
        ...

"""What was asked and answered, and what it will cost."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from modules.llm_services.types import LLMMessageDTO, LLMRequestDTO
from modules.llm_services.types.paging import RequestPage


class ReadsLedger(Protocol):
    """Reads what was asked and answered, through the session that was handed in."""

    def get_request(self, request_id: UUID) -> LLMRequestDTO | None:
        """One request with its messages and answer, or ``None``.

        It is found by its id alone: compare ``user_id`` before showing it to a user.
        """
        ...

    def get_user_requests(
        self, user_id: UUID, limit: int = 50, offset: int = 0
    ) -> list[LLMRequestDTO]:
        """A user's requests, newest first, without the wide columns. ``limit`` is 200 at most."""
        ...

    def user_requests_page(
        self, user_id: UUID, limit: int = 50, after: str | None = None
    ) -> RequestPage:
        """The same in pages that are as quick at the end as at the beginning, and that new
        requests do not shift: give ``after`` the last page's ``next_cursor``.
        """
        ...


class EstimatesCost(Protocol):
    """Says what a request will probably cost."""

    def estimate_cost(self, messages: Sequence[LLMMessageDTO], model: str | None = None) -> float:
        """USD for the prompt and an answer as long as the model's answers usually are.

        Raises:
            LLMPricingError: the model's price is not known; the answer is never 0 for that.

        """
        ...

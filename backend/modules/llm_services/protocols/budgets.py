"""What of a budget is left."""

from typing import Protocol
from uuid import UUID

from modules.llm_services.types.budgets import BudgetStatusDTO


class TellsBudgets(Protocol):
    """Says how budgets stand, from the ledger."""

    def budget_status(
        self, user_id: UUID | None = None, tenant: str | None = None, feature: str | None = None
    ) -> list[BudgetStatusDTO]:
        """The budgets that a call of this user, tenant and feature is under, in the period that
        is now: what is spent, what calls under way have reserved, what is left, when it resets.
        """
        ...

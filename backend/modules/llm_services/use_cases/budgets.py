"""How budgets stand."""

from datetime import UTC, datetime
from uuid import UUID

from modules.llm_services import arguments, repo
from modules.llm_services.recording import status_of
from modules.llm_services.types import Attribution
from modules.llm_services.types.budgets import BudgetStatusDTO

from .base import UseCases

_name = arguments.label(64)


class BudgetUseCases(UseCases):
    """Implements `TellsBudgets`."""

    def budget_status(
        self, user_id: UUID | None = None, tenant: str | None = None, feature: str | None = None
    ) -> list[BudgetStatusDTO]:
        """The budgets of somebody's calls. See `TellsBudgets.budget_status`."""
        whose = Attribution(
            user_id=None if user_id is None else arguments.uuid("user_id", user_id),
            tenant=None if tenant is None else _name("tenant", tenant),
            feature=None if feature is None else _name("feature", feature),
        )
        accounts = self._runtime.budgets.accounts(whose, datetime.now(UTC))
        found = [status_of(*one) for one in repo.states(self._repo.session, accounts)]
        self._end_read()
        return found

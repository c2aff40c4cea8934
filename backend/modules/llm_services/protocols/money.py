"""What operators ask about money."""

from datetime import date
from typing import Protocol

from modules.llm_services.types import ReconcileReport, RecostReport


class AuditsCosts(Protocol):
    """Mends costs in the ledger, and holds them against what is billed. Days are UTC."""

    async def recost(
        self,
        from_day: date,
        to_day: date,
        only_unknown: bool = True,  # noqa: FBT001, FBT002 - the contract's order
        *,
        dry_run: bool = False,
    ) -> RecostReport:
        """Price the settled rows of these days (both included) again.

        Each is priced by its stored tokens and units, for the model and the service tier that
        answered, at the price of its day; batches at theirs. With ``only_unknown`` only rows
        without a cost are. A known cost is never lost to a price that is not known now, and what
        a provider itself reported, or the cache answered, is left alone. It works in short
        transactions, and daily sums follow. With ``dry_run`` nothing is written.

        Raises:
            LLMInputError: the days make no sense.
            LLMRecordingError: the database did not answer; run it again, it goes on from there.

        """
        ...

    async def reconcile(self, day: date) -> ReconcileReport:
        """Compare what OpenAI bills the organization for a day with the ledger of that day.

        Needs ``LLM_OPENAI_ADMIN_KEY``. The vendor counts the whole organization: what others
        spend under it is drift as well, and a day is complete only some hours after its end.

        Raises:
            LLMConfigurationError: there is no admin key.
            LLMError: the vendor did not answer, or not with costs.

        """
        ...

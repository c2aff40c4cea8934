"""What operators do so that the ledger forgets."""

from typing import Protocol
from uuid import UUID

from modules.llm_services.types import ErasureReport, PurgeReport


class PurgesLedger(Protocol):
    """Removes content and rows, by age or by user. Sums of tokens and money stay as they are."""

    async def purge(self, *, budget: float = 60.0) -> PurgeReport:
        """Remove what is older than ``LLM_PAYLOAD_RETENTION_DAYS`` and ``LLM_ROW_RETENTION_DAYS``
        allow; without these settings nothing.

        The first takes prompts, answers and what quotes them from rows, which then say ``purged``
        in ``payload_state``; tokens, cost and attempts stay. The second deletes rows, whole days
        (UTC) only. Requests that are still ``pending`` are left alone.

        It works in batches of 1,000, each committed at once, through connections of its own, for
        ``budget`` seconds at most: what was not reached is left to the next run.

        Raises:
            LLMRecordingError: the database did not answer; what was done before is committed.

        """
        ...

    async def erase_user(self, user_id: UUID, *, budget: float = 60.0) -> ErasureReport:
        """Take all content from a user's requests, and the user from them: ``user_id``,
        ``conversation_id``, ``context_data`` and trace ids. Tokens and cost stay.

        Rows that wait in the spool of this machine are brought to the database first, so that none
        comes after it. Also requests that are still open are reached: an answer that comes later is
        not stored. Call it when the user makes no more requests. Pictures in ``LLM_MEDIA_DIR`` are
        not its business, nor are the ``.corrupt`` and ``.rejected`` files of a spool.

        Raises:
            LLMRecordingError: the database did not answer; what was done before is committed.

        """
        ...

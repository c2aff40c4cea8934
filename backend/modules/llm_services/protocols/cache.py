"""What operators ask of the cache."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from modules.llm_services.types import CacheStatistics


class KeepsCache(Protocol):
    """Looks at what the cache does, and empties it."""

    def cache_statistics(self, since: datetime, until: datetime | None = None) -> CacheStatistics:
        """How often answers came from the cache, and what that saved, by model and feature.

        Of requests that began from ``since`` on and before ``until`` (now), both with a zone;
        closed days from their daily sums.
        """
        ...

    async def clear_cache(
        self,
        *,
        model: str | None = None,
        feature: str | None = None,
        user_id: UUID | None = None,
        tenant: str | None = None,
        older_than: timedelta | None = None,
    ) -> int:
        """Forget answers; how many there were. Without arguments all of them.

        Args:
            model: of this model, as rows name it, or ``provider:model``.
            feature: that were first given to this feature.
            user_id: that were first given to this user, whoever may get them now.
            tenant: likewise.
            older_than: that were given longer ago.

        Redis and ``LLM_CACHE_DIR`` are emptied for all processes, memory for this one alone.

        Raises:
            LLMInputError: an argument is wrong.
            LLMError: the cache cannot be reached; answers may be left in it.

        """
        ...

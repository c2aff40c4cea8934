"""What the cache does, and emptying it."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from modules.llm_services.arguments import cache as checks
from modules.llm_services.cache import Selection
from modules.llm_services.repo import Window
from modules.llm_services.repo.cache_use import cache_use
from modules.llm_services.types import CacheStatistics
from modules.llm_services.use_cases.base import UseCases
from modules.llm_services.wiring import running_loop


class CacheUseCases(UseCases):
    """Implements `KeepsCache`."""

    def cache_statistics(self, since: datetime, until: datetime | None = None) -> CacheStatistics:
        """How often answers came from the cache. See `KeepsCache.cache_statistics`."""
        begin = checks.moment("since", since)
        end = datetime.now(UTC) if until is None else checks.moment("until", until)
        found = cache_use(self._repo.session, Window(begin, end))
        self._end_read()
        return CacheStatistics(
            hits=sum(row.hits for row in found),
            misses=sum(row.misses for row in found),
            saved_cost=sum(row.saved_cost for row in found),
            unpriced_hits=sum(row.unpriced_hits for row in found),
            groups=tuple(found),
        )

    async def clear_cache(
        self,
        *,
        model: str | None = None,
        feature: str | None = None,
        user_id: UUID | None = None,
        tenant: str | None = None,
        older_than: timedelta | None = None,
    ) -> int:
        """Forget answers. See `KeepsCache.clear_cache`."""
        said = checks.forgotten(model, feature, user_id, tenant, older_than)
        running_loop()
        age = said.pop("older_than", None)
        before = None if age is None else time.time() - age
        return await self._runtime.remembering.clear(Selection(**said, stored_before=before))

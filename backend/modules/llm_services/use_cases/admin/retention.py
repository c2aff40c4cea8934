"""Forgetting, as the settings and the users want it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.cache import Selection
from modules.llm_services.types import ErasureReport, PurgeReport
from modules.llm_services.use_cases.base import UseCases
from modules.llm_services.wiring import running_loop

_FOR_THE_SPOOL = 5.0  # seconds: a database that is there takes thousands of rows in one
_budget = arguments.number(0, 86_400, above=True)


class RetentionUseCases(UseCases):
    """Implements `PurgesLedger`."""

    async def purge(self, *, budget: float = 60.0) -> PurgeReport:
        """Remove what is older than the settings allow. See `PurgesLedger.purge`."""
        config, seconds = self._runtime.config, _budget("budget", budget)
        running_loop()
        return await self._runtime.retention.purge(
            _days_ago(config.payload_retention_days), _days_ago(config.row_retention_days), seconds
        )

    async def erase_user(self, user_id: UUID, *, budget: float = 60.0) -> ErasureReport:
        """Forget a user. See `PurgesLedger.erase_user`."""
        user, seconds = arguments.uuid("user_id", user_id), _budget("budget", budget)
        running_loop()
        spooled = await self._runtime.drain(min(seconds, _FOR_THE_SPOOL))
        report = await self._runtime.retention.erase(user, seconds)
        await self._runtime.remembering.clear(Selection(user=str(user)))
        return replace(report, spooled=spooled, finished=report.finished and not spooled)


def _days_ago(days: int | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) - timedelta(days=days)

"""What each page shows, read through the operators' door of ``llm_services`` and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from modules.llm_services.public import (
    CacheStatistics,
    LLMRequestDTO,
    LLMServicesAdminProvider,
    RequestFilter,
    RequestPage,
    RetiringUse,
    UsageTotals,
)

from . import charts, tables
from .charts import Chart
from .exceptions import PageNotFoundError
from .windows import Window

TOP = 10
ERROR_KINDS = 200
PAGE = 50
THREAD = 20
MOST_EXACT = 10_000
MOST_LOOKED_AT = 50_000
"""Requests that one page may look at for what no index knows."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page."""

    totals: UsageTotals
    before: UsageTotals
    charts: Sequence[Chart]
    models: Sequence[tables.Ranked]
    features: Sequence[tables.Ranked]
    retiring: Sequence[RetiringUse]


@dataclass(frozen=True, slots=True)
class Thread:
    """The beginning of a conversation that a request is part of."""

    requests: Sequence[LLMRequestDTO]
    goes_on: bool


class UsagePages:
    """The pages' contents. Each method is one page, or one part of it that comes by itself."""

    def __init__(self, admin: LLMServicesAdminProvider) -> None:
        self._admin = admin

    def overview(self, window: Window) -> Overview:
        """Sums of a window, day by day and by what they were for."""
        found = self._admin.overview(window.since, window.until)
        return Overview(
            totals=found.totals,
            before=self._admin.totals(*window.previous),
            charts=[
                charts.cost_by_model(window, found.days),
                charts.requests_by_outcome(window, found.days),
                charts.tokens_by_class(window, found.days),
            ],
            models=tables.by_model(found.models[:TOP]),
            features=tables.by_feature(found.features[:TOP]),
            retiring=found.retiring,
        )

    def users(self, window: Window) -> list[tables.Ranked]:
        """Who spent most."""
        span = (window.since, window.until)
        return tables.by_user(self._admin.usage("user", *span, limit=TOP))

    def latency(self, window: Window) -> list[tables.LatencyLine]:
        """How long models took, most used first."""
        return tables.on_one_scale(
            self._admin.latency(window.since, window.until, exact_up_to=MOST_EXACT)
        )

    def errors(self, window: Window) -> list[tables.ErrorLine]:
        """What failed, by type."""
        span = (window.since, window.until)
        return tables.by_error_type(self._admin.errors(*span, limit=ERROR_KINDS))

    def savings(self, window: Window) -> CacheStatistics:
        """What the cache answered."""
        return self._admin.cache_statistics(window.since, window.until)

    def requests(self, wanted: RequestFilter, after: str | None) -> RequestPage:
        """Requests that fit, newest first."""
        return self._admin.find(wanted, PAGE, after, look_through=MOST_LOOKED_AT)

    def request(self, request_id: UUID) -> LLMRequestDTO:
        """One request with everything. Raises `PageNotFoundError`."""
        found = self._admin.request(request_id)
        if found is None:
            raise PageNotFoundError(f"There is no request {request_id}.")
        return found

    def thread(self, row: LLMRequestDTO) -> Thread | None:
        """The conversation of a request, in order; ``None`` without one."""
        if row.conversation_id is None:
            return None
        page = self._admin.conversation(row.conversation_id, THREAD)
        return Thread(page.items, page.has_more)

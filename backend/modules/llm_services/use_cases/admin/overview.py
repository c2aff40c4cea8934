"""Reads across users: single requests, lists, and who is behind them."""

from collections.abc import Sequence
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.arguments import overview as checks
from modules.llm_services.repo import LedgerOverviewRepo, Window, failures
from modules.llm_services.types import LLMRequestDTO
from modules.llm_services.types.paging import Moment, RequestFilter, RequestPage
from modules.llm_services.types.usage_report import CallerRow, ErrorRow
from modules.llm_services.use_cases.base import UseCases, page

_count = arguments.whole(1, arguments.MAX_COUNT)


class OverviewUseCases(UseCases):
    """Implements `OverviewsLedger`."""

    def recent(self, limit: int = 50, after: str | None = None) -> RequestPage:
        """The newest requests of everybody."""
        return self.find(RequestFilter(), limit, after)

    def find(
        self,
        wanted: RequestFilter | None = None,
        limit: int = 50,
        after: str | None = None,
        *,
        look_through: int | None = None,
    ) -> RequestPage:
        """Requests that fit a filter, newest first."""
        given, size = checks.request_filter(wanted), checks.page_size("limit", limit)
        if look_through is not None:
            look_through = _count("look_through", look_through)
        rows, end, looked_until = self._overview.find(
            given, size, checks.cursor(after), look_through
        )
        self._end_read()
        return page(rows, end, looked_until)

    def count(self, wanted: RequestFilter | None = None, up_to: int = 10_000) -> int:
        """How many requests fit a filter, counted up to a limit."""
        given = checks.request_filter(wanted)
        found = self._overview.count(given, _count("up_to", up_to))
        self._end_read()
        return found

    def request(self, request_id: UUID) -> LLMRequestDTO | None:
        """One request with everything that was said."""
        row = self._repo.by_id(arguments.uuid("request_id", request_id))
        found = None if row is None else LLMRequestDTO.model_validate(row)
        self._end_read()
        return found

    def conversation(
        self, conversation_id: str, limit: int = 50, after: str | None = None
    ) -> RequestPage:
        """The requests of a conversation, in order."""
        found = self._overview.conversation(
            checks.conversation("conversation_id", conversation_id),
            checks.page_size("limit", limit),
            checks.cursor(after),
        )
        self._end_read()
        return page(*found)

    def errors(
        self, since: Moment | None = None, until: Moment | None = None, limit: int = 100
    ) -> list[ErrorRow]:
        """Failures by type and model, each with its last example."""
        window = Window(*checks.window(since, until))
        rows = failures(self._repo.session, window, checks.group_limit("limit", limit))
        found = [ErrorRow.model_validate(row, from_attributes=True) for row in rows]
        self._end_read()
        return found

    def callers_of(
        self,
        models: str | Sequence[str],
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int = 1_000,
    ) -> list[CallerRow]:
        """Who calls models that are to be retired."""
        patterns, window = checks.model_patterns(models), checks.window(since, until)
        rows = self._overview.callers(patterns, *window, checks.group_limit("limit", limit))
        found = [CallerRow.model_validate(row, from_attributes=True) for row in rows]
        self._end_read()
        return found

    @property
    def _overview(self) -> LedgerOverviewRepo:
        return LedgerOverviewRepo(self._repo.session)

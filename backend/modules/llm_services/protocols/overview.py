"""What operators ask of the whole ledger."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from modules.llm_services.types import LLMRequestDTO
from modules.llm_services.types.paging import Moment, RequestFilter, RequestPage
from modules.llm_services.types.usage_report import (
    CallerRow,
    CostHealth,
    ErrorRow,
    LatencyRow,
    RetiringUse,
    UsageDimension,
    UsageOrder,
    UsageOverview,
    UsageRow,
    UsageTotals,
)


class OverviewsLedger(Protocol):
    """Reads across users: for operators' pages and jobs, never for a user's own.

    Lists come in pages of at most 200 without the wide columns; a page's ``next_cursor`` is the
    next one's ``after``. A window goes from ``since`` (by default 30 days before its end, at
    midnight) until just before ``until`` (now); a ``date`` means its midnight in UTC. Arguments
    that make no sense raise `LLMInputError`.
    """

    def recent(self, limit: int = 50, after: str | None = None) -> RequestPage:
        """The newest requests of everybody."""
        ...

    def find(
        self,
        wanted: RequestFilter | None = None,
        limit: int = 50,
        after: str | None = None,
        *,
        look_through: int | None = None,
    ) -> RequestPage:
        """Requests that fit everything the filter gives, newest first.

        What is rare and has no index is looked for row by row: a second for each million.
        ``look_through`` ends that after so many requests; the page then says how far it got
        (``looked_until``), and its ``next_cursor`` goes on there. Requests of a user or of a
        conversation have an index, and are looked for everywhere.
        """
        ...

    def count(self, wanted: RequestFilter | None = None, up_to: int = 10_000) -> int:
        """How many requests fit; ``up_to`` when there are that many or more, for an exact count
        of millions takes seconds.
        """
        ...

    def request(self, request_id: UUID) -> LLMRequestDTO | None:
        """Anybody's request with its messages and answer, or ``None``."""
        ...

    def conversation(
        self, conversation_id: str, limit: int = 50, after: str | None = None
    ) -> RequestPage:
        """The requests of a conversation in the order of their making."""
        ...

    def errors(
        self, since: Moment | None = None, until: Moment | None = None, limit: int = 100
    ) -> list[ErrorRow]:
        """Failed requests by error type and model, most frequent first, with the last example as
        long as its row is there.
        """
        ...

    def callers_of(
        self,
        models: str | Sequence[str],
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int = 1_000,
    ) -> list[CallerRow]:
        """Who calls these models, most requests first: before a model is retired, for example.

        ``models`` are names or patterns (``gpt-4o*``, also with ``?``) in any case, compared with
        the model that was asked for and the one that answered.
        """
        ...


class ReportsUsage(Protocol):
    """Adds up what the whole ledger holds. Windows are those of `OverviewsLedger`.

    Closed days are read from the daily sums where `refresh_daily_usage` has made them, all else
    from the rows: the numbers are the same, only faster. Daily sums outlive the rows, but for
    whole days only: a window that begins or ends within a day whose rows are gone has nothing of
    that day.
    """

    def totals(self, since: Moment | None = None, until: Moment | None = None) -> UsageTotals:
        """Requests, tokens and cost of a window."""
        ...

    def usage(
        self,
        by: UsageDimension | Sequence[UsageDimension],
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        order: UsageOrder = "cost",
        limit: int = 1_000,
    ) -> list[UsageRow]:
        """The same split by one thing or several: ``"user"``, ``("day", "model")``.

        Days come in order, and within them (or without) the largest first. ``limit`` is 10,000
        at most. By user or tenant, sums go as far back as there are rows, and with anything else
        beside them they are added up from the rows.
        """
        ...

    def overview(self, since: Moment | None = None, until: Moment | None = None) -> UsageOverview:
        """Totals, sums by day and model, by model and by feature, and `retiring`, all of it from
        one look at the ledger: a third of the time that the same takes one by one.
        """
        ...

    def latency(
        self,
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        exact_up_to: int = 100_000,
    ) -> list[LatencyRow]:
        """How long each model took, and until its first token, most requests first.

        Exact for windows of up to ``exact_up_to`` requests (100,000 at most, each of which is
        read) whose rows are all there, else from counts, as `LatencyRow` says.
        """
        ...

    def retiring(
        self, since: Moment | None = None, until: Moment | None = None
    ) -> list[RetiringUse]:
        """Models asked in a window whose vendors have announced their end, soonest first."""
        ...

    def cost_health(self, since: Moment | None = None, until: Moment | None = None) -> CostHealth:
        """What is doubtful about the costs of a window, and how old the prices are."""
        ...

    async def refresh_daily_usage(
        self, from_day: date | None = None, to_day: date | None = None
    ) -> int:
        """Bring the daily sums up to date; returns how many days were made anew.

        Days are those of UTC, and have sums once they are over for an hour. Without arguments, the
        last two are made, and every day that has no sums yet, or lacks rows, or had requests open.
        With either, all days from the first to the last, both included: after prices were
        corrected, for example. Each day is one short transaction on connections of the ledger's
        own; it may run at any time, twice, and in many processes at once. A day of which rows have
        been deleted keeps the sums it has.

        Raises:
            LLMRecordingError: the database did not answer; days made by then stay made.

        """
        ...

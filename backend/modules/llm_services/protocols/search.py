"""Searching the web."""

from collections.abc import Sequence
from typing import Any, Protocol, Unpack
from uuid import UUID

from modules.llm_services.types import SearchAnswer, SearchOptions


class SearchesWeb(Protocol):
    """Finds pages on the web, and what they say."""

    async def search_web(
        self,
        queries: Sequence[str],
        user_id: UUID | None = None,
        max_results: int = 10,
        **options: Unpack[SearchOptions],
    ) -> tuple[list[dict[str, Any]], UUID]:
        """Search the web for each distinct query and record it as one request.

        The queries are searched side by side, each by an HTTP request of its own, which is an
        entry in the row's ``attempts``. A search costs money besides its tokens: one that may
        have been charged is not repeated after a failure unless ``resend`` says so. What was found
        and paid for is not thrown away because another query failed for good: such a query has no
        pages, a warning is logged, and the row is completed, its ``error_message`` saying which
        part failed and why (`search_answers` tells it, too). When all fail, the call does.

        Args:
            queries: 1 to 100 texts; one that is there twice is searched once.
            user_id: for whom; written on the row, never sent.
            max_results: per query, 1 to 100. Pages that the answer cites come first.
            options: see `SearchOptions`.

        Returns:
            The pages, query by query in the order of ``queries``, as dicts with the keys
            ``query, position, url, title, snippet, source`` (see `SearchResult`); and the id of
            the row in the ledger. A query may find nothing.

        Raises:
            LLMInputError: an argument is wrong, or the model's provider cannot search; nothing
                was sent and no row was written.
            LLMConfigurationError: web search is switched off (``ENABLE_WEB_SEARCH``).
            LLMRefusedError: the model declined.
            LLMBadResponseError: the model answered without searching.
            LLMError: as for `GeneratesText.generate_response`.

        """
        ...

    async def search_answers(
        self,
        queries: Sequence[str],
        user_id: UUID | None = None,
        max_results: int = 10,
        **options: Unpack[SearchOptions],
    ) -> tuple[list[SearchAnswer], UUID]:
        """The same, with what the pages say: an answer for each distinct query, with the places
        where it cites which page. One whose search failed has an ``error`` instead. Arguments and
        errors as for `search_web`.
        """
        ...

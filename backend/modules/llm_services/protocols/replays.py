"""Logged requests on other models."""

from collections.abc import Sequence
from typing import Protocol, Unpack
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.types import LLMResponseDTO
from modules.llm_services.types.comparing import Comparison, ReplayOptions
from modules.llm_services.types.paging import RequestFilter


class ReplaysRequests(Protocol):
    """Makes logged conversations again, and compares what comes of them.

    For siblings: the requests of ``user_id`` (by default the user whom `attribution` names; else
    those without a user). For operators: the requests of everybody, of which ``user_id`` chooses.

    A replay is a row of its own that belongs to the same user, tenant and feature, with the logged
    request's id in ``replay_of``. It costs money, is held against budgets and is part of what is
    reconciled with a vendor's bill; sums of money in usage reports leave it out. It comes from no
    cache, and no other model answers in its place.
    """

    async def replay(
        self,
        request_id: UUID,
        model: str | None = None,
        user_id: UUID | None = None,
        *,
        response_model: type[BaseModel] | None = None,
        **options: Unpack[ReplayOptions],
    ) -> tuple[LLMResponseDTO, UUID]:
        """A logged conversation on another model (by default the same), and the id of its row.

        A request for an object needs its ``response_model`` (the ledger keeps the name only), one
        with tools its ``tools``.

        Raises:
            LLMInputError: there is no such request of this user; it is no conversation; or the
                ledger does not hold it as it was sent (``payload_state``, files): nothing was sent.
            LLMError: as for `GeneratesText.generate_response`.

        """
        ...

    async def compare(
        self,
        requests: Sequence[UUID] | RequestFilter,
        models: Sequence[str],
        user_id: UUID | None = None,
        *,
        estimate_only: bool = False,
        limit: int | None = None,
        response_models: Sequence[type[BaseModel]] = (),
        **options: Unpack[ReplayOptions],
    ) -> Comparison:
        """Logged conversations side by side with what 1 to 10 models make of them.

        ``requests`` are ids, or a filter: of its completed conversations the newest ``limit``, 20
        by default and 200 at most. Four replays are under way at once; one that fails is part of
        the result. Requests that cannot be made again are in ``left_out``, with the reason.

        With ``estimate_only`` nothing is sent: the logged tokens (also where no content is kept)
        are priced as of today, scaled by what the vendors' tokenizers usually make of a text. Of a
        filter 100,000 requests at most.

        Raises:
            LLMInputError: an argument is wrong; nothing was sent.
            LLMRecordingError: the ledger's database did not answer.

        """
        ...

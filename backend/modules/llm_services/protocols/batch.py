"""Many requests at once, answered within a day, for half the price."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, Unpack
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.types import (
    BatchDTO,
    BatchOptions,
    BatchRequest,
    BatchResult,
    BatchStatusDTO,
)


class RunsBatches(Protocol):
    """Hands over many requests at once, and collects their answers when they are there."""

    async def submit_batch(
        self,
        requests: Sequence[BatchRequest],
        user_id: UUID | None = None,
        model: str | None = None,
        **options: Unpack[BatchOptions],
    ) -> BatchDTO:
        """Hand over requests for one model. Each has a row, ``pending`` until it is collected.

        Args:
            requests: 1 to 50,000, with distinct keys; 200 MB in all as they are sent.
            user_id: for whom; written on the rows, never sent.
            model: as for `GeneratesText.generate_response`, for all requests.
            options: see `BatchOptions`.

        Returns:
            The batch's id, which is worth keeping, and the ids of the rows.

        Raises:
            LLMInputError: a request is wrong, and the message says which; nothing was sent and no
                row was written.
            LLMError: the batch was not taken; all its rows are ``failed``.

        """
        ...

    async def batch_status(self, batch_id: str) -> BatchStatusDTO:
        """How far a batch is, as its vendor says.

        Raises:
            LLMNotFoundError: the vendor does not know it (any more).

        """
        ...

    def collect_batch(
        self, batch_id: str, response_models: Sequence[type[BaseModel]] = ()
    ) -> AsyncIterator[BatchResult]:
        """The results of a batch that has ended, one by one; each row is settled before its result
        comes: completed with its tokens and cost at the batch price, or failed with its own error.

        It may be called again, also after an interruption: what is settled stays as it is, and
        the same results come. They come in the vendor's order, so look at their keys.

        Args:
            batch_id: from `submit_batch`, also of another process.
            response_models: the classes that the batch's requests asked for.

        Raises:
            LLMInputError: a class is missing that a request asked for; nothing was settled.
            LLMProviderError: the batch has not ended (``retryable``), or the vendor failed.

        """
        ...

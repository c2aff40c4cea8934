"""Text and objects for a conversation."""

from collections.abc import Sequence
from typing import Protocol, TypeVar, Unpack
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.types import GenerationOptions, LLMMessageDTO, LLMResponseDTO

T = TypeVar("T", bound=BaseModel)


class GeneratesText(Protocol):
    """Answers a conversation with text."""

    async def generate_response(
        self,
        messages: Sequence[LLMMessageDTO],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> tuple[LLMResponseDTO, UUID]:
        """Ask a model and record it.

        Args:
            messages: the conversation, at least one message.
            user_id: for whom; written on the row, never sent.
            model: a role (``fast``, ``smart``), ``provider:model`` or a model's name; the
                configured one by default.
            temperature: 0 to 2; left out for models that refuse it (see ``dropped_params``).
            max_tokens: cap on visible plus reasoning tokens; of OpenAI's Responses API at least 16.
            options: see `GenerationOptions`.

        Returns:
            The response, and the id of its row in the ledger.

        Raises:
            LLMInputError: an argument is wrong; nothing was sent and no row was written.
            LLMError: another subclass says what went wrong; ``error.request_id`` is the row.

        """
        ...


class GeneratesStructured(Protocol):
    """Answers a conversation with an instance of a Pydantic model."""

    async def generate_structured_response(
        self,
        messages: Sequence[LLMMessageDTO],
        response_model: type[T],
        user_id: UUID | None = None,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **options: Unpack[GenerationOptions],
    ) -> tuple[T, UUID]:
        """Ask a model for an object and record it.

        An answer that does not fit is asked for again with the errors, within ``max_retries``
        and the same deadline; a refused or cut-off one is not. Arguments as for
        `GeneratesText.generate_response`, and ``response_model``, a subclass of `BaseModel`. Its
        validators run in a worker thread; whatever they raise means that the answer does not fit.

        Returns:
            The instance, and the id of its row in the ledger.

        Raises:
            LLMValidationError: the last answer did not fit; carries pydantic's errors and the text.
            LLMRefusedError: the model declined.
            LLMTruncatedError: the cap was reached first.
            LLMError: as for `GeneratesText.generate_response`.

        """
        ...

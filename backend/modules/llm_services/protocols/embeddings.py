"""Vectors for texts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, Unpack, overload
from uuid import UUID

from modules.llm_services.types.embeddings import EmbeddingOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float32]


class GeneratesEmbeddings(Protocol):
    """Turns texts into vectors that lie near each other when the texts mean similar things."""

    @overload
    async def generate_embeddings(
        self,
        texts: Sequence[str],
        user_id: UUID | None = None,
        model: str | None = None,
        dimensions: int | None = None,
        *,
        as_array: Literal[False] = False,
        **options: Unpack[EmbeddingOptions],
    ) -> tuple[list[list[float]], UUID]:
        """As lists of numbers."""
        ...

    @overload
    async def generate_embeddings(
        self,
        texts: Sequence[str],
        user_id: UUID | None = None,
        model: str | None = None,
        dimensions: int | None = None,
        *,
        as_array: Literal[True],
        **options: Unpack[EmbeddingOptions],
    ) -> tuple["FloatArray", UUID]:
        """As one array."""
        ...

    async def generate_embeddings(
        self,
        texts: Sequence[str],
        user_id: UUID | None = None,
        model: str | None = None,
        dimensions: int | None = None,
        *,
        as_array: bool = False,
        **options: Unpack[EmbeddingOptions],
    ) -> "tuple[list[list[float]] | FloatArray, UUID]":
        """Embed texts, in as many concurrent requests as the vendor's limits ask for, in one row.

        The row shows the first 20 texts, each up to 4,000 characters, and how many there were
        (``additional_params["texts"]``); it does not keep the vectors.

        Args:
            texts: 1 to 20,000, none of them blank; 10 million characters in all.
            user_id: for whom; written on the row, never sent.
            model: a role, ``provider:model`` or a model's name; by default the role ``embedding``.
            dimensions: numbers per vector, for models that can shorten theirs (OpenAI's
                text-embedding-3-small up to 1,536, -large up to 3,072); all of them by default.
            as_array: give a NumPy array of float32, texts x dimensions, instead of lists: an
                eighth of the memory. Needs the extra ``arrays``.
            options: see `EmbeddingOptions`.

        Returns:
            The vectors in the order of the texts, and the id of the row in the ledger.

        Raises:
            LLMInputError: an argument is wrong, a text is too long for the model, or NumPy is not
                installed; nothing was sent and no row was written.
            LLMError: another subclass says what went wrong; ``error.request_id`` is the row. All
                texts are embedded or none.

        """
        ...

"""Vectors for texts."""

import asyncio
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal, Unpack, cast, overload
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.arguments import embeddings as checks
from modules.llm_services.calls import cache_policy, special_call
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.idempotency import Settled
from modules.llm_services.providers.base import EmbedsTexts, Reply
from modules.llm_services.providers.formats.embeddings import batches
from modules.llm_services.redaction import shortened
from modules.llm_services.roles import EMBEDDING_ROLE
from modules.llm_services.types import Call, Candidate, LLMMessageDTO
from modules.llm_services.types.embeddings import EmbeddingOptions

from .base import UseCases, in_thread
from .parts import Alike
from .routed import Asks

if TYPE_CHECKING:
    from modules.llm_services.protocols.embeddings import FloatArray

LOGGED_TEXTS = 20
LOGGED_CHARACTERS = 4_000
_NAMED = ("texts", "user_id", "model", "dimensions", "as_array")


class EmbeddingUseCases(UseCases):
    """Implements `GeneratesEmbeddings`."""

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
    ) -> tuple[list[list[float]], UUID]: ...
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
    ) -> tuple["FloatArray", UUID]: ...
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
        """Vectors for texts. See `GeneratesEmbeddings.generate_embeddings`."""
        said = checks.texts(texts)
        call = self._embedding_call(said, user_id, model, dimensions, options)
        wanted = await in_thread(checks.as_array, as_array)
        parts = await asyncio.to_thread(batches, said, call.model)
        replies, request_id = await self._embed(call, parts)
        return await asyncio.to_thread(_as_array if wanted else _as_lists, replies), request_id

    def _embedding_call(
        self,
        texts: Sequence[str],
        user_id: UUID | None,
        model: str | None,
        dimensions: int | None,
        options: EmbeddingOptions,
    ) -> Call:
        config = self._runtime.config
        given = arguments.options(options, checks.EMBEDDING_OPTIONS, _NAMED)
        choice = self._choose(EMBEDDING_ROLE if model is None else model, given)
        if dimensions is not None:
            given["dimensions"] = checks.dimensions(choice.model, dimensions)
        given["texts"] = len(texts)
        call = special_call("embedding", choice, _logged(texts), user_id, given, config)

        def fit(other: Candidate) -> None:
            if other.model != call.model:
                raise LLMInputError(
                    "vectors of another model cannot be compared with these; name the same model "
                    "of another provider"
                )

        call = self._followed(call, choice, given, fit)
        policy = cache_policy(given, config)
        return replace(call, cache=policy and replace(policy, material=texts))

    async def _embed(
        self, call: Call, parts: Sequence[Sequence[str]]
    ) -> tuple[Sequence[Reply], UUID]:
        self._warn_about_open_transaction()
        call, ask_one = await self._route(call, self._asks_vectors)
        alike = Alike(lambda reply: len(_vectors(reply)[0]), "vectors' length")
        invokes = [alike.part(partial(ask_one, texts=texts)) for texts in parts]
        ask = partial(self._runtime.executor.run_parts, parts=invokes)
        call = replace(call, material=tuple(chain.from_iterable(parts)))
        return await self._runtime.once(call, ask, Settled.replies)

    async def _asks_vectors(self, call: Call) -> Asks[Reply]:
        provider = await self._runtime.provider(call.provider)
        if not isinstance(provider, EmbedsTexts):
            raise self._lacks(call, "makes no embeddings")
        return provider.embed


def _logged(texts: Sequence[str]) -> list[LLMMessageDTO]:
    return [LLMMessageDTO(role="user", content=_shortened(t)) for t in texts[:LOGGED_TEXTS]]


def _shortened(text: str) -> str:
    if len(text) <= LOGGED_CHARACTERS:
        return text
    return f"{shortened(text, LOGGED_CHARACTERS)}… [{len(text)} characters]"


def _vectors(reply: Reply) -> "list[array[float]]":
    return cast("list[array[float]]", reply.parsed)


def _all_vectors(replies: Iterable[Reply]) -> "list[array[float]]":
    return list(chain.from_iterable(map(_vectors, replies)))


def _as_lists(replies: Sequence[Reply]) -> list[list[float]]:
    return [vector.tolist() for vector in _all_vectors(replies)]


def _as_array(replies: Sequence[Reply]) -> "FloatArray":
    import numpy as np

    return np.array(_all_vectors(replies), dtype=np.float32)

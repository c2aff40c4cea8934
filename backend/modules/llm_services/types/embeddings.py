"""What can be said about embeddings."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from .basic import JsonValue
from .cache import CacheScope
from .payload import PayloadMode
from .routing import FallbackReason


class EmbeddingOptions(TypedDict, total=False):
    """The closed set of keyword parameters of ``generate_embeddings``.

    ``timeout`` (seconds, for the whole call with its requests and retries) and ``max_retries``
    (for each request) override the configuration. ``cache`` and ``cache_scope`` are those of
    `GenerationOptions`, for all texts together. The others are written on the row and never sent.

    ``fallback`` and ``fallback_on`` are those of `GenerationOptions`: only the same model of
    another provider, for vectors of two models cannot be compared.
    """

    timeout: float
    max_retries: int
    cache: bool | float
    cache_scope: CacheScope
    feature: str
    tenant: str
    conversation_id: str
    context: Mapping[str, JsonValue]
    payload_mode: PayloadMode
    idempotency_key: str
    fallback: Sequence[str]
    fallback_on: Sequence[FallbackReason]

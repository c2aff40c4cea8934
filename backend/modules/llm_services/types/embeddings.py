"""What can be said about embeddings."""

from collections.abc import Mapping
from typing import TypedDict

from .basic import JsonValue
from .cache import CacheScope
from .payload import PayloadMode


class EmbeddingOptions(TypedDict, total=False):
    """The closed set of keyword parameters of ``generate_embeddings``.

    ``timeout`` (seconds, for the whole call with its requests and retries) and ``max_retries``
    (for each request) override the configuration. ``cache`` and ``cache_scope`` are those of
    `GenerationOptions`, for all texts together. The others are written on the row and never sent.
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

"""What can be said about embeddings."""

from .cache import CacheScope
from .call_options import CallOptions, FallbackOptions


class EmbeddingOptions(CallOptions, FallbackOptions, total=False):
    """The closed set of keyword parameters of ``generate_embeddings``.

    ``timeout`` (seconds, for the whole call with its requests and retries) and ``max_retries``
    (for each request) override the configuration. ``cache`` and ``cache_scope`` are those of
    `GenerationOptions`, for all texts together. The others are written on the row and never sent.

    ``fallback`` and ``fallback_on`` are those of `GenerationOptions`: only the same model of
    another provider, for vectors of two models cannot be compared.
    """

    cache: bool | float
    cache_scope: CacheScope

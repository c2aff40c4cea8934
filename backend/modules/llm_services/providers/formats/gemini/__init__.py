"""Google's ``generateContent`` and what belongs to it, read in google-genai 3.4's types and at
ai.google.dev in November 2026.

Paths here are the verbs behind a model's name: ``/models/{model}:generateContent``.
"""

from .body import TIERS, always_thinks
from .embeddings import batch_embeddings
from .images import images
from .reply import GENERATE
from .search import SEARCH
from .stream import STREAM_PATH, GeminiReader

__all__ = [
    "GENERATE",
    "SEARCH",
    "STREAM_PATH",
    "TIERS",
    "GeminiReader",
    "always_thinks",
    "batch_embeddings",
    "images",
]

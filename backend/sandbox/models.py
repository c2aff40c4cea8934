"""Which model takes which parameter: data, as OpenAI had it in November 2026.

A name that no row knows is answered like an ordinary model without reasoning, so that a product
can be tried with any name. The first row whose prefix fits decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTEXT_WINDOW = 1_000_000
"""Prompt tokens above which every model answers `context_length_exceeded`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One family: its effort when none is asked for, and the efforts it takes."""

    prefix: str
    default_effort: str = "none"
    efforts: tuple[str, ...] = ()


_TO_MAX = ("low", "medium", "high", "xhigh", "max")
_TO_XHIGH = ("low", "medium", "high", "xhigh")
_CLASSIC = ("minimal", "low", "medium", "high")

MODELS = (
    Row("gpt-6-astra", "medium", _TO_MAX),
    Row("gpt-6.1-sol", "medium", _TO_MAX),
    Row("gpt-6.2", "medium", ("none", *_TO_MAX)),
    Row("gpt-6", "medium", ("none", *_TO_MAX)),
    Row("gpt-5-pro", "high", ("high",)),
    Row("gpt-5.5-pro", "high", ("medium", "high", "xhigh")),
    Row("gpt-5.6", "medium", ("none", *_TO_MAX)),
    Row("gpt-5.5", "medium", ("none", *_TO_XHIGH)),
    Row("gpt-5.4", "none", ("none", *_TO_XHIGH)),
    Row("gpt-5.3", "none", ("none", *_TO_XHIGH)),
    Row("gpt-5.2", "none", ("none", *_TO_XHIGH)),
    Row("gpt-5.1", "none", ("none", "low", "medium", "high")),
    Row("gpt-5", "medium", _CLASSIC),
    Row("o1", "medium", ("low", "medium", "high")),
    Row("o3", "medium", ("low", "medium", "high")),
    Row("o4", "medium", ("low", "medium", "high")),
)
_PLAIN = Row("")

LISTED = (
    "gpt-6.2-astra", "gpt-6.2-sol", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-astra", "gpt-6-sol",
    "gpt-6-luna", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5", "gpt-5.4",
    "gpt-5.4-mini", "gpt-5.2", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini",
    "gpt-image-2.6-sunburst", "gpt-image-2.5-flare", "gpt-image-2", "gpt-image-1.5",
    "gpt-4o-mini-tts", "tts-1", "gpt-transcribe", "whisper-1",
    "text-embedding-3-small", "text-embedding-3-large", "sandbox-fault",
)  # fmt: skip
"""The names that `GET /v1/models` lists."""

SAMPLING = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": None,
}
"""Parameters that a model refuses while it reasons, with the only value it takes then."""

_SNAPSHOT = re.compile(r"-latest$")


def row(model: str) -> Row:
    """The family of a model."""
    return next((r for r in MODELS if model.startswith(r.prefix)), _PLAIN)


def served_as(model: str) -> str:
    """The name in the answer: the one asked for; `-latest` becomes a dated snapshot."""
    return _SNAPSHOT.sub("-2026-11-01", model)


def embedding_size(model: str) -> int:
    """Dimensions of an embedding model's full vectors."""
    return 3072 if "large" in model else 1536

"""POST /v1/embeddings: unit vectors in which texts that share words lie near each other.

Each word stem has a fixed direction (from its hash); a text is the sum of its words' directions.
"""

from __future__ import annotations

import base64
import math
import random
import struct
from collections import Counter
from functools import lru_cache

from sandbox import tokens
from sandbox.faults import Fault
from sandbox.models import embedding_size, served_as
from sandbox.params import check_known, check_required
from sandbox.tokens import Usage
from sandbox.wire import ApiError, Json, Reply
from sandbox.words import stem, words

_MOST_INPUTS = 2048
_SPREAD = 24
"""Dimensions that one word touches: few enough to be fast, many enough to keep words apart."""


def embed(body: Json, fault: Fault) -> Reply:
    """Answer one request, in floats or in base64 of little-endian float32."""
    check_known(body, "embeddings")
    check_required(body, "model", "input")
    model = str(body["model"])
    texts = _texts(body["input"])
    size = _size(body, model)
    coded = body.get("encoding_format") == "base64"
    rows = [vector(text, size) for text in texts]
    data = [
        {"object": "embedding", "index": i, "embedding": _coded(row) if coded else row}
        for i, row in enumerate(rows)
    ]
    used = sum(map(tokens.count, texts))
    whole: Json = {
        "object": "list",
        "data": [] if fault.empty else data,
        "model": "sandbox-other-model" if fault.wrong_model else served_as(model),
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
    if fault.no_usage:
        del whole["usage"]
    return Reply(content=whole, tokens=Usage(prompt=used, completion=0))


def _texts(given: object) -> list[str]:
    """The inputs: a text, several, or token numbers, of which each counts as a word."""
    listed = given if isinstance(given, list) else [given]
    if listed and all(isinstance(x, int) for x in listed):
        listed = [listed]
    texts = [" ".join(f"t{n}" for n in x) if isinstance(x, list) else x for x in listed]
    if len(texts) > _MOST_INPUTS or not all(isinstance(t, str) and t for t in texts):
        raise ApiError(400, "'$.input' is invalid.", param="input")
    return [str(t) for t in texts]


def _size(body: Json, model: str) -> int:
    full, size = embedding_size(model), body.get("dimensions")
    if size is None:
        return full
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= full:
        message = f"Invalid value for 'dimensions': must be from 1 to {full}."
        raise ApiError(400, message, param="dimensions", code="invalid_value")
    return size


def vector(text: str, size: int) -> list[float]:
    """The unit vector of a text."""
    out = [0.0] * size
    counted = Counter(map(stem, words(text))) or Counter({text: 1})
    for word, times in counted.items():
        weight = (1 + math.log(times)) * (1 if len(word) > 3 else 0.3)  # noqa: PLR2004 - short words say little
        for place, value in _direction(word, size):
            out[place] += weight * value
    length = math.sqrt(sum(x * x for x in out)) or 1.0
    return [x / length for x in out]


@lru_cache(maxsize=50_000)
def _direction(word: str, size: int) -> tuple[tuple[int, float], ...]:
    chance = random.Random(f"sandbox:{word}")  # noqa: S311 - a fixed pattern, no secret
    return tuple((chance.randrange(size), chance.gauss(0, 1)) for _ in range(min(_SPREAD, size)))


def _coded(row: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()

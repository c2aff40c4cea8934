"""Vectors for texts: ``batchEmbedContents``."""

from array import array
from collections.abc import Sequence
from functools import partial
from math import isfinite

from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats.base import Count, Request, WireFormat, read
from modules.llm_services.types import JsonObject, Usage

from .wire import GoogleWire


class _Vector(GoogleWire):
    values: tuple[float, ...] = ()


class _Told(GoogleWire):
    prompt_token_count: Count | None = None


class _Embeddings(GoogleWire):
    embeddings: tuple[_Vector, ...] = ()
    usage_metadata: _Told = _Told()


def batch_embeddings(texts: Sequence[str]) -> WireFormat:
    """The format of one batch."""
    return WireFormat(
        path="batchEmbedContents",
        body=partial(_body, texts=texts),
        reply=partial(_reply, len(texts)),
    )


def _body(request: Request, texts: Sequence[str]) -> JsonObject:
    dimensions = request.parameters.get("dimensions")
    size = {} if dimensions is None else {"outputDimensionality": dimensions}
    model = f"models/{request.call.model}"
    return {
        "requests": [
            {"model": model, "content": {"parts": [{"text": text}]}, **size} for text in texts
        ]
    }


def _reply(asked: int, value: JsonObject) -> Reply:
    """One vector for each of ``asked`` texts, in their order, as ``array('f')``."""
    answer = read(_Embeddings, value)
    tokens = answer.usage_metadata.prompt_token_count
    usage = None if tokens is None else Usage(prompt_tokens=tokens)
    if len(answer.embeddings) != asked:
        raise _unusable(f"{len(answer.embeddings)} vectors for {asked} texts", usage)
    vectors = [_numbers(vector, usage) for vector in answer.embeddings]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1:
        raise _unusable(f"vectors of {sorted(lengths)} numbers", usage)
    return Reply(
        text="",
        model=None,
        usage=usage,
        usage_details=value.get("usageMetadata"),
        raw={**value, "embeddings": {"vectors": asked, "dimensions": len(vectors[0])}},
        parsed=vectors,
    )


def _numbers(vector: _Vector, usage: Usage | None) -> "array[float]":
    numbers = array("f", vector.values)
    # A sum in double precision of finite float32 is finite, and one NaN or infinity spoils it.
    if not numbers or not isfinite(sum(numbers)):
        raise _unusable("a vector that is empty or not finite", usage)
    return numbers


def _unusable(what: str, usage: Usage | None) -> LLMBadResponseError:
    return LLMBadResponseError(f"the provider's answer has {what}", usage=usage)

"""OpenAI's embeddings (``POST /embeddings``): batches of texts, and vectors as float32 in base64.

Base64 is a quarter of the size of decimal numbers; who does not know it answers with numbers.
"""

import struct
from array import array
from base64 import b64decode
from collections.abc import Iterator, Sequence
from functools import partial
from math import isfinite

from modules.llm_services.exceptions import LLMBadResponseError, LLMInputError
from modules.llm_services.providers.base import Reply
from modules.llm_services.tokens import count_messages
from modules.llm_services.types import JsonObject, LLMMessageDTO, Usage

from .base import Count, Request, Wire, WireFormat, read

MAX_INPUTS = 2_048
MAX_GEMINI_INPUTS = 100
MAX_BYTES = 300_000
"""Of one request. OpenAI allows 300,000 tokens, and a text never has more tokens than bytes."""
MAX_TOKENS = 8_192
"""Of one text, for OpenAI's models. They count by an older encoding than we do, and we may only
estimate: a text is refused here when it is far above the limit, else by the provider.
"""
_SURELY_ABOVE = 1.25
_FLOAT = 4


class _Vector(Wire):
    index: Count
    embedding: str | list[float]


class _Usage(Wire):
    prompt_tokens: Count


class _Embeddings(Wire):
    data: list[_Vector]
    model: str | None = None
    usage: _Usage | None = None


def batches(texts: Sequence[str], model: str) -> list[list[str]]:
    """The texts in order, in as many requests as the limits ask for.

    Raises `LLMInputError` for a text that no request can carry. Counting may take a second.
    """
    made: list[list[str]] = []
    most = MAX_GEMINI_INPUTS if model.startswith("gemini-") else MAX_INPUTS
    room = 0
    for size, text in _sizes(texts, model):
        if not made or size > room or len(made[-1]) == most:
            made.append([])
            room = MAX_BYTES
        made[-1].append(text)
        room -= size
    return made


def _sizes(texts: Sequence[str], model: str) -> Iterator[tuple[int, str]]:
    for index, text in enumerate(texts):
        size = len(text.encode())
        if size > MAX_TOKENS and model.startswith("text-embedding-"):
            _check_length(f"texts[{index}]", text, model)
        yield size, text


def _check_length(name: str, text: str, model: str) -> None:
    tokens = count_messages([LLMMessageDTO(role="user", content=text)], model).tokens
    if tokens > MAX_TOKENS * _SURELY_ABOVE:
        raise LLMInputError(
            f"{name} has about {tokens} tokens; {model} takes {MAX_TOKENS} at most: cut it up"
        )


def embeddings(texts: Sequence[str], dimensions: int | None) -> WireFormat:
    """The format of one batch."""
    return WireFormat(
        path="/embeddings",
        body=partial(_body, texts=texts),
        reply=partial(_reply, len(texts), dimensions),
    )


def _body(request: Request, texts: Sequence[str]) -> JsonObject:
    wire: JsonObject = {"model": request.call.model, "input": texts, "encoding_format": "base64"}
    dimensions = request.parameters.get("dimensions")
    return wire if dimensions is None else {**wire, "dimensions": dimensions}


def _reply(asked: int, dimensions: int | None, value: JsonObject) -> Reply:
    """One vector for each of ``asked`` texts, in their order, as ``array('f')``."""
    answer = read(_Embeddings, value)
    usage = Usage(prompt_tokens=answer.usage.prompt_tokens) if answer.usage else None
    ordered = sorted(answer.data, key=lambda vector: vector.index)
    if [vector.index for vector in ordered] != list(range(asked)):
        raise _unusable(f"{len(ordered)} vectors that are not those of {asked} texts", usage)
    vectors = [_numbers(vector, usage) for vector in ordered]
    lengths = {len(vector) for vector in vectors}
    if lengths != {dimensions or len(vectors[0])}:
        raise _unusable(f"vectors of {sorted(lengths)} numbers", usage)
    return Reply(
        text="",
        model=answer.model,
        usage=usage,
        usage_details=value.get("usage"),
        raw={**value, "data": {"vectors": asked, "dimensions": len(vectors[0])}},
        parsed=vectors,
    )


def _numbers(vector: _Vector, usage: Usage | None) -> "array[float]":
    given = vector.embedding
    try:
        numbers = array("f", _decoded(given) if isinstance(given, str) else given)
    except (ValueError, struct.error, OverflowError):
        raise _unusable(f"vector {vector.index} that is not float32 in base64", usage) from None
    # A sum in double precision of finite float32 is finite, and one NaN or infinity spoils it.
    if not numbers or not isfinite(sum(numbers)):
        raise _unusable(f"vector {vector.index} that is empty or not finite", usage)
    return numbers


def _decoded(text: str) -> tuple[float, ...]:
    data = b64decode(text, validate=True)
    return struct.unpack(f"<{len(data) // _FLOAT}f", data)


def _unusable(what: str, usage: Usage | None) -> LLMBadResponseError:
    return LLMBadResponseError(f"the provider's answer has {what}", usage=usage)

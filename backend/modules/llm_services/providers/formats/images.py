"""OpenAI's Images API (``POST /images/generations`` and ``/images/edits``), read in openai-python's
types of November 2026. Of a picture only its type, size and hash are kept beside the picture.
"""

import json
from collections.abc import Sequence
from typing import IO, Any
from urllib.parse import urlsplit

from modules.llm_services import bulk
from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.providers.base import Reply
from modules.llm_services.types import GeneratedImage, GivenImages, JsonObject, Usage
from modules.llm_services.types.images import EXTENSIONS, image_type

from .base import Count, Request, Wire, WireFormat, read

_SENT = (
    "size",
    "quality",
    "style",
    "background",
    "output_format",
    "output_compression",
    "moderation",
    "input_fidelity",
)
_TOLD = ("created", "size", "quality", "background", "output_format", "usage")
_LONGEST_URL = 8_192
File = tuple[str, tuple[str, bytes | IO[bytes], str]]


class _Picture(Wire):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Details(Wire):
    image_tokens: Count | None = None


class _Usage(Wire):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Pictures(Wire):
    data: list[_Picture]
    usage: _Usage | None = None


def body(request: Request) -> JsonObject:
    """The request's JSON, or its form's fields: one picture is asked for."""
    given = request.parameters
    return {
        "model": request.call.model,
        "prompt": request.call.messages[-1].content,
        **{name: given[name] for name in _SENT if name in given},
    }


def form_files(given: GivenImages) -> list[File]:
    """The pictures as parts of a form, named as OpenAI's own client names them."""
    name = "image" if len(given.images) == 1 else "image[]"
    parts = [_part(name, f"image-{n}", image) for n, image in enumerate(given.images, 1)]
    return [*parts, _part("mask", "mask", given.mask)] if given.mask else parts


def _part(field: str, name: str, image: GeneratedImage) -> File:
    return field, (f"{name}.{image.extension}", image.data, image.media_type)


def reply(value: JsonObject) -> Reply:
    """The picture in our words: ``parsed`` is a `GeneratedImage`, or the provider's URL."""
    answer = read(_Pictures, value)
    usage = _usage(answer.usage)
    try:
        picture = _picture(answer.data)
    except ValueError as reason:
        raise LLMBadResponseError(
            f"the provider's answer holds {reason}",
            maybe_billed=True,
            usage=usage,
            response_body=json.dumps(_raw(value, [])),
        ) from None
    return Reply(
        text=picture if isinstance(picture, str) else "",
        model=None,
        usage=usage,
        usage_details=value.get("usage"),
        raw=_raw(value, [_described(answer.data[0], picture)]),
        parsed=picture,
    )


def _picture(data: Sequence[_Picture]) -> GeneratedImage | str:
    """The first picture. Raises `ValueError` that says what came instead."""
    if not data:
        raise ValueError("no picture")
    if data[0].b64_json:
        return decoded(data[0].b64_json)
    return _link(data[0].url)


def decoded(text: str) -> GeneratedImage:
    """The picture in base64. Raises `ValueError` that says what it is instead."""
    try:
        content = bulk.decoded(text)
    except ValueError:
        raise ValueError("a picture that is not base64") from None
    media_type = image_type(content)
    if media_type is None:
        raise ValueError(f"something that is none of {', '.join(EXTENSIONS)}")
    return GeneratedImage(media_type, content)


def _link(url: str | None) -> GeneratedImage | str:
    """A URL that a browser may be sent to; some servers put the picture itself into it."""
    head, comma, content = (url or "").partition(",")
    if comma and head.lower().startswith("data:") and head.lower().endswith(";base64"):
        return decoded(content)
    if not url or len(url) > _LONGEST_URL:
        raise ValueError("neither a picture nor its URL")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL that is not http(s)")
    return url


def _described(given: _Picture, picture: GeneratedImage | str) -> JsonObject:
    said = {"url": picture} if isinstance(picture, str) else picture.omitted()
    return {**said, "revised_prompt": given.revised_prompt} if given.revised_prompt else said


def _raw(value: JsonObject, data: list[JsonObject]) -> JsonObject:
    """What was told about the pictures; their bytes stay out."""
    told: dict[str, Any] = {name: value[name] for name in _TOLD if name in value}
    return {**told, "data": data}


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    inside, outside = usage.input_tokens_details, usage.output_tokens_details
    made = outside.image_tokens if outside else None
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        image_input_tokens=inside.image_tokens if inside else None,
        # Without details all of the output is picture, as the first of these models count it.
        image_output_tokens=usage.output_tokens if made is None else made,
    )


GENERATIONS = WireFormat(path="/images/generations", body=body, reply=reply)
EDITS = WireFormat(path="/images/edits", body=body, reply=reply)

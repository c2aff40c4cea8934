"""Pictures of Gemini's image models: ``generateContent`` that is asked for an image."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from modules.llm_services.arguments.image_models import GEMINI_SIZES
from modules.llm_services.exceptions import LLMBadResponseError, LLMRefusedError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats.base import Request, WireFormat, read
from modules.llm_services.providers.formats.images import decoded
from modules.llm_services.types import GeneratedImage, ImagePart, JsonObject

from .body import inline
from .reply import GENERATE
from .reply import reply as text_reply
from .wire import GenerateContentResponse


def images(given: Sequence[GeneratedImage] = ()) -> WireFormat:
    """The format of a picture for a prompt, and for pictures to start from."""
    return WireFormat(path=GENERATE.path, body=partial(_body, given=given), reply=reply)


def _body(request: Request, given: Sequence[GeneratedImage]) -> JsonObject:
    prompt = {"text": request.call.messages[-1].text}
    parts = [_inline(image) for image in given]
    config: JsonObject = {"responseModalities": ["IMAGE"]}
    shape = GEMINI_SIZES.get(request.parameters.get("size", ""), {})
    if shape:
        config["imageConfig"] = shape
    turn = {"role": "user", "parts": [prompt, *parts]}
    return {"contents": [turn], "store": False, "generationConfig": config}


def _inline(image: GeneratedImage) -> JsonObject:
    return inline(ImagePart(data=image.data, media_type=image.media_type))


def reply(value: JsonObject) -> Reply:
    """The picture in our words: ``parsed`` is a `GeneratedImage`.

    Raises `LLMRefusedError` when a filter kept it back, `LLMBadResponseError` for no picture.
    """
    answer = text_reply(value)
    if answer.finish_reason == "content_filter":
        raise LLMRefusedError(
            "the model made no picture (content_filter)",
            code=answer.finish_reason,
            usage=answer.usage,
            partial_text=answer.text or None,
        )
    try:
        picture = decoded(_first(read(GenerateContentResponse, value)))
    except ValueError as reason:
        raise LLMBadResponseError(
            f"the provider's answer holds {reason}",
            usage=answer.usage,
            partial_text=answer.text or None,
            response_body=json.dumps(answer.raw),
        ) from None
    return replace(answer, text="", parsed=picture)


def _first(answer: GenerateContentResponse) -> str:
    """The first picture in base64; drafts that a model thought in pictures are none."""
    parts = answer.candidates[0].content.parts
    blobs = [part.inline_data for part in parts if part.inline_data and not part.thought]
    if not blobs:
        raise ValueError("no picture")
    return blobs[0].data

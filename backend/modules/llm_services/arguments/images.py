"""What is said about a picture that shall be made, checked against the model that shall make it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import GeneratedImage, GivenImages
from modules.llm_services.types.images import (
    ImageBackground,
    ImageFidelity,
    ImageFormat,
    ImageModeration,
)

from .basics import Check, guarded, items, kind, label, one_of, shown, text, whole
from .image_models import PROMPT_LIMIT, ImageFamily, family_of
from .options import COMMON_OPTIONS, FALLBACK_OPTIONS
from .tools import yes_or_no

_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")
_ODD_SIGN = re.compile(r"\s*(\d+)\s*[×X*✕хх,: ]\s*(\d+)\s*")  # also the Cyrillic letter
MAX_IMAGES = 16
MAX_MASK_BYTES = 4_000_000
_STYLE = text(200)
_QUALITY = label(32)


def _any_model(_name: str, value: Any) -> Any:
    return value  # what a model's name means is for `roles` to say


IMAGE_OPTIONS: Mapping[str, Check] = {
    "model": _any_model,
    "background": one_of(ImageBackground),
    "output_format": one_of(ImageFormat),
    "output_compression": whole(0, 100),
    "moderation": one_of(ImageModeration),
    "resend": yes_or_no,
    **COMMON_OPTIONS,
    **FALLBACK_OPTIONS,
}
"""The check of each keyword parameter in `ImageOptions`."""

IMAGE_EDIT_OPTIONS: Mapping[str, Check] = {**IMAGE_OPTIONS, "input_fidelity": one_of(ImageFidelity)}
"""The check of each keyword parameter in `ImageEditOptions`."""

_SAID = ("background", "output_format", "output_compression", "moderation", "input_fidelity")


@dataclass(frozen=True, slots=True)
class ImageWish:
    """What a caller said of a picture, as it was said, but for ``options``, which are checked."""

    prompt: object
    user_id: object
    size: object
    quality: object
    style: object
    options: Mapping[str, Any]

    @property
    def ours(self) -> dict[str, Any]:
        """The options that every kind of call has."""
        return {name: self.options[name] for name in COMMON_OPTIONS if name in self.options}


def image_parameters(
    model: str, wish: ImageWish, standard: str | None = None, variable: str = ""
) -> dict[str, Any]:
    """What goes to the model beside the prompt, in its own words.

    ``standard`` is the quality that is meant by "standard", where ``variable`` says one. A style
    that the model has no parameter for comes as ``style_in_prompt``.
    """
    family = family_of(model)
    quality = _asked_quality(wish.quality, standard, variable)
    said = {
        "size": guarded("size", _size, family, model, wish.size),
        "quality": guarded("quality", _quality, family, model, *quality),
        **guarded("style", _style, family, wish.style),
        **{name: wish.options[name] for name in _SAID if name in wish.options},
    }
    _check_format(family, model, said)
    return {name: value for name, value in said.items() if value is not None}


def _asked_quality(quality: object, standard: str | None, variable: str) -> tuple[str, object]:
    """The word for a quality, and who says it: the caller, or the configuration for standard."""
    plain = quality is None or (isinstance(quality, str) and str.__str__(quality) == "standard")
    return (variable, standard) if plain and standard is not None else ("quality", quality)


def image_prompt(value: object, style: str | None) -> str:
    """The prompt as it is sent: with the style, when the model takes none beside it."""
    prompt = str(guarded("prompt", text(PROMPT_LIMIT), "prompt", value))
    if style is None:
        return prompt
    styled = f"{prompt}\n\nStyle: {style}."
    if len(styled) > PROMPT_LIMIT:
        raise LLMInputError(f"prompt and style together are over {PROMPT_LIMIT} characters")
    return styled


def pictures(value: object) -> tuple[Any, ...]:
    """What a caller hands in to be edited: one picture or several, not looked into yet."""
    if isinstance(value, bytes | str | Path | GeneratedImage):
        return (value,)
    return guarded("images", items, "images", value, MAX_IMAGES, "pictures")


def given_images(images: Sequence[GeneratedImage], mask: GeneratedImage | None) -> GivenImages:
    """Pictures of the types that are taken for editing."""
    for index, image in enumerate(images):
        if image.media_type == "image/gif":
            raise LLMInputError(f"images[{index}] is a GIF: png, jpeg and webp are taken")
    if mask is not None and (mask.media_type != "image/png" or len(mask.data) > MAX_MASK_BYTES):
        raise LLMInputError(f"mask must be a png of at most {MAX_MASK_BYTES // 1_000_000} MB")
    return GivenImages(images=tuple(images), mask=mask)


def _size(family: ImageFamily, model: str, size: object) -> str | None:
    if size is None:
        return None
    if not isinstance(size, str):
        raise LLMInputError(f"size must be a str such as '1024x1024' or 'auto', not {kind(size)}")
    size = str.__str__(size)
    if size != "auto" and not _SIZE.fullmatch(size):
        raise LLMInputError(f"size must be WIDTHxHEIGHT or 'auto', not {shown(size)}{_meant(size)}")
    fault = family.size_fault(size)
    if fault is not None:
        raise LLMInputError(f"size {fault} for {model[:60]}, not {size!r}")
    return size


def _meant(size: str) -> str:
    """Who copies a size from a text often copies a multiplication sign."""
    near = _ODD_SIGN.fullmatch(size)
    return f"; did you mean '{near[1]}x{near[2]}'?" if near else ""


def _quality(family: ImageFamily, model: str, name: str, quality: object) -> str | None:
    word = _QUALITY(name, "standard" if quality is None else quality)
    if word in family.qualities:
        return family.qualities[word]
    if family.any_quality:
        return str(word)
    known = ", ".join(family.qualities)
    raise LLMInputError(f"{name} must be one of {known} for {model[:60]}, not {shown(word)}")


def _style(family: ImageFamily, style: object) -> dict[str, str]:
    if style is None:
        return {}
    word = _STYLE("style", style).strip().rstrip(".")
    return {"style" if word in family.styles else "style_in_prompt": word}


def _check_format(family: ImageFamily, model: str, said: Mapping[str, Any]) -> None:
    """What contradicts itself is refused here, before it costs a request."""
    chosen = said.get("output_format")
    if said.get("background") == "transparent":
        if not family.transparent:
            raise LLMInputError(f"background: {model[:60]} makes no transparent pictures")
        if chosen == "jpeg":
            raise LLMInputError("background 'transparent' needs output_format png or webp")
    if "output_compression" in said and chosen not in {"jpeg", "webp"}:
        raise LLMInputError("output_compression needs output_format jpeg or webp")

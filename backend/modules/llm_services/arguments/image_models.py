"""What the families of image models take, so that a wrong size is found before it is sent.

Source: openai-python's types and the limits that pydantic-ai checks, both of November 2026. What
is not known of a model is not checked: the provider says what it refuses.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

PROMPT_LIMIT = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFamily:
    """What models of one family take.

    ``sizes`` are the only ones, or empty; ``free_sizes`` says that any size within the bounds of
    `misfit` will do; with neither, sizes are not checked. ``qualities`` maps what callers say to
    what is sent, where ``None`` is to send nothing; without it words go as they are.
    """

    models: str
    sizes: tuple[str, ...] = ()
    free_sizes: bool = False
    qualities: Mapping[str, str | None]
    any_quality: bool = False
    styles: Set[str] = frozenset()
    transparent: bool = True

    def size_fault(self, size: str) -> str | None:
        """What is wrong with a size for these models; ``None`` when nothing is known to be."""
        if self.sizes and size not in self.sizes:
            return f"must be one of {', '.join(self.sizes)}"
        return _misfit(size) if self.free_sizes and size != "auto" else None


_STEP, _EDGE, _RATIO = 16, 3_840, 3
_PIXELS = (655_360, 8_294_400)


def _misfit(size: str) -> str | None:
    width, height = (int(edge) for edge in size.split("x"))
    if width % _STEP or height % _STEP:
        return f"must have edges that are multiples of {_STEP}"
    if max(width, height) > _EDGE:
        return f"must have edges of at most {_EDGE} pixels"
    if max(width, height) > _RATIO * min(width, height):
        return f"must not be more than {_RATIO} times as long as wide"
    if not _PIXELS[0] <= width * height <= _PIXELS[1]:
        return f"must have {_PIXELS[0]} to {_PIXELS[1]} pixels in all"
    return None


_SCALE = {"standard": "medium", "hd": "high"}
_GPT = {**_SCALE, **{word: word for word in ("auto", "low", "medium", "high")}}
_FIXED = ("auto", "1024x1024", "1536x1024", "1024x1536")

GEMINI_SIZES: Mapping[str, Mapping[str, str]] = {
    "1024x1024": {"aspectRatio": "1:1"},
    "832x1248": {"aspectRatio": "2:3"},
    "1024x1536": {"aspectRatio": "2:3"},
    "1248x832": {"aspectRatio": "3:2"},
    "1536x1024": {"aspectRatio": "3:2"},
    "864x1184": {"aspectRatio": "3:4"},
    "1184x864": {"aspectRatio": "4:3"},
    "896x1152": {"aspectRatio": "4:5"},
    "1152x896": {"aspectRatio": "5:4"},
    "768x1344": {"aspectRatio": "9:16"},
    "1344x768": {"aspectRatio": "16:9"},
    "1536x672": {"aspectRatio": "21:9"},
    "2048x2048": {"aspectRatio": "1:1", "imageSize": "2K"},
    "4096x4096": {"aspectRatio": "1:1", "imageSize": "4K"},
}
"""Gemini takes shapes, and draws about a million pixels: sizes that are such, and near ones that
other models know. Source: ai.google.dev/gemini-api/docs/image-generation.
"""

_FAMILIES = (
    ImageFamily(
        models=r"dall-e-3",
        sizes=("1024x1024", "1792x1024", "1024x1792"),
        qualities={"standard": "standard", "hd": "hd"},
        styles=frozenset({"vivid", "natural"}),
    ),
    ImageFamily(
        models=r"dall-e-2",
        sizes=("256x256", "512x512", "1024x1024"),
        qualities={"standard": "standard"},
    ),
    ImageFamily(models=r"gpt-image-1(?!\d)|chatgpt-image", sizes=_FIXED, qualities=_GPT),
    ImageFamily(
        models=r"gpt-image-2\.[5-9]",
        free_sizes=True,
        qualities={**_GPT, "xhigh": "xhigh", "max": "max"},
    ),
    ImageFamily(models=r"gpt-image-2(?![\d.])", free_sizes=True, qualities=_GPT, transparent=False),
    ImageFamily(models=r"gpt-image", qualities=_GPT, any_quality=True),
    ImageFamily(models=r"gemini-", sizes=("auto", *GEMINI_SIZES), qualities={"standard": None}),
)
_UNKNOWN = ImageFamily(models="", qualities={"standard": None}, any_quality=True)


def family_of(model: str) -> ImageFamily:
    """The family of a model; of one that nobody knows, one that takes anything."""
    return next((family for family in _FAMILIES if re.match(family.models, model)), _UNKNOWN)

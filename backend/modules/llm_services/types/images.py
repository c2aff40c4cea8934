"""Pictures: what an image model makes, and what callers hand in."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from .basic import JsonObject
from .call_options import CallOptions, FallbackOptions

ImageBackground = Literal["auto", "opaque", "transparent"]
ImageFormat = Literal["png", "jpeg", "webp"]
ImageModeration = Literal["auto", "low"]
ImageFidelity = Literal["low", "high"]
ImageQuality = Literal["standard", "hd", "auto", "low", "medium", "high", "xhigh", "max"]

EXTENSIONS: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}
"""The media types that count as a picture here, and how their files end."""

_SIGNATURES: Mapping[str, Callable[[bytes], bool]] = {
    "image/png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "image/webp": lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    "image/gif": lambda data: data.startswith((b"GIF87a", b"GIF89a")),
}


def image_type(data: bytes) -> str | None:
    """The media type of a picture by its first bytes, whatever anybody says it is.

    ``None`` for everything else, also for SVG and HTML, which can carry scripts.
    """
    return next((name for name, fits in _SIGNATURES.items() if fits(data)), None)


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """A picture: its media type (by its bytes, not by anybody's word) and its bytes."""

    media_type: str
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """The hash of the bytes, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def extension(self) -> str:
        """How a file of this type ends, without the dot."""
        return EXTENSIONS[self.media_type]

    @property
    def data_url(self) -> str:
        """The whole picture as a ``data:`` URL."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"

    def omitted(self) -> JsonObject:
        """What a log says in the bytes' place."""
        return {
            "omitted": True,
            "media_type": self.media_type,
            "bytes": len(self.data),
            "sha256": self.sha256,
        }


Picture: TypeAlias = bytes | str | Path | GeneratedImage
"""A picture of a caller: its bytes, a ``data:`` URL, a URL that we gave out, or a file (as path or
``file:`` URL) inside ``LLM_MEDIA_DIR``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenImages:
    """Pictures that go to a model with a request, and the mask of what it may change."""

    images: tuple[GeneratedImage, ...]
    mask: GeneratedImage | None = None

    def omitted(self) -> JsonObject:
        """What a log says in their place."""
        images: JsonObject = {"images": [image.omitted() for image in self.images]}
        return {**images, "mask": self.mask.omitted()} if self.mask else images


class ImageOptions(CallOptions, FallbackOptions, total=False):
    """The closed set of keyword parameters of ``generate_image``.

    ``model`` is a role, ``provider:model`` or a model's name; by default the role ``image``.
    ``background`` .. ``moderation`` go to the model; ``output_compression`` is 0 to 100 per cent,
    for jpeg and webp. With ``resend`` a request that may have been answered, and charged, is sent
    again after a failure. ``timeout`` (seconds, for the whole call) and ``max_retries`` override
    the configuration; ``feature`` .. ``context`` are written on the row and never sent.

    ``fallback`` and ``fallback_on`` are those of `GenerationOptions`.
    """

    model: str
    background: ImageBackground
    output_format: ImageFormat
    output_compression: int
    moderation: ImageModeration
    resend: bool


class ImageEditOptions(ImageOptions, total=False):
    """Those of ``edit_image``: also ``input_fidelity``, how closely it keeps to the pictures."""

    input_fidelity: ImageFidelity

"""What the bytes of images, documents and sound say of themselves, and what they probably cost."""

import re
import struct
from collections.abc import Callable
from math import ceil

from .types import AudioPart, ImagePart, MediaPart

_SIGNATURES: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("audio/wav", re.compile(rb"RIFF.{4}WAVE", re.DOTALL)),
    ("audio/mpeg", re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")),
    ("application/pdf", re.compile(rb".{0,1024}?%PDF-", re.DOTALL)),
)

_TYPICAL_IMAGE, _LOW_IMAGE, _TILE, _TILE_PIXELS = 765, 85, 170, 512
_LONG_SIDE, _SHORT_SIDE = 2048, 768
_PAGE, _PAGE_OBJECT = 1_500, re.compile(rb"/Type\s*/Page\b")
_SOUND_BYTES = 1_600  # of MP3 at 128 kbit/s in the 100 ms that are a token
_WAV_FACTOR = 2  # 16 kHz, 16 bit, mono: twice as many bytes


def media_type_of(data: bytes) -> str | None:
    """The media type that the first bytes say; ``None`` for what no model takes."""
    return next((name for name, start in _SIGNATURES if start.match(data)), None)


def probable_tokens(part: MediaPart) -> int:
    """Roughly what a part costs: by OpenAI's published rule for images, a guess for the rest.

    An image is 85 tokens and 170 more for each tile of 512 pixels, once it is scaled to at most
    768 pixels on its short side (platform.openai.com/docs/guides/images-vision); an image whose
    size is not known counts as one of 1024 x 1024. A page of a PDF comes as text and as an image.
    """
    if isinstance(part, ImagePart):
        return _image_tokens(part)
    data = part.data or b""
    if isinstance(part, AudioPart):
        wide = _WAV_FACTOR if part.media_type == "audio/wav" else 1
        return ceil(len(data) / (_SOUND_BYTES * wide))
    return _PAGE * max(len(_PAGE_OBJECT.findall(data)), 1)


def _image_tokens(part: ImagePart) -> int:
    if part.detail == "low":
        return _LOW_IMAGE
    size = image_size(part.data) if part.data else None
    if size is None:
        return _TYPICAL_IMAGE
    scale = min(1.0, _LONG_SIDE / max(size), _SHORT_SIDE / min(size))
    wide, high = (ceil(side * scale / _TILE_PIXELS) for side in size)
    return _LOW_IMAGE + _TILE * wide * high


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels; ``None`` when the first bytes don't say."""
    read = _SIZES.get(media_type_of(data) or "")
    try:
        width, height = read(data) if read else (0, 0)
    except struct.error:
        return None
    return (width, height) if width and height else None


def _png_size(data: bytes) -> tuple[int, int]:
    return struct.unpack_from(">II", data, 16)


def _gif_size(data: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", data, 6)


_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walks the segments to the frame, which holds the size."""
    place = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, place)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + max(length, 2)


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "image/png": _png_size,
    "image/gif": _gif_size,
    "image/jpeg": _jpeg_size,
}

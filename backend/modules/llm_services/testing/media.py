"""Pictures, sound, vectors and pages that nobody scripted: small, sound, always the same."""

import hashlib
import io
import struct
import wave
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from math import hypot
from typing import Any, TypeAlias

from modules.llm_services.providers.findings import Findings
from modules.llm_services.types import GeneratedImage, SearchCitation
from modules.llm_services.types.audio import AudioFormat
from modules.llm_services.types.images import image_type

from .script import UnscriptedError

Vectors: TypeAlias = (
    Mapping[str, Sequence[float]] | Callable[[str], Sequence[float]] | Sequence[Sequence[float]]
)
DIMENSIONS = 1536
_RATE = 24_000
_SOUNDS: Mapping[AudioFormat, bytes] = {
    "mp3": b"\xff\xfb\x90\x00" + bytes(413),
    "opus": b"OggS" + bytes(24),
    "aac": b"\xff\xf1\x50\x80\x00\x1f\xfc" + bytes(8),
    "flac": b"fLaC" + bytes(38),
    "pcm": bytes(2 * _RATE // 10),
}


def picture(said: Any) -> GeneratedImage | str:
    """A picture as a test may put it: its bytes, or the URL where the provider keeps it."""
    if isinstance(said, GeneratedImage | str):
        return said
    kind = image_type(said) if isinstance(said, bytes) else None
    if kind is None:
        raise TypeError("a picture is PNG, JPEG, WebP or GIF bytes, a GeneratedImage, or a URL")
    return GeneratedImage(kind, said)


def pixel() -> GeneratedImage:
    """A PNG of one grey pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\x00\x80")), (b"IEND", b"")]
    packed = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return GeneratedImage("image/png", b"\x89PNG\r\n\x1a\n" + packed)


def silence(audio_format: AudioFormat) -> bytes:
    """A tenth of a second of nothing; of compressed formats, what a file begins with."""
    if audio_format != "wav":
        return _SOUNDS[audio_format]
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, _RATE, 0, "NONE", ""))
        sound.writeframes(bytes(2 * _RATE // 10))
    return file.getvalue()


def vectors(said: Vectors | None, texts: Sequence[str], length: int | None) -> "list[array[float]]":
    """A vector for each text: what a test says, else one that depends on the text alone."""
    if said is None:
        return [_vector(text, length or DIMENSIONS) for text in texts]
    if isinstance(said, Mapping):
        missing = [text for text in texts if text not in said]
        if missing:
            raise UnscriptedError(f"there is no vector for {missing[0][:80]!r}: script one")
        return [array("f", said[text]) for text in texts]
    if callable(said):
        return [array("f", said(text)) for text in texts]
    if len(said) != len(texts):
        raise UnscriptedError(f"{len(said)} vectors are scripted, {len(texts)} were asked for")
    return [array("f", vector) for vector in said]


def _vector(text: str, length: int) -> "array[float]":
    """Of length 1, as vendors give them."""
    seed = hashlib.shake_256(text.encode("utf-8", "replace")).digest(2 * length)
    raw = [number - 32_767.5 for number in struct.unpack(f"<{length}H", seed)]
    norm = hypot(*raw)
    return array("f", [number / norm for number in raw])


def found(pages: Sequence[Mapping[str, str]]) -> tuple[str, Findings]:
    """A report that cites pages (``url``, and if there are any ``title`` and ``snippet``)."""
    text, citations = "", []
    for page in pages:
        text += f"{page.get('snippet', '')} "
        title = page.get("title") or page["url"]
        mark = f"([{title}]({page['url']}))"
        place = SearchCitation(
            start=len(text), end=len(text) + len(mark), url=page["url"], title=title
        )
        citations.append(place)
        text += f"{mark}\n"
    return text.rstrip("\n"), Findings(
        citations=tuple(citations), consulted=(), calls=1, searches=1
    )


def a_page(query: str) -> list[Mapping[str, str]]:
    """The one page that the fake web has for a query."""
    name = hashlib.sha256(query.encode("utf-8", "replace")).hexdigest()[:8]
    said = f"What the fake web says about {query[:80]}."
    return [{"url": f"https://example.com/{name}", "title": query[:80], "snippet": said}]


def checked_pages(pages: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """The pages, each with a ``url``."""
    if not all("url" in page for page in pages):
        raise TypeError("pages are dicts with a url, and if you like a title and a snippet")
    return pages

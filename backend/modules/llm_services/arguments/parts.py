"""Images, documents and sound in messages: found, measured, and brought into one form."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

from modules.llm_services.attachments import media_type_of
from modules.llm_services.bulk import decoded
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import (
    AudioPart,
    ContentPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    TextPart,
)
from modules.llm_services.types.parts import ImageDetail

from .basics import items, kind, sendable_text, shown

MB = 1024 * 1024
MAX_MEDIA_BYTES = 50 * MB
MAX_IMAGES = 50
_MAX_PARTS = 500
_LONGEST_URL = 8_192
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.+-]+)*?);base64,", re.IGNORECASE)
_FILENAME = re.compile(r"[^/\\\x00-\x1f]{1,255}")
_KINDS: dict[type[MediaPart], tuple[str, int, tuple[str, ...]]] = {
    ImagePart: ("an image", 20 * MB, ("image/png", "image/jpeg", "image/webp", "image/gif")),
    DocumentPart: ("a document", 50 * MB, ("application/pdf",)),
    AudioPart: ("sound", 25 * MB, ("audio/wav", "audio/mpeg")),
}
_SAME = {"audio/mp3": "audio/mpeg", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav",
         "image/jpg": "image/jpeg"}  # fmt: skip


def parts(name: str, value: Sequence[Any], media_dir: Path | None) -> tuple[ContentPart, ...]:
    """Parts with their bytes and media types, or with the https URL that the vendor fetches."""
    found = items(name, value, _MAX_PARTS, "parts")
    return tuple(_part(f"{name}[{i}]", part, media_dir) for i, part in enumerate(found))


def check_media(found: Sequence[ContentPart]) -> None:
    """All media of a conversation together."""
    media = [part for part in found if isinstance(part, MediaPart)]
    images = sum(isinstance(part, ImagePart) for part in media)
    if images > MAX_IMAGES:
        raise LLMInputError(f"messages hold {images} images; at most {MAX_IMAGES} are taken")
    size = sum(len(part.data) for part in media if part.data)
    if size > MAX_MEDIA_BYTES:
        raise LLMInputError(
            f"messages hold {_mb(size)} of images, documents and sound; at most "
            f"{_mb(MAX_MEDIA_BYTES)} are taken"
        )


def _part(name: str, part: Any, media_dir: Path | None) -> ContentPart:
    if isinstance(part, TextPart):
        sendable_text(f"{name}.text", part.text)
        return part
    if type(part) not in _KINDS:
        raise LLMInputError(
            f"{name} must be a TextPart, ImagePart, DocumentPart or AudioPart, not {kind(part)}"
        )
    _check_details(name, part)
    if (part.data is None) == (part.url is None):
        raise LLMInputError(f"{name} must have either data or a url")
    found: ContentPart = (
        _with_bytes(name, part, part.data)
        if part.url is None
        else (_from_url(name, part, media_dir))
    )
    return found


def _check_details(name: str, part: Any) -> None:
    detail = getattr(part, "detail", "auto")
    if not isinstance(detail, str) or detail not in get_args(ImageDetail):
        known = ", ".join(get_args(ImageDetail))
        raise LLMInputError(f"{name}.detail must be one of {known}, not {shown(detail)}")
    filename = getattr(part, "filename", None)
    if filename is None:
        return
    if not _FILENAME.fullmatch(sendable_text(f"{name}.filename", filename)):
        raise LLMInputError(f"{name}.filename must be 1 to 255 characters, without a folder")


def _from_url(name: str, part: Any, media_dir: Path | None) -> Any:
    url = sendable_text(f"{name}.url", part.url)
    scheme = url[:10].partition(":")[0].lower()
    read = _SCHEMES.get(scheme)
    if read is None:
        raise LLMInputError(
            f"{name}.url must be an https:, data: or file: URL, not {scheme[:10]!r}"
        )
    return read(name, part, url, media_dir)


def _https(name: str, part: Any, url: str, _media_dir: Path | None) -> Any:
    """Handed to the vendor as it is; a password in it would be in the vendor's hands, too."""
    if isinstance(part, AudioPart):
        raise LLMInputError(f"{name}: sound is sent as bytes: give data or a data: URL")
    try:
        address = urlsplit(url)
        good = bool(address.hostname) and "@" not in address.netloc
    except ValueError:
        good = False
    if not good or len(url) > _LONGEST_URL or not url.isprintable() or " " in url:
        raise LLMInputError(
            f"{name}.url must be an https: address with a host, without a password or spaces, of "
            f"at most {_LONGEST_URL} characters"
        )
    return part


def _data_url(name: str, part: Any, url: str, _media_dir: Path | None) -> Any:
    head = _DATA_URL.match(url[:200])
    if head is None:
        raise LLMInputError(f"{name}.url must be data:<media type>;base64,<data>")
    try:
        data = decoded(url, head.end())
    except ValueError:
        raise LLMInputError(f"{name}.url holds data that is not base64") from None
    said = part.media_type or (head[1] and head[1].lower())
    return _with_bytes(name, part.model_copy(update={"media_type": said, "url": None}), data)


def _file_url(name: str, part: Any, url: str, media_dir: Path | None) -> Any:
    """A file of ours: any other would let whoever writes the URL read this machine."""
    if media_dir is None:
        raise LLMInputError(
            f"{name}.url must not be a file: URL as long as LLM_MEDIA_DIR is not set"
        )
    try:
        data = _contents(name, url, media_dir.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise LLMInputError(f"{name}.url cannot be read ({type(error).__name__})") from None
    return _with_bytes(name, part.model_copy(update={"url": None}), data)


def _contents(name: str, url: str, folder: Path) -> bytes:
    address = urlsplit(url)
    path = Path(unquote(address.path)).resolve()
    if address.netloc not in {"", "localhost"} or not path.is_relative_to(folder):
        raise LLMInputError(f"{name}.url is not a file in LLM_MEDIA_DIR")
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError
    if path.stat().st_size > MAX_MEDIA_BYTES:
        raise LLMInputError(f"{name}.url is a file of more than {_mb(MAX_MEDIA_BYTES)}")
    return path.read_bytes()


_SCHEMES: dict[str, Callable[[str, Any, str, Path | None], Any]] = {
    "https": _https,
    "data": _data_url,
    "file": _file_url,
}


def _with_bytes(name: str, part: Any, data: object) -> Any:
    """The part with what its bytes say they are, when that is what may stand here."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise LLMInputError(f"{name}.data must be bytes, not {kind(data)}")
    what, most, known = _KINDS[type(part)]
    found = bytes(data)
    if not 1 <= len(found) <= most:
        raise LLMInputError(f"{name}: {what} has 1 byte to {_mb(most)}, not {_mb(len(found))}")
    media_type = media_type_of(found)
    if media_type not in known:
        raise LLMInputError(
            f"{name} must be {what} of the type {' or '.join(known)}; its bytes are "
            f"{media_type or 'none of these'}"
        )
    said = part.media_type
    if said is not None and _SAME.get(said, said) != media_type:
        raise LLMInputError(f"{name}.media_type is {shown(said)}, but its bytes are {media_type}")
    return part.model_copy(update={"data": found, "media_type": media_type})


def _mb(size: int) -> str:
    return f"{size / MB:.1f} MB"

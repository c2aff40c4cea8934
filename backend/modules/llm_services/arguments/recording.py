"""A sound file of a caller: read, measured and recognised before anything is sent."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types.audio import Recording

from .basics import kind

MAX_BYTES = 25 * 1024 * 1024
_TOO_LARGE = f"at most {MAX_BYTES} (25 MB) are taken: cut it, or encode it smaller"
_MP3_LAYER = 0x06

_MEDIA_TYPES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
    "flac": "audio/flac",
}
_SIGNATURES: Mapping[str, Callable[[bytes], bool]] = {
    "wav": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
    "m4a": lambda head: head[4:8] == b"ftyp",
    "ogg": lambda head: head[:4] == b"OggS",
    "webm": lambda head: head[:4] == b"\x1a\x45\xdf\xa3",
    "flac": lambda head: head[:4] == b"fLaC",
    "mp3": lambda head: head[:3] == b"ID3" or _is_mpeg_frame(head),
}


def recording(file: object) -> Recording:
    """The bytes of a file and what they are, whatever its name says. Blocks while it is read."""
    data = _content(file)
    if not data:
        raise LLMInputError("file is empty")
    if len(data) > MAX_BYTES:
        raise LLMInputError(f"file has more bytes than that: {_TOO_LARGE}")
    extension = next((name for name, fits in _SIGNATURES.items() if fits(data[:16])), None)
    if extension is None:
        raise LLMInputError(f"file is no sound that can be heard: {', '.join(_MEDIA_TYPES)} can")
    return Recording(_MEDIA_TYPES[extension], data, extension)


def _is_mpeg_frame(head: bytes) -> bool:
    """The sync bits, and a layer: AAC has the same bits and no layer."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & _MP3_LAYER > 0  # noqa: PLR2004


def _content(file: object) -> bytes:
    if isinstance(file, bytes):
        return file
    try:
        return _read_path(file) if isinstance(file, Path) else _read_open(file)
    except LLMInputError:
        raise
    except Exception as error:  # noqa: BLE001 - a caller's file may raise anything
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise LLMInputError(f"file cannot be read: {reason}") from None


def _read_path(path: Path) -> bytes:
    if not path.is_file():
        raise LLMInputError("file names nothing that is a file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise LLMInputError(f"file is {size} bytes; {_TOO_LARGE}")
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _read_open(file: object) -> bytes:
    read = getattr(file, "read", None)
    if not callable(read) or inspect.iscoroutinefunction(read):
        raise LLMInputError(
            "file must be bytes, a pathlib.Path or a file that is open in binary mode, not "
            f"{kind(file)}" + (": await its read() and give the bytes" if read else "")
        )
    data: object = read(MAX_BYTES + 1)
    if not isinstance(data, bytes):
        raise LLMInputError(f"file gives {kind(data)}, not bytes: open it in binary mode")
    return data

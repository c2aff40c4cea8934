"""WAV files, as far as they have to be joined: a header and samples.

Providers that stream write a header before they know how long the file will be; what is joined
here gets a header that is true.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CHUNK = struct.Struct("<4sI")
_RIFF = 12


@dataclass(frozen=True, slots=True)
class Samples:
    """What a WAV file holds: how its samples are to be read, and the samples."""

    form: bytes
    data: bytes


def samples(file: bytes) -> Samples | None:
    """The samples of a file; ``None`` when it is no WAV, or has none."""
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        return None
    found = dict(_chunks(file))
    form, data = found.get(b"fmt "), found.get(b"data")
    return Samples(form, data) if form and data else None


def form(file: bytes) -> bytes | None:
    """How the samples of a WAV file are to be read: rate, width, channels."""
    found = samples(file)
    return found.form if found else None


def joined(files: Sequence[bytes]) -> bytes:
    """One file with the samples of all, in the form of the first."""
    parts = [part for part in map(samples, files) if part is not None]
    form, data = parts[0].form, b"".join(part.data for part in parts)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", data)
    return _CHUNK.pack(b"RIFF", len(body)) + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content)) + content + bytes(len(content) % 2)


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Chunks in order; the size of the last may be a guess that is far too large."""
    place = _RIFF
    while place + _CHUNK.size <= len(file):
        name, size = _CHUNK.unpack_from(file, place)
        place += _CHUNK.size
        yield name, file[place : place + size]
        place += size + size % 2

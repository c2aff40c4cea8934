"""PNG files with the standard library: an indexed image is small, whatever its size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"

Color = tuple[int, int, int]


def encode(width: int, height: int, rows: Sequence[bytes], palette: Sequence[Color]) -> bytes:
    """A PNG of `height` rows, each `width` palette indices; rows may be one shared object."""
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" + row) for row in rows) + packer.flush()
    colors = b"".join(bytes(color) for color in palette)
    chunks = ((b"IHDR", header), (b"PLTE", colors), (b"IDAT", data), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG; None for anything else."""
    if not data.startswith(SIGNATURE) or len(data) < len(SIGNATURE) + 16:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height

"""Scripts and styles, served from the package: a closed list, read once, named by their content."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: its bytes, their type, and the beginning of their hash."""

    data: bytes
    media_type: str
    version: str


@cache
def assets() -> Mapping[str, Asset]:
    """All files by name. No other name leads anywhere."""
    folder = files(__package__) / "static"
    return {file.name: _asset(file.name, file.read_bytes()) for file in folder.iterdir()}


def _asset(name: str, data: bytes) -> Asset:
    return Asset(data, _TYPES[PurePath(name).suffix], sha256(data).hexdigest()[:12])

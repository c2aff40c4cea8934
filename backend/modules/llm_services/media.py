"""Where pictures are kept: a folder of files that are named by what is in them, or nowhere.

Nothing here touches the network, and no file outside the folder is read or written.
"""

import logging
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.request import url2pathname
from uuid import uuid4

from .bulk import decoded, encoded
from .exceptions import LLMInputError
from .types import GeneratedImage, Picture
from .types.images import EXTENSIONS, image_type

logger = logging.getLogger(__name__)
MAX_BYTES = 50_000_000
_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_FILE_URL = re.compile(r"file:(?://(?:localhost)?)?(/[^?#]*)", re.IGNORECASE)
_OUR_NAME = re.compile(rf"[0-9a-f]{{64}}\.(?:{'|'.join(EXTENSIONS.values())})")
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class MediaStore:
    """Keeps pictures in ``folder``, as ``<sha256>.<ext>``, and says where they can be fetched.

    With a ``base_url`` (a web server over the folder) that is ``base_url/<sha256>.<ext>``, else a
    ``file:`` URL. Without a folder a picture is its own ``data:`` URL.
    """

    def __init__(self, folder: Path | None = None, base_url: str | None = None) -> None:
        self._folder = folder and folder.resolve()
        self._base_url = base_url

    def place(self, image: GeneratedImage) -> str:
        """The picture's URL; its file is there, whole, when this returns.

        A folder that takes no file costs nobody a picture that is paid for: it comes as a
        ``data:`` URL then, and the log says why.
        """
        if self._folder is None:
            return _data_url(image)
        path = self._folder / f"{image.sha256}.{image.extension}"
        try:
            _write(path, image.data)
        except OSError:
            logger.exception("a picture was not kept in %s", self._folder)
            return _data_url(image)
        return f"{self._base_url}/{path.name}" if self._base_url else path.as_uri()

    def read(self, url: str, name: str = "url") -> GeneratedImage:
        """The picture behind a URL that was given out here, or a file inside the folder.

        Raises `LLMInputError`, naming the argument, for every other URL: nothing is fetched.
        """
        if not isinstance(url, str):
            raise LLMInputError(f"{name} must be a str, not {type(url).__name__}")
        if url[:5].lower() == "data:":
            return from_data_url(url, name)
        if url[:5].lower() == "file:":
            return self._file(name, _path_of(url, name))
        if self._base_url and url.startswith(f"{self._base_url}/"):
            return self._named(name, url.removeprefix(f"{self._base_url}/"))
        raise LLMInputError(
            f"{name} must be a data: URL, a file: URL inside LLM_MEDIA_DIR or one below "
            "LLM_MEDIA_BASE_URL; nothing is fetched from the network"
        )

    def picture(self, name: str, value: Picture) -> GeneratedImage:
        """What a caller hands in as a picture. Raises `LLMInputError` naming the argument."""
        if isinstance(value, bytes | GeneratedImage):
            return checked(name, value if isinstance(value, bytes) else value.data)
        if isinstance(value, Path):
            return self._file(name, value)
        if isinstance(value, str):
            return self.read(value, name)
        raise LLMInputError(
            f"{name} must be bytes, a data: URL, a file inside LLM_MEDIA_DIR or a GeneratedImage, "
            f"not {type(value).__name__}"
        )

    def _named(self, name: str, file: str) -> GeneratedImage:
        if not _OUR_NAME.fullmatch(file):
            raise LLMInputError(f"{name} names no picture of ours: <sha256>.<ext> was expected")
        return self._file(name, Path(file))

    def _file(self, name: str, path: Path) -> GeneratedImage:
        """A file of the folder, wherever its name leads in the end; a relative one starts there."""
        if self._folder is None:
            raise LLMInputError(f"{name} names a file, and LLM_MEDIA_DIR is not set")
        try:
            real = (self._folder / path).resolve()
            if not real.is_relative_to(self._folder):
                raise LLMInputError(f"{name} names a file outside LLM_MEDIA_DIR")
            return checked(name, _read(real))
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise LLMInputError(f"{name} names a file that cannot be read: {reason}") from None


def _data_url(image: GeneratedImage) -> str:
    return f"data:{image.media_type};base64,{encoded(image.data)}"


def from_data_url(url: str, name: str = "url") -> GeneratedImage:
    """The picture in a ``data:`` URL. Raises `LLMInputError` naming the argument."""
    head = _DATA_URL.match(url, 0, 500)
    if head is None:
        raise LLMInputError(f"{name} must be data:<media type>;base64,…")
    if len(url) - head.end() > MAX_BYTES * 4 // 3 + 4:
        raise LLMInputError(f"{name} is over {MAX_BYTES // 1_000_000} MB")
    try:
        data = decoded(url, head.end())
    except ValueError:
        raise LLMInputError(f"{name} holds something that is not base64") from None
    return checked(name, data)


def checked(name: str, data: object) -> GeneratedImage:
    """The bytes as a picture of the type that they are. Raises `LLMInputError` for others."""
    if not isinstance(data, bytes):
        raise LLMInputError(f"{name} must hold bytes, not {type(data).__name__}")
    if len(data) > MAX_BYTES:
        raise LLMInputError(f"{name} is {len(data)} bytes; at most {MAX_BYTES} are taken")
    media_type = image_type(data)
    if media_type is None:
        raise LLMInputError(f"{name} is no picture: {', '.join(EXTENSIONS)} are taken")
    return GeneratedImage(media_type, data)


def _path_of(url: str, name: str) -> Path:
    parts = _FILE_URL.fullmatch(url)
    if parts is None:
        raise LLMInputError(f"{name} must be file:///path, without a host, ? or #")
    return Path(url2pathname(parts[1]))


def _read(path: Path) -> bytes:
    """A regular file, not more than anybody takes; a pipe or a device is not even waited for."""
    with open(path, "rb", opener=_opener(_READ)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no regular file")
        return file.read(MAX_BYTES + 1)


def _write(path: Path, data: bytes) -> None:
    """All of the file or nothing of it, also for whoever looks while it is written."""
    with suppress(FileNotFoundError):
        if path.stat().st_size == len(data):
            return
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with open(draft, "wb", opener=_opener(_WRITE)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _opener(flags: int) -> Callable[[str, int], int]:
    return lambda path, _flags: os.open(path, flags, 0o666)

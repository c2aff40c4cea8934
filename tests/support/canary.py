"""A canary: words that must turn up in no sink, and the hunt for them."""

import base64
import logging
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.ledger import rows

WORD = "Xylocanary7731"
PERSON = "canary.person@example.com"
CARD = "4111 1111 1111 1111"
KEY = "sk-canaryKEY0f9e8d7c6b5a4938271605"
CANARIES = (WORD, PERSON, CARD, KEY, quote(PERSON), base64.b64encode(KEY.encode()).decode())
NOT_OURS = ("uvicorn", "python_multipart", "sandbox")
"""Loggers of the stand-in vendor, which lives in the same process."""


def without_the_word(text: str) -> str:
    """A redactor of an operator's own."""
    return text.replace(WORD, "[bird]")


def that_fails(text: str) -> str:
    """A redactor that works when it is tried, and quotes what it chokes on."""
    if "fox" in text:
        return text
    raise ValueError(text)


def that_gives_nothing(text: str) -> str | None:
    """A redactor that forgets to return what it made."""
    return text if "fox" in text else None


async def that_waits(text: str) -> str:
    """Not a redactor."""
    return text


class Sinks(logging.Handler):
    """Everything that is written anywhere while a test runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.DEBUG)
        self.folder = folder
        self.lines: list[str] = []
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line as a file would hold it."""
        if not record.name.startswith(NOT_OURS):
            self.lines.append(logging.Formatter("%(name)s %(message)s").format(record))

    def everything(self) -> Iterator[tuple[str, str]]:
        """Each sink with what it holds."""
        for row in rows():
            for column, value in row.items():
                yield f"column {column} of {row['operation']}, {row['error_type']}", str(value)
        yield from (("log", line) for line in self.lines)
        for path in self.folder.rglob("*"):
            if path.is_file():
                yield f"file {path.name}", path.read_bytes().decode("latin-1")

    def found(self, *canaries: str) -> list[str]:
        """Where a canary was found."""
        return [
            f"{canary!r} in {sink}: {text[:300]}"
            for sink, text in self.everything()
            for canary in canaries or CANARIES
            if canary in text
        ]

    def key_in_errors(self) -> list[str]:
        """Errors that tell the key, in their words, their repr or their traceback."""
        told = ["".join([repr(one), *traceback.format_exception(one)]) for one in self.errors]
        return [text for text in told if KEY in text]


@contextmanager
def watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sinks]:
    """Watch every logger, and every file below a folder in which all files now are."""
    for name in ("tmp", "spool", "media"):
        (folder / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    monkeypatch.setenv("LLM_SPOOL_DIR", str(folder / "spool"))
    monkeypatch.setenv("LLM_LOG_REQUESTS", "true")
    sinks, root = Sinks(folder), logging.getLogger()
    level = root.level
    root.addHandler(sinks)
    root.setLevel(logging.DEBUG)
    try:
        yield sinks
    finally:
        root.setLevel(level)
        root.removeHandler(sinks)


class _Quoting(BaseHTTPRequestHandler):
    """A vendor that quotes the whole request in whatever it says. The path says what that is."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        said = quoted(asked + self.headers["authorization"])
        if self.path.startswith("/page"):
            self._say(200, f"<html>{asked}</html>", "text/html")
        elif self.path.startswith("/odd"):
            self._say(200, f'{{"odd": {said}}}', "application/json")
        else:
            error = f'{{"error": {{"message": {said}, "code": {said}, "param": {said}}}}}'
            self._say(int(self.path.split("/")[1]), error, "application/json")

    def _say(self, status: int, body: str, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Tell nobody."""


def quoted(text: str) -> str:
    """A text as JSON."""
    import json

    return json.dumps(text)


@contextmanager
def quoting_vendor() -> Iterator[str]:
    """The base URL of a vendor that quotes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quoting)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

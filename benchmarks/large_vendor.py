"""A vendor of large answers, for `loop_stalls`: what the model is called says what it answers.

``text``, ``cjk``, ``base64`` and ``object`` are megabytes, ``text-1000`` the same as a stream whose
deltas have a thousand characters. ``novel`` is 20 MB, ``bomb`` 200 MB of blanks that come packed.
Batches, vectors and pictures are large as well.
"""

import base64
import gzip
import json
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any, ClassVar

from pydantic import BaseModel

MB = 10**6
USAGE = {"input_tokens": 7, "output_tokens": 7, "total_tokens": 14}


class Entry(BaseModel):
    """A part of a large answer."""

    name: str
    tags: list[str]


class Catalogue(BaseModel):
    """A large answer."""

    entries: list[Entry]


ENTRY = {"name": "Mars has two moons, Phobos and Deimos.", "tags": ["moon", "rock", "red"]}
OBJECT_1MB = json.dumps({"entries": [ENTRY] * 12_000})
TEXTS = {
    "text": "Rivers carry sand to the sea. " * (10 * MB // 30),
    "cjk": "河流把沙子带到海里。" * (10 * MB // 10),
    "base64": base64.b64encode(bytes(range(256)) * (10 * MB // 256)).decode(),
    "object": OBJECT_1MB,
    "novel": "Rivers carry sand to the sea. " * (20 * MB // 30),
    "short": "Sand.",
}
BOMB = gzip.compress(b" " * (200 * MB))
LINES = 2_000


def answer(text: str) -> dict[str, Any]:
    """A reply of the Responses API."""
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "role": "assistant", "content": [part], "status": "completed"}
    reply = {"id": "resp_1", "object": "response", "status": "completed", "model": "m"}
    return {**reply, "output": [message], "usage": USAGE}


def pieces(text: str, size: int) -> Iterator[bytes]:
    """The same as a stream whose deltas have ``size`` characters."""
    for at in range(0, len(text), size):
        event = {"type": "response.output_text.delta", "delta": text[at : at + size]}
        yield b"data: " + json.dumps(event).encode() + b"\n\n"
    last = {"type": "response.completed", "response": answer(text)}
    yield b"data: " + json.dumps(last).encode() + b"\n\n"


class Vendor(BaseHTTPRequestHandler):
    """Answers as the name of the model wants it, ``kind`` or ``kind-size`` of deltas."""

    protocol_version = "HTTP/1.1"
    batch: ClassVar[list[bytes]] = []

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing."""

    def do_POST(self) -> None:
        """A call, or a step of a batch."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/files"):
            Vendor.batch = [line for line in body.split(b"\n") if line.startswith(b'{"custom_id')]
            self.reply(json.dumps({"id": "file_1", "object": "file"}).encode())
        elif self.path.endswith("/batches"):
            metadata = json.loads(body).get("metadata")
            Vendor.metadata = metadata
            self.reply(self.described("validating"))
        elif self.path.endswith("/embeddings"):
            asked = json.loads(body)
            vector = base64.b64encode(bytes(4 * 3072)).decode()
            data = [
                {"object": "embedding", "index": n, "embedding": vector}
                for n in range(len(asked["input"]))
            ]
            usage = {"prompt_tokens": 7, "total_tokens": 7}
            said = {"object": "list", "data": data, "model": "m", "usage": usage}
            self.reply(json.dumps(said).encode())
        elif self.path.endswith("/images/generations"):
            picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20 * MB)
            said = {"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]}
            self.reply(json.dumps({**said, "usage": USAGE}).encode())
        else:
            self.call(body)

    metadata: Any = None

    def call(self, body: bytes) -> None:
        """One call of a model."""
        [asked] = re.findall(rb'"model": ?"([a-z0-9-]+)"', body[:2_000] + body[-2_000:])[:1]
        kind, _, size = asked.decode().partition("-")
        if kind == "bomb":
            self.reply(BOMB, packed="gzip")
        elif size:
            self.stream(TEXTS[kind], int(size))
        else:
            self.reply(json.dumps(answer(TEXTS[kind])).encode())

    def do_GET(self) -> None:
        """How a batch is, and its answers."""
        if self.path.endswith("/content"):
            wanted = [json.loads(line) for line in Vendor.batch]
            text = json.dumps({"entries": [ENTRY] * 20})
            lines = [
                json.dumps(
                    {
                        "id": f"r{n}",
                        "custom_id": one["custom_id"],
                        "response": {"status_code": 200, "request_id": "r", "body": answer(text)},
                    }
                ).encode()
                for n, one in enumerate(wanted)
            ]
            self.reply(b"\n".join(lines) + b"\n")
        else:
            self.reply(self.described("completed"))

    def described(self, status: str) -> bytes:
        """The batch."""
        counts = {"total": LINES, "completed": LINES, "failed": 0}
        said = {"id": "batch_1", "object": "batch", "endpoint": "/v1/responses", "status": status}
        more = {"input_file_id": "file_1", "output_file_id": "file_2", "request_counts": counts}
        times = {"created_at": 1, "completion_window": "24h"}
        return json.dumps({**said, **more, **times, "metadata": Vendor.metadata}).encode()

    def reply(self, body: bytes, packed: str = "identity") -> None:
        """A whole reply."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-encoding", packed)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, text: str, size: int) -> None:
        """A reply in pieces."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        with suppress(OSError):
            for piece in pieces(text, size):
                self.wfile.write(piece)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    """Takes many connections at once; clients may leave when they want."""

    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Nothing."""


def vendor(ours: Connection) -> None:
    """The vendor's process."""
    server = Server(("127.0.0.1", 0), Vendor)
    ours.send(f"http://127.0.0.1:{server.server_port}/v1")
    server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """The vendor in a process of its own; its base URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=vendor, args=(theirs,), daemon=True
    )
    process.start()
    yield ours.recv()
    process.terminate()

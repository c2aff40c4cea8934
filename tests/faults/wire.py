"""HTTP/1.1 as bytes: just enough to read requests and replies whole, and to write broken ones."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

END_OF_HEAD = b"\r\n\r\n"
_AT_ONCE = 2**16


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def call_id(self) -> str | None:
        """The id of the row that it belongs to."""
        return self.headers.get("x-client-request-id")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it came, in two pieces that together are all of its bytes."""

    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        """All bytes."""
        return self.head + self.body

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case."""
        return _headers(self.head)

    @property
    def content(self) -> bytes:
        """The body without its framing."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.body
        return b"".join(_chunks(self.body))

    def with_content(self, content: bytes, **headers: str) -> "Reply":
        """The same status and headers around another body, with headers (_ for -) replaced."""
        known = {n: v for n, v in self.headers.items() if n not in _FRAMING}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = {} if "connection" in named else {"content-length": str(len(content))}
        return Reply(head(self.head.split(b"\r\n", 1)[0], {**known, **length, **named}), content)


_FRAMING = {"content-length", "transfer-encoding", "connection"}


def head(first_line: bytes, headers: Mapping[str, str]) -> bytes:
    """A status line and headers as bytes."""
    lines = [first_line, *(f"{name}: {value}".encode() for name, value in headers.items())]
    return b"\r\n".join(lines) + END_OF_HEAD


def reply(status: int, content: bytes, **headers: str) -> Reply:
    """A reply of our own; header names are written with _ for -, and go before ours."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {"content-type": "application/json", "content-length": str(len(content))}
    return Reply(head(f"HTTP/1.1 {status} Fault".encode(), {**usual, **named}), content)


def read_request(client: socket.socket) -> Request | None:
    """The next request of a connection, or ``None`` when the client is gone."""
    data = _until_head(client, b"")
    if data is None:
        return None
    top, body = _split(data)
    headers = _headers(top)
    wanted = int(headers.get("content-length", "0"))
    while len(body) < wanted:
        piece = client.recv(_AT_ONCE)
        if not piece:
            return None
        body += piece
    method, path, _ = top.split(b"\r\n", 1)[0].decode().split(" ", 2)
    return Request(method, path, headers, top + body)


def exchange(upstream: tuple[str, int], request: Request) -> Reply:
    """The reply of the server behind, to a connection of its own, fit to be kept alive."""
    with socket.create_connection(upstream) as server:
        top, body = _split(request.raw)
        lines = [x for x in top[:-4].split(b"\r\n") if not x.lower().startswith(b"connection:")]
        server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + END_OF_HEAD + body)
        data = b"".join(iter(lambda: server.recv(_AT_ONCE), b""))
    top, body = _split(data)
    kept = [x for x in top[:-4].split(b"\r\n") if not x.lower().startswith(b"connection:")]
    return Reply(b"\r\n".join(kept) + END_OF_HEAD, body)


def _until_head(client: socket.socket, data: bytes) -> bytes | None:
    while END_OF_HEAD not in data:
        piece = client.recv(_AT_ONCE)
        if not piece:
            return None
        data += piece
    return data


def _split(data: bytes) -> tuple[bytes, bytes]:
    at = data.index(END_OF_HEAD) + len(END_OF_HEAD)
    return data[:at], data[at:]


def _headers(top: bytes) -> dict[str, str]:
    lines = [line.decode("latin-1") for line in top.split(b"\r\n")[1:] if b":" in line]
    pairs = (line.split(":", 1) for line in lines)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _chunks(body: bytes) -> Iterator[bytes]:
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return
        yield body[:length]
        body = body[length + 2 :]

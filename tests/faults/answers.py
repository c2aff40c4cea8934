"""What servers say: successes that are no answer, redirects, bombs, and statuses of every kind."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from tests.faults.proxy import Exchange, Fault
from tests.faults.wire import Reply, head, reply

GARBAGE = {
    "empty": b"",
    "html": b"<!doctype html><html><body>Welcome to the captive portal</body></html>",
    "half_json": b'{"id": "x", "object": "resp',
    "noise": bytes(range(256)) * 4,
    "bad_utf8": b'{"text": "\xff\xfe\xc3", "output": "\xed\xa0\x80"}',
    "null": b"null",
    "list": b"[]",
    "text": b'"hello"',
    "object": b"{}",
    "error_in_200": b'{"error": {"message": "out of cheese", "code": "server_error"}}',
    "nan": b'{"usage": {"input_tokens": NaN, "prompt_tokens": NaN}, "data": NaN}',
    "infinity": b'{"usage": {"input_tokens": Infinity}, "duration": -Infinity, "output": 1e999}',
    "deep": b"[" * 100_000,
    "deep_object": b'{"output":' * 50_000 + b"1" + b"}" * 50_000,
    "huge_number": b'{"usage": {"input_tokens": ' + b"9" * 10_000 + b"}}",
    "wrong_types": b'{"output": {"a": 1}, "choices": "x", "data": 5, "text": {"x": []}}',
}


def says(name: str, made: Callable[[], Reply]) -> Fault:
    """A reply of ours in place of the server's, which is not asked."""
    return Fault(name=name, act=lambda talk: talk.send(made().raw))


def garbage(name: str, content_type: str = "application/json") -> Fault:
    """A success with one of `GARBAGE`."""
    return says(name, lambda: reply(200, GARBAGE[name], content_type=content_type))


def status(code: int, *, body: bytes | None = None, **headers: str) -> Fault:
    """A status with OpenAI's kind of body, or another, and headers (_ for -)."""
    usual = {"error": {"message": f"status {code}", "type": "fault", "code": None}}
    said = json.dumps(usual).encode() if body is None else body
    return says(f"status_{code}", lambda: reply(code, said, **headers))


def cut_status(code: int) -> Fault:
    """A status whose body ends too soon, and the connection with it."""

    def act(talk: Exchange) -> None:
        talk.send(reply(code, b'{"error": {"mess', content_length="500").raw)
        talk.close()

    return Fault(name=f"cut_{code}", act=act)


def redirect(code: int, to: str) -> Fault:
    """Elsewhere is where the answer is."""
    return says(f"redirect_{code}", lambda: reply(code, b"", location=to))


def gzip_bomb(size: int, code: int = 200) -> Fault:
    """Some kilobytes that unfold to ``size`` bytes of blanks."""
    made = lambda: reply(code, _bomb(size), content_encoding="gzip")  # noqa: E731 - a large one
    return says(f"gzip_bomb_{code}", made)


def gzip_of_gzip() -> Fault:
    """The same, packed once more."""
    twice = gzip.compress(_bomb(2**20))
    return says("gzip_gzip", lambda: reply(200, twice, content_encoding="gzip, gzip"))


def broken_gzip() -> Fault:
    """A body that says it is packed and is not."""
    return says("broken_gzip", lambda: reply(200, b"not packed", content_encoding="gzip"))


def cut_gzip() -> Fault:
    """A packed body whose end is missing, under the right length."""
    packed = gzip.compress(b'{"id": "' + bytes(range(65, 90)) * 40 + b'"}')
    return says("cut_gzip", lambda: reply(200, packed[:-20], content_encoding="gzip"))


def big(size: int, code: int = 200) -> Fault:
    """A body of blanks that is as large as it says."""
    return says(f"big_{code}", lambda: reply(code, b" " * size))


def endless(code: int = 200) -> Fault:
    """Chunks of blanks without end."""

    def act(talk: Exchange) -> None:
        talk.send(head(b"HTTP/1.1 %d Fault" % code, {"transfer-encoding": "chunked"}))
        chunk = b"40000\r\n" + b" " * 2**18 + b"\r\n"
        while True:
            talk.send(chunk)

    return Fault(name=f"endless_{code}", act=act)


def huge_header() -> Fault:
    """A head that is larger than any body."""
    return says("huge_header", lambda: reply(200, b"{}", x_padding="p" * 2**20))


def not_http() -> Fault:
    """Another protocol altogether."""
    return says("not_http", lambda: Reply(b"220 mail.example.com ESMTP ready\r\n\r\n", b""))


def echo(code: int) -> Fault:
    """A reply that quotes the request's headers, as debugging proxies do."""

    def act(talk: Exchange) -> None:
        assert talk.request is not None
        said = json.dumps({"error": {"message": str(talk.request.headers)}}).encode()
        talk.send(reply(code, said, x_request_id=talk.request.headers["authorization"]).raw)

    return Fault(name=f"echo_{code}", act=act)


def events(
    name: str, change: Callable[[list[bytes]], Sequence[bytes]], *, hang: bool = False
) -> Fault:
    """The server's events, changed; then the connection ends, or hangs."""

    def act(talk: Exchange) -> None:
        answer = talk.forward()
        said = [event for event in answer.content.split(b"\n\n") if event]
        changed = b"".join(event + b"\n\n" for event in change(said))
        talk.send(answer.with_content(changed, connection="close").raw)
        if hang:
            talk.wait_until_left()
        talk.close()

    return Fault(name=name, act=act)


@lru_cache(maxsize=8)
def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * 2**20
    pieces = [packer.compress(block) for _ in range(size // len(block))]
    return b"".join([*pieces, packer.flush()])

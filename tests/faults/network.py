"""What networks do: connections that end, break, stall or crawl, and replies that are not whole.

A ``share`` says where in a reply's body something happens: 0 is after its head, 1 at its end.
"""

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

from tests.faults.proxy import Exchange, Fault
from tests.faults.wire import Reply, reply

POISON = b'{"error": {"message": "POISON: this is the answer to nobody"}}'


def _named(name: str, act: Callable[[Exchange], None], *, at_accept: bool = False) -> Fault:
    return Fault(name=name, act=act, at_accept=at_accept)


def accept_close() -> Fault:
    """The connection is taken, and ended."""
    return _named("accept_close", Exchange.close, at_accept=True)


def accept_reset() -> Fault:
    """The connection is taken, and reset."""
    return _named("accept_reset", Exchange.reset, at_accept=True)


def blackhole() -> Fault:
    """The request is taken, and that is all: the server behind never hears of it."""
    return _named("blackhole", Exchange.wait_until_left)


def blackhole_reply() -> Fault:
    """The server answers (and charges), but nothing comes back."""

    def act(talk: Exchange) -> None:
        talk.forward()
        talk.wait_until_left()

    return _named("blackhole_reply", act)


def drop_reply() -> Fault:
    """The server answers, and the connection ends before a byte of it arrives."""

    def act(talk: Exchange) -> None:
        talk.forward()
        talk.close()

    return _named("drop_reply", act)


def reset_reply() -> Fault:
    """The same with a reset."""

    def act(talk: Exchange) -> None:
        talk.forward()
        talk.reset()

    return _named("reset_reply", act)


def close_in_head() -> Fault:
    """The connection ends within the reply's headers."""

    def act(talk: Exchange) -> None:
        answer = talk.forward()
        talk.send(answer.head[: len(answer.head) // 2])
        talk.close()

    return _named("close_in_head", act)


def close_after(share: float) -> Fault:
    """The connection ends within the body."""

    def act(talk: Exchange) -> None:
        talk.send(_part(talk.forward(), share))
        talk.close()

    return _named(f"close_after:{share:g}", act)


def reset_after(share: float) -> Fault:
    """The same with a reset, once the first part had time to arrive."""

    def act(talk: Exchange) -> None:
        talk.send(_part(talk.forward(), share))
        time.sleep(0.05)
        talk.reset()

    return _named(f"reset_after:{share:g}", act)


def stall_after(share: float) -> Fault:
    """Nothing more comes, and nothing ends."""

    def act(talk: Exchange) -> None:
        talk.send(_part(talk.forward(), share))
        talk.wait_until_left()

    return _named(f"stall_after:{share:g}", act)


def chunk_cut() -> Fault:
    """A body in chunks ends within one."""

    def act(talk: Exchange) -> None:
        answer = talk.forward()
        chunked = answer.with_content(b"", connection="keep-alive", transfer_encoding="chunked")
        content = answer.content
        talk.send(chunked.head + f"{len(content) + 1000:x}\r\n".encode() + content)
        talk.close()

    return _named("chunk_cut", act)


def drip(pieces: int, seconds: float) -> Fault:
    """The reply comes whole, but in small pieces with pauses between."""

    def act(talk: Exchange) -> None:
        raw = talk.forward().raw
        size = max(len(raw) // pieces, 1)
        for at in range(0, len(raw), size):
            talk.send(raw[at : at + size])
            time.sleep(seconds)

    return _named(f"drip:{pieces}x{seconds:g}", act)


def drip_for_ever() -> Fault:
    """A byte now and then, without end: no single read ever takes long."""

    def act(talk: Exchange) -> None:
        talk.send(reply(200, b"", content_length="1000000").head)
        for _ in itertools.count():
            talk.send(b" ")
            time.sleep(0.05)

    return _named("drip_for_ever", act)


def latency(seconds: float) -> Fault:
    """The reply comes late."""

    def act(talk: Exchange) -> None:
        answer = talk.forward()
        time.sleep(seconds)
        talk.send(answer.raw)

    return _named(f"latency:{seconds:g}", act)


def length(change: int) -> Fault:
    """The length that is announced is not that of the body."""

    def act(talk: Exchange) -> None:
        answer = talk.forward()
        content = answer.content
        told = str(len(content) + change)
        talk.send(answer.with_content(content, content_length=told).raw)
        if change > 0:
            talk.close()

    return _named(f"length:{change:+}", act)


def duplicate_reply() -> Fault:
    """The reply comes twice on a connection that stays open."""

    def act(talk: Exchange) -> None:
        raw = talk.forward().raw
        talk.send(raw + raw)

    return _named("duplicate_reply", act)


def late_reply(sent: Callable[[], object]) -> Fault:
    """Some time after the reply comes another one that nobody has asked for, then ``sent``."""

    def act(talk: Exchange) -> None:
        talk.send(talk.forward().raw)
        time.sleep(0.05)
        talk.send(reply(200, POISON).raw)
        sent()

    return _named("late_reply", act)


def keepalive_kill() -> Fault:
    """The reply says that the connection stays open, and then it ends."""

    def act(talk: Exchange) -> None:
        talk.send(talk.forward().raw)
        talk.close()

    return _named("keepalive_kill", act)


def _part(answer: Reply, share: float) -> bytes:
    return answer.head + answer.body[: int(len(answer.body) * share)]


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[str]:
    """A server that shakes hands, and nothing else; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with contextlib.suppress(OSError), client:
                    context.wrap_socket(client, server_side=True).close()

    thread = threading.Thread(target=serve, name="faults-tls", daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()

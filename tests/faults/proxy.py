"""A TCP proxy between the module and a server that does to connections what networks do.

::

    with FaultProxy(vendor.base_url) as proxy:
        proxy.arm(network.reset_after(0.5))         # each reply breaks in the middle
        proxy.arm(network.drop_reply(), times=1)    # that of each call's first request only

It is a thread for each connection with plain sockets, so that what it does is what it says. What
was asked of it is in ``proxy.requests``; ``proxy.asked`` counts them and the connections that a
fault has ended before they could ask. ``proxy.open_connections`` are those that nobody has ended.
"""

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from tests.faults.wire import Reply, Request, exchange, read_request

_RESET = struct.pack("ii", 1, 0)
_AT_ONCE = 2**16


class HangUp(Exception):  # noqa: N818 - nothing is wrong: a fault ends the connection
    """Raised by a fault: this connection is over."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that a fault deals with, and what it may do. ``request`` is ``None`` for a
    connection that is just there.
    """

    client: socket.socket
    request: Request | None
    upstream: tuple[str, int]

    def forward(self) -> Reply:
        """The server's own reply."""
        assert self.request is not None
        return exchange(self.upstream, self.request)

    def send(self, data: bytes) -> None:
        """To the client."""
        self.client.sendall(data)

    def reset(self) -> None:
        """End the connection with an RST."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        raise HangUp

    def close(self) -> None:
        """End the connection with a FIN."""
        raise HangUp

    def wait_until_left(self) -> None:
        """Stay silent until the client goes, or the proxy is closed."""
        while self.client.recv(_AT_ONCE):
            pass
        raise HangUp


Act: TypeAlias = Callable[[Exchange], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done to a request, or ``at_accept`` to a connection before it could ask."""

    name: str
    act: Act
    at_accept: bool = False


def _clean(talk: Exchange) -> None:
    talk.send(talk.forward().raw)


CLEAN = Fault(name="clean", act=_clean)


class FaultProxy:
    """See the module. Nothing is done to connections until `arm` says what."""

    def __init__(self, upstream_url: str) -> None:
        parts = urlsplit(upstream_url)
        self._upstream = (str(parts.hostname), parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.fault, self.times = CLEAN, 10**9
        self.requests: list[Request] = []
        self.asked = self.connections = 0
        self._met: Counter[str | None] = Counter()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, name="faults-accept", daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.cut_all()
        wait_for(lambda: not self._open, "the proxy's connections to end")

    def arm(self, fault: Fault, times: int = 10**9) -> None:
        """Do this from now on; forget what was asked so far."""
        with self._lock:
            self.fault, self.times = fault, times
            self.requests, self.asked = [], 0
            self._met.clear()

    def refuse(self) -> None:
        """Listen no more: who connects is refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()

    def cut_all(self) -> None:
        """End every open connection, the idle ones too."""
        with self._lock:
            for client in self._open:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    @property
    def open_connections(self) -> int:
        """How many the client still holds open."""
        return len(self._open)

    def requests_of(self, call_id: object) -> list[Request]:
        """What was sent for a row."""
        return [request for request in list(self.requests) if request.call_id == str(call_id)]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(client)
            name = "faults-connection"
            threading.Thread(target=self._serve, args=(client,), name=name, daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            self._talk(client)
        except (HangUp, OSError):
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _talk(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.fault.at_accept and self._is_met(None):
            self.asked += 1
            self.fault.act(Exchange(client, None, self._upstream))
        while (request := read_request(client)) is not None:
            with self._lock:
                self.requests.append(request)
                self.asked += 1
            fault = self.fault if self._is_met(request.call_id) else CLEAN
            act = CLEAN.act if fault.at_accept else fault.act
            act(Exchange(client, request, self._upstream))

    def _is_met(self, call_id: str | None) -> bool:
        with self._lock:
            self._met[call_id] += 1
            return self._met[call_id] <= self.times


def wait_for(holds: Callable[[], bool], what: str, patience: float = 20.0) -> None:
    """Wait until something holds. Fails, saying ``what``, when it does not come true."""
    for _ in _until(time.monotonic() + patience):
        if holds():
            return
    raise AssertionError(f"waited in vain for {what}")


def _until(deadline: float) -> Iterator[None]:
    while time.monotonic() < deadline:
        yield
        time.sleep(0.01)

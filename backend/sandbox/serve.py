"""Running the server: in a thread for tests and demos, or in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.app import create_app
from sandbox.endpoint import State
from sandbox.journal import JournalEntry

_BACKLOG = 2048
_START_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running server. `base_url` is what `OPENAI_BASE_URL` takes: `http://127.0.0.1:PORT/v1`."""

    base_url: str
    state: State

    def journal(self) -> list[JournalEntry]:
        """Every request since the last reset, oldest first, read without a request."""
        return self.state.journal.entries()

    def reset(self) -> None:
        """Forget the requests and the counts of `times=`."""
        self.state.reset()


class SandboxProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which lets a request's scope reach its transport.

    ASGI has no word for "close the connection without a reply", and the faults `drop` and `sever`
    must do just that.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport into the state that uvicorn copies into each scope."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that says when it listens and leaves at once when it shall stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Requests that still wait for `slow=30` are ended: who stops the sandbox wants no answer.
        for task in self.server_state.tasks:
            task.cancel()
        await super().shutdown(sockets=sockets)


def config_for(state: State) -> uvicorn.Config:
    """uvicorn's settings: one process, asyncio, quiet."""
    return uvicorn.Config(
        create_app(state),
        loop="asyncio",
        http=SandboxProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=1,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def url_of(sock: socket.socket) -> str:
    """The base URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


@contextlib.contextmanager
def running(port: int = 0, host: str = "127.0.0.1") -> Iterator[Sandbox]:
    """Run a sandbox in a thread of its own for the length of a `with` block.

    Args:
        port: where to listen; 0 takes a free port.
        host: the address to listen on.

    Raises:
        OSError: the port is taken.
        RuntimeError: the server did not start within ten seconds.
    """
    state = State()
    with listen(host, port) as sock:
        server = _Server(config_for(state))
        thread = threading.Thread(target=server.run, args=([sock],), name="sandbox", daemon=True)
        thread.start()
        try:
            if not server.listening.wait(_START_TIMEOUT):
                raise RuntimeError("The sandbox did not start.")
            yield Sandbox(url_of(sock), state)
        finally:
            server.should_exit = True
            thread.join()

"""A throw-away Redis server on a spare port, made from the binary of this machine."""

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.support.postgres import _spare_port, _tie_to_our_life

_START_SECONDS = 60.0
_POLL_SECONDS = 0.02


class RedisMissingError(RuntimeError):
    """No Redis server on this machine; the message says what to do."""


class RedisServer:
    """One server without persistence. The port stays the same over ``stop`` and ``start``."""

    def __init__(self) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise RedisMissingError("no redis-server here: apt-get install redis-server")
        self._binary = found
        self._folder = Path(tempfile.mkdtemp(prefix="test-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: subprocess.Popen[bytes] | None = None
        self.port = _spare_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What goes into ``LLM_REDIS_URL``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        atexit.register(self.close)
        deadline = time.monotonic() + _START_SECONDS
        self._launch()
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError("redis-server does not start")
            if self._process is not None and self._process.poll() is not None:
                self.stop()
                self._launch()
            time.sleep(_POLL_SECONDS)

    def pause(self) -> None:
        """Let the server take connections and answer nothing; ``go_on`` ends that."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused server answer again."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill the server; what it held is gone."""
        process, self._process = self._process, None
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            lifeline.kill()
            lifeline.communicate()
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Stop the server and remove its folder. May be called twice."""
        self.stop()
        atexit.unregister(self.close)
        shutil.rmtree(self._folder, ignore_errors=True)

    def flush(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(64)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _launch(self) -> None:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        command = [self._binary, "--port", str(self.port), "--dir", str(self._folder), *options]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._lifeline = _tie_to_our_life(self._process.pid)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

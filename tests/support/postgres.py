"""A throw-away PostgreSQL server on a spare port, made from the binaries of this machine.

PostgreSQL refuses to run as root; then the server runs as ``postgres`` or ``nobody``.
"""

import atexit
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import psycopg

StopMode = Literal["smart", "fast", "immediate", "kill"]

_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.02
_LOG_TAIL = 3_000
# Below the range from which the kernel gives ports to clients: there, a client that knocks while
# the server is down could be connected to itself.
_PORTS = range(20_000, 32_000)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "log_statement": "none",
}


class PostgresMissingError(RuntimeError):
    """No PostgreSQL binaries on this machine; the message says what to do."""


class PostgresServer:
    """One server with its own data folder.

    The port stays the same over ``stop`` and ``restart``, so URLs stay valid. ``close`` (or the
    end of a ``with`` block) stops the server and removes its folder.
    """

    def __init__(self) -> None:
        self._binaries = find_binaries()
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="test-postgres-", dir=_reachable_folder()))
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._port_is_known = False
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; 0 before the first start."""
        return self._port

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers. The first start makes the data folder."""
        if self._process is not None:
            raise RuntimeError("the server is running")
        atexit.register(self.close)
        if not self._data.exists():
            self._make_data()
        deadline = time.monotonic() + _START_SECONDS
        while not self._try_start(deadline):
            # Another process took the port, or children of a killed server are still leaving.
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, mode: StopMode = "immediate") -> None:
        """Stop the server: ``smart``, ``fast`` and ``immediate`` as pg_ctl, ``kill`` as the OOM."""
        process, self._process = self._process, None
        if process is None:
            return
        self._cut_lifeline()
        process.send_signal(_SIGNALS[mode])
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server and start it again on the same port with the same data."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove its folder. May be called twice."""
        self.stop("immediate")
        atexit.unregister(self.close)
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self, template: str | None = None) -> str:
        """Make a database with a fresh name, empty or as a copy of another; return the name."""
        name = f"test_{secrets.token_hex(8)}"
        source = template or "template0"
        # Copied as files: three times as fast as through the log, where nothing is synced.
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, also under the feet of connections that are still open."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as superuser, outside a transaction."""
        with self.connect(database) as connection:
            connection.execute(statement.encode())

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection as superuser, in autocommit mode; the caller closes it."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    @cached_property
    def _popen_options(self) -> dict[str, Any]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # A session of its own: Ctrl-C is pytest's, which then stops the server in its own time.
        options: dict[str, Any] = {"cwd": self._folder, "start_new_session": True}
        options["env"] = {**env, "HOME": str(self._folder), "LC_ALL": "C"}
        if self._account is not None:
            options |= {"user": self._account.pw_uid, "group": self._account.pw_gid}
            options["extra_groups"] = []
        return options

    def _make_data(self) -> None:
        command = f"{self._binaries}/initdb --no-sync --no-instructions -A trust -U postgres"
        arguments = [*command.split(), "-E", "UTF8", "--locale=C", "-D", str(self._data)]
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, **self._popen_options
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")
        settings = "".join(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)

    def _try_start(self, deadline: float) -> bool:
        self._port = self._port or _spare_port()
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._popen_options
            )
        self._process = process
        self._lifeline = _tie_to_our_life(process.pid)
        while time.monotonic() < deadline and process.poll() is None:
            if self._is_ready():
                self._port_is_known = True
                return True
            time.sleep(_POLL_SECONDS)
        self._forget_failed_start()
        return False

    def _is_ready(self) -> bool:
        # The server's own word, which no other server on the port can give.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return ours and lines[-1].strip() == "ready"

    def _forget_failed_start(self) -> None:
        self.stop("kill")
        if not self._port_is_known:
            self._port = 0

    def _cut_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            lifeline.kill()
            lifeline.communicate()

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]


def find_binaries(installed: Path = Path("/usr/lib/postgresql")) -> Path:
    """The folder of ``postgres`` and ``initdb``: from PATH, else the newest that is installed.

    Raises:
        PostgresMissingError: there is none.
    """
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    versions = sorted(installed.glob("*/bin"), key=lambda folder: _version(folder.parent.name))
    folders += reversed(versions)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    raise PostgresMissingError(
        "no PostgreSQL binaries here: apt-get install postgresql, or put its bin folder on PATH"
    )


def _version(name: str) -> float:
    return float(name) if name.replace(".", "", 1).isdigit() else 0.0


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None when we may run it ourselves."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name: account for account in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return known[name]
    raise PostgresMissingError("PostgreSQL refuses to run as root: add an account `postgres`")


def _reachable_folder() -> str:
    """A temporary folder that another account can reach, too."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108  mkdtemp works in it
        path = Path(folder).resolve()
        if all(part.stat().st_mode & 0o001 for part in (path, *path.parents)):
            return folder
    return tempfile.gettempdir()


def _spare_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _tie_to_our_life(pid: int) -> subprocess.Popen[bytes]:
    """Stop the server also when we are killed: `read` ends when our end of the pipe closes."""
    script = 'read -r _; kill -QUIT "$1"'
    command = ["/bin/sh", "-c", script, "lifeline", str(pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

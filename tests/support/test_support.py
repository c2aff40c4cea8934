"""What the shared test support promises to the tests that stand on it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from tests.support.isolation import clear_environment
from tests.support.migrations import ROOT
from tests.support.postgres import PostgresMissingError, PostgresServer, StopMode, find_binaries

# Starts a server, says where it is, and dies without any clean-up.
KILLED = """
import os, signal
from tests.support.postgres import PostgresServer
server = PostgresServer()
server.start()
print(server._folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _values(server: PostgresServer) -> list[int]:
    with server.connect() as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept").fetchall()]


def _wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + 30
    while path.exists():
        assert time.monotonic() < deadline, f"{path} is still there"
        time.sleep(0.02)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
@pytest.mark.postgresql
def test_restart_keeps_url_and_data(own_postgres_server: PostgresServer, mode: StopMode) -> None:
    """However the server went down, it is back at the same place with what was committed."""
    server, before = own_postgres_server, own_postgres_server.url()
    server.execute("CREATE TABLE kept AS SELECT 1 AS n")
    server.restart(mode)
    assert server.url() == before
    assert _values(server) == [1]


@pytest.mark.postgresql
def test_stopped_server_refuses_connections(own_postgres_server: PostgresServer) -> None:
    """After `stop` nobody answers; to stop or close twice does no harm."""
    own_postgres_server.stop()
    with pytest.raises(psycopg.OperationalError):
        own_postgres_server.execute("SELECT 1")
    own_postgres_server.stop()
    own_postgres_server.close()


@pytest.mark.postgresql
def test_database_is_a_copy_of_its_template(postgres_server: PostgresServer) -> None:
    """A new database is empty, or holds what its template holds."""
    template = postgres_server.create_database()
    postgres_server.execute("CREATE TABLE kept (n int)", template)
    copy = postgres_server.create_database(template)
    postgres_server.execute("INSERT INTO kept VALUES (1)", copy)
    postgres_server.drop_database(copy)
    postgres_server.drop_database(template)


@pytest.mark.postgresql
def test_server_ends_with_the_process_that_started_it() -> None:
    """A killed test run leaves no server behind."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    folder = Path(killed.stdout.strip())
    _wait_until_gone(folder / "data" / "postmaster.pid")
    shutil.rmtree(folder)


def test_missing_binaries_are_named_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without PostgreSQL the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresMissingError, match="apt-get install postgresql"):
        find_binaries(installed=tmp_path)


def test_newest_installed_version_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without binaries on PATH, 16 goes before 9.6."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("9.6/bin/initdb", "9.6/bin/postgres", "16/bin/initdb", "16/bin/postgres"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_binaries(installed=tmp_path) == tmp_path / "16" / "bin"


def test_network_is_out_of_reach() -> None:
    """A test that reaches for another machine fails, even where its code catches exceptions."""
    with pytest.raises(pytest.fail.Exception, match=r"reaches for 192\.0\.2\.1:80"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(pytest.fail.Exception, match=r"reaches for api\.openai\.com"):
        urllib.request.urlopen("https://api.openai.com/v1/models", timeout=1)
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception):
        sock.connect_ex(("192.0.2.1", 80))


def test_invalid_names_do_not_resolve() -> None:
    """`*.invalid` stands for a name that no resolver knows, without asking one."""
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("api.openai.invalid", 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    """Servers on this machine can be used."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
        with socket.socket() as client:
            assert client.connect_ex(server.getsockname()) == 0


def test_environment_of_the_developer_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, models, proxies and databases of the shell are not seen; the rest is."""
    foreign = ["OPENAI_API_KEY", "LLM_ROLES__FAST", "TEMPERATURE", "DATABASE_URL", "https_proxy"]
    for name in [*foreign, "UNRELATED"]:
        monkeypatch.setenv(name, "x")
    clear_environment(monkeypatch)
    assert not set(foreign) & set(os.environ)
    assert os.environ["UNRELATED"] == "x"

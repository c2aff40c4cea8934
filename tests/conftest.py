"""Fixtures of every test: databases that are thrown away, and walls against the outside.

``database_url`` gives a migrated database, ``empty_database_url`` an empty one; each runs the test
on SQLite and on PostgreSQL (``-m postgresql``, ``-m "not postgresql"``, ``-k sqlite``).
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox
from modules.llm_services.testing.network import block_network
from modules.llm_services.testing.pytest_plugin import fake_llm, no_llm_network  # noqa: F401
from modules.shared.db import engine_for
from tests.support.isolation import clear_environment
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresMissingError, PostgresServer
from tests.support.redis import RedisMissingError, RedisServer

BACKENDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgresql),
]


def pytest_configure(config: pytest.Config) -> None:
    """Make our marker known."""
    config.addinivalue_line("markers", "postgresql: needs PostgreSQL's binaries on this machine")


@pytest.fixture(autouse=True)
def _clean_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("live") is None:
        clear_environment(monkeypatch)


@pytest.fixture(autouse=True)
def _own_spool(_clean_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SPOOL_DIR", str(tmp_path / "spool"))


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("live") is None:
        block_network(monkeypatch)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL server, started by the first test that asks. Don't stop it."""
    with _new_server() as server:
        yield server


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server for one test alone, which may stop, restart and kill it."""
    with _new_server() as server:
        yield server


@pytest.fixture(scope="session")
def _session_redis() -> Iterator[RedisServer]:
    with _new_redis() as server:
        yield server


@pytest.fixture
def redis_server(_session_redis: RedisServer) -> RedisServer:
    """The session's Redis, emptied. Don't stop it."""
    _session_redis.flush()
    return _session_redis


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A Redis for one test alone, which may stop it and start it again."""
    with _new_redis() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The name of a migrated PostgreSQL database to be copied."""
    name = postgres_server.create_database()
    upgrade(postgres_server.url(name))
    return name


@pytest.fixture(params=BACKENDS)
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a fresh, migrated database, which is also ``DATABASE_URL``."""
    if request.param == "sqlite":
        path = tmp_path / "backend.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield from _in_use(f"sqlite:///{path}", monkeypatch)
    else:
        template = request.getfixturevalue("migrated_postgres")
        yield from _postgres_database(request, monkeypatch, template)


@pytest.fixture(params=BACKENDS)
def empty_database_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a fresh database without tables, which is also ``DATABASE_URL``."""
    if request.param == "sqlite":
        yield from _in_use(f"sqlite:///{tmp_path / 'backend.db'}", monkeypatch)
    else:
        yield from _postgres_database(request, monkeypatch, None)


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[sandbox.Sandbox]:
    """The session's stand-in for a vendor; use ``vendor`` to talk to it."""
    with sandbox.running() as server:
        yield server


@pytest.fixture
def vendor(
    sandbox_server: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sandbox.Sandbox]:
    """The sandbox in place of OpenAI, with an empty journal."""
    sandbox_server.reset()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox-key")
    monkeypatch.setenv("OPENAI_BASE_URL", sandbox_server.base_url)
    yield sandbox_server
    sandbox_server.reset()


def _new_server() -> PostgresServer:
    try:
        return PostgresServer()
    except PostgresMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def _new_redis() -> RedisServer:
    try:
        return RedisServer()
    except RedisMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def _postgres_database(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, template: str | None
) -> Iterator[str]:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template)
    try:
        yield from _in_use(server.url(name), monkeypatch)
    finally:
        server.drop_database(name)


def _in_use(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LLM_WRITE_TIMEOUT", "20")  # a busy machine's disk may stall for seconds
    try:
        yield url
    finally:
        engine_for(url).dispose()
        engine_for.cache_clear()

"""One sandbox for the whole folder, fresh for each test, and a real client on it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

import sandbox

# Loading the system's certificates takes 50 ms, and nothing here speaks TLS.
TLS = ssl.create_default_context()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[sandbox.Sandbox]:
    """A server that runs as long as the tests do."""
    with sandbox.running() as server:
        yield server


@pytest.fixture
def server(shared_sandbox: sandbox.Sandbox) -> sandbox.Sandbox:
    """The server, with nothing remembered."""
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
async def client(server: sandbox.Sandbox) -> AsyncIterator[AsyncOpenAI]:
    """The real SDK, which retries nothing."""
    http = DefaultAsyncHttpxClient(verify=TLS)
    async with AsyncOpenAI(
        base_url=server.base_url, api_key="sandbox", max_retries=0, timeout=10, http_client=http
    ) as openai:
        yield openai

"""Browsers that go away while a web application asks a model for them, through a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from modules.llm_services.public import (
    LLMServicesProvider,
    llm_services_lifespan,
    llm_services_provider,
)
from modules.llm_services.repo import LLMRequestRepo
from modules.llm_services.service import LLMService
from modules.shared.db import session_factory
from sandbox import Sandbox
from tests.faults.kinds import RIVERS
from tests.faults.test_network import on_sqlite
from tests.llm_services.test_recording import until
from tests.support.ledger import rows, statuses

app = FastAPI(lifespan=lambda _app: llm_services_lifespan())


@app.get("/whole")
async def whole(llm: LLMServicesProvider = Depends(llm_services_provider)) -> str:
    """An answer that takes its time."""
    response, _ = await llm.generate_response(RIVERS, model="openai:gpt-4o:slow=0.5")
    return response.content


@app.get("/pieces")
async def pieces(llm: LLMServicesProvider = Depends(llm_services_provider)) -> StreamingResponse:
    """An answer piece by piece."""

    async def said() -> AsyncIterator[str]:
        async with llm.stream_response(RIVERS, model="openai:gpt-4o:drip=0.1") as stream:
            async for piece in stream.text():
                yield piece

    return StreamingResponse(said())


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The application behind uvicorn; its port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def asked(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A browser that has asked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


@on_sqlite
async def test_who_leaves_before_the_answer_changes_nothing(
    database_url: str, vendor: Sandbox
) -> None:
    """The handler goes on, and so does the call: it is paid for, and its row says what it took."""
    async with served() as port:
        _, browser = await asked(port, "/whole")
        await until(lambda: len(vendor.journal()) == 1)
        browser.close()
        await until(lambda: statuses() == ["completed"])
    [row] = rows()
    assert row["tokens_used"] > 0
    assert row["retry_attempt"] == 1


@on_sqlite
async def test_who_leaves_a_stream_ends_the_call(database_url: str, vendor: Sandbox) -> None:
    """What was said so far is in the row, with what it probably took."""
    async with served() as port:
        reader, browser = await asked(port, "/pieces")
        await reader.readuntil(b"\r\n\r\n")
        await reader.readline()  # how long the first piece is
        browser.close()
        await until(lambda: statuses() == ["cancelled"])
    [row] = rows()
    assert row["response_content"]
    assert row["usage_source"] == "estimated"
    assert bool(row["maybe_paid"]) is True
    assert row["error_type"] is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.postgresql
async def test_a_callers_transaction_that_the_server_ends(
    database_url: str, vendor: Sandbox
) -> None:
    """Who holds a transaction for too long loses it, and not the answer: the error is theirs."""
    async with llm_services_lifespan():
        with session_factory()() as session:
            session.execute(text("SET idle_in_transaction_session_timeout = 100"))
            llm = LLMService(LLMRequestRepo(session))
            response, _ = await llm.generate_response(RIVERS, model="openai:gpt-4o:slow=0.4")
            assert response.content
            with pytest.raises(DBAPIError, match="idle-in-transaction"):
                session.execute(text("SELECT 1"))
    assert statuses() == ["completed"]

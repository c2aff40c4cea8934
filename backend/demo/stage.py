"""What the demo runs on: a database file, an endpoint that answers, the backend as a server."""

import asyncio
import http.client
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import uvicorn
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

import sandbox
from main import create_app
from modules.content_creation.public import TopicDTO
from modules.llm_services.public import LLMError, open_llm_services

TOPICS = "/api/v1/content_creation/topics"
PATIENCE_SECONDS = 900
GRACE_SECONDS = 5
_CREATED = 201
# A sandbox run must not reach a vendor, so their keys and addresses stay outside.
_VENDORS = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "LLM_OPENAI_", "LLM_PROVIDERS__", "AZURE_OPENAI_"),
    *("ANTHROPIC_", "LLM_ANTHROPIC_", "GEMINI_", "GOOGLE_", "LLM_GEMINI_"),
)
# The other vendors whose formats the sandbox speaks.
_PLAYED = ("ANTHROPIC", "GEMINI")


class DemoError(Exception):
    """The demo can't go on; the message says why, for its user."""


def read_source(path: Path) -> str:
    """The text of a file. Raises ``ValueError`` when there is none to make a lesson of."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    if not text.strip():
        raise ValueError(f"{path} is empty: there is nothing to learn from it")
    return text


def prepare_database(path: Path, root: Path) -> None:
    """Migrate the SQLite file ``path`` and make it the backend's database."""
    path = path.resolve()
    os.environ["DATABASE_URL"] = f"sqlite:///{path}"
    os.environ.setdefault("LLM_SPOOL_DIR", str(path.parent / "spool"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        command.upgrade(Config(root / "alembic.ini"), "head")
    except (OSError, SQLAlchemyError, CommandError) as error:
        raise DemoError(f"the database {path} can't be used: {error}") from error


@contextmanager
def model_endpoint(*, live: bool) -> Iterator[sandbox.Sandbox | None]:
    """Where models are asked: the real API (``None``), or a sandbox for as long as this lasts."""
    if live:
        yield None
        return
    for name in list(os.environ):
        if name.upper().startswith(_VENDORS):
            del os.environ[name]
    with sandbox.running() as server:
        os.environ.update(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sandbox")
        for name in _PLAYED:
            os.environ[f"LLM_PROVIDERS__{name}__BASE_URL"] = server.base_url
            os.environ[f"LLM_PROVIDERS__{name}__API_KEY"] = "sandbox"
        yield server


def check_settings() -> None:
    """Say what is wrong with the settings in one line, before the server says it in a traceback."""
    try:
        asyncio.run(_open_and_close())
    except LLMError as error:
        raise DemoError(str(error)) from error


async def _open_and_close() -> None:
    async with open_llm_services():
        pass


@contextmanager
def backend() -> Iterator[str]:
    """The backend as a real server on a free port; yields its ``host:port``."""
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(),
            ws="none",
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    thread = Thread(target=_serve, args=(server, door), name="backend")
    thread.start()
    try:
        yield f"127.0.0.1:{door.getsockname()[1]}"
    except KeyboardInterrupt:
        logging.disable()  # what is cancelled now would be reported as so many errors
        raise
    finally:
        server.should_exit = True
        thread.join()


def _serve(server: uvicorn.Server, door: socket.socket) -> None:
    """Serve until told to stop. A caller who knocks before that waits; one after it is refused."""
    with door:
        server.run(sockets=[door])


def post_topic(address: str, source: str, user_id: UUID) -> tuple[TopicDTO | None, Any]:
    """Ask the backend for a lesson; without one there is the problem that it reported."""
    status, text = _post(address, json.dumps({"source_material": source}), user_id)
    if status == _CREATED:
        return TopicDTO.model_validate_json(text), None
    try:
        return None, json.loads(text)
    except ValueError:
        return None, {"status": status, "detail": text.decode(errors="replace")}


def _post(address: str, body: str, user_id: UUID) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "X-User-Id": str(user_id)}
    try:
        with closing(http.client.HTTPConnection(address, timeout=PATIENCE_SECONDS)) as connection:
            connection.request("POST", TOPICS, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise DemoError(f"the backend does not answer: {error!r}") from error

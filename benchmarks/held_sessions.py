"""Requests of FastAPI that have read from their session before they ask a model.

    PYTHONPATH=backend:. python benchmarks/held_sessions.py [requests]

``requests`` (500) at once, with a vendor that takes a second and an application whose pool has 5
connections and 10 in reserve, on a PostgreSQL of its own. First the handlers commit before they
ask, which gives the connection back; then they hold it, and the pool is empty. Exits with 1 when
one of the first fails, when one of the others fails for another reason than the application's own
pool, when the module does not warn about them, when calls that were made and rows are not the same
number, or when the ledger ever had more than five connections.
"""

import asyncio
import logging
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Annotated, Any

import httpx2
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

import sandbox
from modules.llm_services.public import (
    LLMMessageDTO,
    LLMServicesProvider,
    llm_services_lifespan,
    llm_services_provider,
)
from modules.shared.db import get_session
from tests.support.ledger import statuses
from tests.support.migrations import upgrade
from tests.support.postgres import PostgresServer

OWN, RESERVE, PATIENCE = 5, 10, 2.0
LEDGER = 5
ASKED = [LLMMessageDTO(role="user", content="Who holds the door?")]
Llm = Annotated[LLMServicesProvider, Depends(llm_services_provider)]
Db = Annotated[Session, Depends(get_session)]


def read(db: Session, way: str) -> None:
    """What a handler wants to know. The commit belongs to it: threads are few, too."""
    db.scalar(text("SELECT 1"))
    if way == "commits":
        db.commit()


def application(engine: Engine) -> FastAPI:
    """An application whose requests read, and then ask a model."""
    app = FastAPI()

    def session() -> Iterator[Session]:
        with Session(engine) as made:
            yield made

    app.dependency_overrides[get_session] = session

    @app.post("/{way}")
    async def ask(way: str, llm: Llm, db: Db) -> str:
        await run_in_threadpool(read, db, way)
        response, _ = await llm.generate_response(ASKED, model="openai:gpt-4o:slow=1", timeout=60)
        return response.content

    return app


async def outcomes(app: FastAPI, way: str, requests: int) -> "Counter[str]":
    """How the requests end: their status, or the error that leaves the handler."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app", timeout=120) as http:
        said = await asyncio.gather(
            *(http.post(f"/{way}") for _ in range(requests)), return_exceptions=True
        )
    return Counter(
        str(one.status_code) if isinstance(one, httpx2.Response) else type(one).__name__
        for one in said
    )


def name_it(_dialect: object, _record: object, _given: object, parameters: Any) -> None:
    """Tell the server whose connection it is: the application's come from FastAPI's threads."""
    is_ours = threading.current_thread().name.startswith("AnyIO")
    parameters["application_name"] = "application" if is_ours else "ledger"


class Watch(threading.Thread):
    """Counts the ledger's connections."""

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self.most = 0

    def run(self) -> None:
        """Look every tenth of a second."""
        counted = b"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ledger'"
        with self._server.connect() as connection:
            while not self._ended.wait(0.1):
                [found] = connection.execute(counted).fetchone() or [0]
                self.most = max(self.most, found)

    def end(self) -> int:
        """The most that there were."""
        self._ended.set()
        self.join()
        return self.most


class Warnings(logging.Handler):
    """What the module says of sessions that are held."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if "in a transaction" in record.getMessage():
            self.said.append(record.getMessage())


def vendor(ours: Connection) -> None:
    """The vendor's process; at the end it says how many requests it saw."""
    with sandbox.running() as server:
        ours.send(server.base_url)
        ours.recv()
        ours.send(server.state.journal.as_json()["total"])


async def both(app: FastAPI, requests: int) -> "list[Counter[str]]":
    """Requests that commit first, then those that hold on."""
    found = []
    async with llm_services_lifespan():
        for way in ("commits", "holds"):
            began = time.monotonic()
            found.append(await outcomes(app, way, requests))
            print(f"{way}: {dict(found[-1])} in {time.monotonic() - began:.1f} s", flush=True)
    return found


def measure(requests: int, server: PostgresServer, ours: Connection) -> list[str]:
    """The whole story; what is wrong."""
    url = server.url(server.create_database())
    upgrade(url)
    os.environ |= {"DATABASE_URL": url, "OPENAI_API_KEY": "sk-s", "OPENAI_BASE_URL": ours.recv()}
    engine = create_engine(url, pool_size=OWN, max_overflow=RESERVE, pool_timeout=PATIENCE)
    event.listen(engine, "do_connect", name_it)
    logging.getLogger("modules").addHandler(warnings := Warnings())
    watch = Watch(server)
    watch.start()
    freed, held = asyncio.run(both(application(engine), requests))
    most = watch.end()
    engine.dispose()
    ours.send("enough")
    asked, kept = ours.recv(), statuses()
    made = requests + held["200"]
    print(f"{asked} requests seen, {len(kept)} rows; the ledger had at most {most} connections")
    print(*warnings.said, sep="\n")
    checks = {
        "requests that commit first fail": freed == {"200": requests},
        "others fail for another reason": held.keys() <= {"200", PoolTimeoutError.__name__},
        "the module does not name the place once": len(warnings.said) == 1,
        "rows and requests differ": (asked, kept) == (made, ["completed"] * made),
        "the ledger has too many connections": most <= LEDGER,
    }
    return [said for said, fine in checks.items() if not fine]


def main(requests: int) -> int:
    """The exit code."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=vendor, args=(theirs,))
    process.start()
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as server:
        os.environ |= {"LLM_SPOOL_DIR": folder, "LLM_WRITE_TIMEOUT": "20"}
        wrong = measure(requests, server, ours)
    process.join()
    print("; ".join(wrong) or "all is as it should be")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))

"""What is left when only the promises are kept: aiohttp, JSON, and two commits that are awaited.

No argument is checked, nothing is cleaned, priced, limited, retried or timed. A row of the ledger's
width is inserted before the request and updated after it, by one thread that commits in groups.
Whoever wants to be faster must write less, or later.
"""

import asyncio
import json
import os
import queue
import sqlite3
import threading
import uuid
from typing import Any

import aiohttp

from . import Messages
from .sdk import MODEL

_INSERT = (
    "INSERT INTO llm_requests (id, created_at, status, provider, model, operation, temperature, "
    "max_tokens, retry_attempt, maybe_paid, cached, stream, payload_state, messages) "
    "VALUES (?, ?, 'pending', 'openai', ?, 'chat', 1, 0, 1, 0, 0, 0, 'full', ?)"
)
_UPDATE = (
    "UPDATE llm_requests SET status = 'completed', completed_at = ?, prompt_tokens = ?, "
    "completion_tokens = ?, response_content = ?, response_raw = ?, attempts = ? WHERE id = ?"
)
_NOW = "2026-11-22 00:00:00.000000"
Work = tuple[str, tuple[Any, ...], "asyncio.Future[None]"]


class Floor:
    """One session, one thread that writes."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/chat/completions"
        self._session = aiohttp.ClientSession(headers={"Authorization": "Bearer sk-bench"})
        self._inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
        self._thread = threading.Thread(target=self._write, args=(path,), daemon=True)
        self._thread.start()

    async def text(self, messages: Messages) -> str:
        """Row, request, row."""
        row_id, said = str(uuid.uuid4()), list(messages)
        await self._committed(_INSERT, (row_id, _NOW, MODEL, json.dumps(said)))
        body = json.dumps({"model": MODEL, "messages": said}).encode()
        head = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=body, headers=head) as response:
            raw = await response.read()
        answer = json.loads(raw)
        text: str = answer["choices"][0]["message"]["content"]
        usage = answer["usage"]
        tokens = usage["prompt_tokens"], usage["completion_tokens"]
        await self._committed(_UPDATE, (_NOW, *tokens, text, raw.decode(), "[]", row_id))
        return text

    async def close(self) -> None:
        """Close the session, and end the thread."""
        await self._session.close()
        self._inbox.put(None)
        self._thread.join()

    def _committed(self, statement: str, values: tuple[Any, ...]) -> "asyncio.Future[None]":
        done = asyncio.get_running_loop().create_future()
        self._inbox.put((statement, values, done))
        return done

    def _write(self, path: str) -> None:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA synchronous=NORMAL")
        while (first := self._inbox.get()) is not None:
            group = [first]
            while not self._inbox.empty() and (work := self._inbox.get()) is not None:
                group.append(work)
            for statement in (_INSERT, _UPDATE):
                rows = [values for said, values, _ in group if said is statement]
                connection.executemany(statement, rows)
            connection.commit()
            loop = group[0][2].get_loop()
            loop.call_soon_threadsafe(_wake, [done for _, _, done in group])
        connection.close()


def _wake(waiting: list["asyncio.Future[None]"]) -> None:
    for done in waiting:
        done.set_result(None)


async def connect(base_url: str) -> Floor:
    """On the SQLite database of the environment."""
    return Floor(base_url)

"""Units of work: short pieces of database work, each with a session and a transaction of its own.

Why not the request's session? The parts of a lesson finish side by side, and a session can't be
shared between them. Why a worker thread? A commit may wait for another writer (on SQLite up to
the busy timeout), and meanwhile the event loop would stand still for every other request. And
since no session outlives its unit, none can be in a transaction while a model thinks.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import sessionmaker

from .repo import TopicRepo

T = TypeVar("T")
Work = Callable[[TopicRepo], T]
"""A piece of work. It returns plain data: ORM objects stay inside."""

_WORKERS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="content_creation")


class UnitsOfWork:
    """Runs pieces of work on one database: committed when they return, else rolled back."""

    def __init__(self, bind: Engine | Connection) -> None:
        self._sessions = sessionmaker(bind)

    def run_sync(self, work: Work[T]) -> T:
        """Run ``work`` here and now, for callers that are in a worker thread already."""
        with self._sessions.begin() as session:
            return work(TopicRepo(session))

    async def run(self, work: Work[T]) -> T:
        """Run ``work`` in a worker thread, to its end also when the caller is cancelled.

        What was paid for is stored, and a topic is given back. The end is waited for without an
        ``await``, since a server that shuts down cancels a second time.
        """
        job = _WORKERS.submit(self.run_sync, work)
        try:
            return await asyncio.shield(asyncio.wrap_future(job))
        except asyncio.CancelledError:
            wait((job,))
            raise

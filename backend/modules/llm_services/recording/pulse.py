"""Does the ledger's database answer?"""

import asyncio
import time
from concurrent.futures import Future
from threading import Lock, Thread

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from modules.llm_services.types.health import DatabaseHealth

_SILENT = DatabaseHealth(answers=False, problem="TimeoutError")


class Pulse:
    """Asks a database for nothing, for ``patience`` seconds at most.

    A database that vanished holds a thread until the network gives up: it is one thread, however
    often is asked, and the process may end without it.
    """

    def __init__(self, engine: Engine, patience: float) -> None:
        self._engine, self._patience = engine, patience
        self._lock = Lock()
        self._asked: Future[DatabaseHealth] | None = None

    async def feel(self) -> DatabaseHealth:
        """Whether it answers, and how fast."""
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(asyncio.wrap_future(self._asking()))
        except TimeoutError:
            return _SILENT

    def _asking(self) -> Future[DatabaseHealth]:
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                Thread(target=self._ask, args=(self._asked,), daemon=True).start()
            return self._asked

    def _ask(self, asked: Future[DatabaseHealth]) -> None:
        began = time.perf_counter()
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            asked.set_result(DatabaseHealth(answers=False, problem=type(error).__name__))
        else:
            took = round((time.perf_counter() - began) * 1000)
            asked.set_result(DatabaseHealth(answers=True, milliseconds=took))

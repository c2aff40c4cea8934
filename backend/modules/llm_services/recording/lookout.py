"""Looks after the rows that the callers of one event loop wait for, with one timer for all."""

import asyncio
from collections.abc import Callable

from modules.llm_services.exceptions import LLMRecordingError

from .writes import Write

_LOOKS = 20  # in one patience
_HELD_UP = 0.1  # seconds by which a timer is late when the loop had too much to do


class Lookout:
    """Calls ``overdue`` when a row has waited for ``bound`` seconds, and after ``patience`` lets
    its caller go.

    Patience is for the ledger. Time for which the loop itself was held up, by thousands of calls
    that begin together, does not count: nobody could hear what the ledger said meanwhile.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        patience: float,
        bound: Callable[[], float],
        overdue: Callable[[], None],
    ) -> None:
        self.loop = loop
        self._patience = patience
        self._bound = bound
        self._overdue = overdue
        self._waiting: list[Write] = []
        self._due: float | None = None

    def over(self, write: Write) -> None:
        """Look after one more row. Rows that have ended are forgotten at the next look."""
        self._waiting.append(write)
        if self._due is None:
            self._look_later()

    def _look_later(self) -> None:
        self._due = self.loop.time() + self._patience / _LOOKS
        self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        now, due = self.loop.time(), self._due or 0.0
        self._due = None
        self._waiting = [write for write in self._waiting if not write.done.done()]
        if now - due >= _HELD_UP:
            for write in self._waiting:
                write.since += now - due
        for write in self._waiting:
            if now - write.since < self._bound():
                break  # the others have come later
            self._judge(write, now)
        if self._waiting:
            self._look_later()

    def _judge(self, write: Write, now: float) -> None:
        if now - write.since >= self._patience:
            write.give_up(
                LLMRecordingError(
                    "neither the ledger's database nor its spool took the row in "
                    f"{self._patience:g} s"
                )
            )
        else:
            self._overdue()

"""A row on its way to the ledger, and how its caller learns what became of it."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from modules.llm_services.exceptions import LLMRecordingError


@dataclass(slots=True, eq=False)
class Write:
    """A row that somebody handed over, at ``since`` on the clock of their loop. ``done`` ends when
    it is durable, or with the refusal, or when its caller has waited long enough.
    """

    opens: bool
    row: Mapping[str, Any]
    done: "asyncio.Future[LLMRecordingError | None]"
    since: float
    given_up: bool = False

    @property
    def is_wanted(self) -> bool:
        """An opening row whose caller has gone is written by nobody; an outcome always is."""
        return not (self.opens and (self.given_up or self.done.cancelled()))

    def give_up(self, refusal: LLMRecordingError) -> None:
        """Let the caller go. An outcome is written all the same, so nothing is amiss with it."""
        self.given_up = True
        self.done.set_result(refusal if self.opens else None)


def tell(writes: Sequence[Write], refusal: LLMRecordingError | None) -> None:
    """Wake the callers, with one call into each of their loops."""
    waiting: dict[asyncio.AbstractEventLoop, list[Write]] = defaultdict(list)
    for write in writes:
        waiting[write.done.get_loop()].append(write)
    for loop, told in waiting.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_wake, told, refusal)


def _wake(writes: Sequence[Write], refusal: LLMRecordingError | None) -> None:
    for write in writes:
        if not write.done.done():
            write.done.set_result(refusal)

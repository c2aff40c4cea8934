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
    """A row that somebody handed over. ``done`` ends when it is durable, or with the refusal."""

    opens: bool
    row: Mapping[str, Any]
    done: "asyncio.Future[LLMRecordingError | None]"
    overdue: asyncio.TimerHandle | None = None

    @property
    def is_wanted(self) -> bool:
        """An opening row whose caller has gone is written by nobody; an outcome always is."""
        return not (self.opens and self.done.cancelled())


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
        if write.overdue is not None:
            write.overdue.cancel()
        if not write.done.done():
            write.done.set_result(refusal)

"""How a ledger is doing, for whoever watches over it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStatus:
    """How a ledger is doing.

    ``unwritten`` rows are neither in the database nor in the spool yet, ``spooled`` ones wait in
    the spool (those of all processes; ``oldest`` is the time of the oldest). Since the start,
    ``torn`` lines of the spool could not be read and ``rejected`` rows fitted no column; both are
    kept beside the segment they came from.
    """

    mode: Literal["normal", "away"]
    unwritten: int
    spooled: int
    oldest: datetime | None
    torn: int
    rejected: int

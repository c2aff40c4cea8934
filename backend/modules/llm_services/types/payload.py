"""How much of what is said is kept, and what became of what was kept."""

from dataclasses import dataclass
from typing import Literal

PayloadMode = Literal["full", "redacted", "none"]
"""``full``: all but keys and files. ``redacted``: without what the redactors find. ``none``: who,
when, which model, how many tokens and what it cost, and nothing that anybody said.
"""

_STRICTNESS: tuple[PayloadMode, ...] = ("full", "redacted", "none")


def stricter(one: PayloadMode, other: PayloadMode) -> PayloadMode:
    """The one that keeps less."""
    return max(one, other, key=_STRICTNESS.index)


def mode_of(payload_state: str) -> PayloadMode:
    """The mode in which a row was opened, for an answer that comes much later."""
    if payload_state in {"none", "purged"}:
        return "none"
    return "redacted" if payload_state == "redacted" else "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReport:
    """What a purge did: requests whose content was removed, and rows that were deleted.

    ``remaining`` are requests that were due and not reached within the budget; ``finished`` says
    that there are none.
    """

    scrubbed: int
    deleted: int
    remaining: int
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What the erasure of a user did: how many of the user's requests lost content and user, and
    how many were not reached within the budget. ``spooled`` rows, of anybody, still wait on this
    machine's disk for the database: with such it is not ``finished``, and is to be called again.
    """

    erased: int
    remaining: int
    finished: bool
    spooled: int = 0

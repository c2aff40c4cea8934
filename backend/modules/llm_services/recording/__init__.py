"""One call = one row: ``pending`` before the first byte leaves, then exactly one final status.

``recorder`` is the door (it opens and closes a call's row), ``record`` keeps what happens in
between, ``writer`` is the one thread per database that commits rows, in groups when many wait,
``spool`` where rows wait for a database that is away. ``caretaker`` keeps the process's lease on
its open rows, and ends those of processes that are gone.
"""

from .attempt import AttemptRecord
from .batches import BatchLedger, record_of
from .books import Books, Tally
from .budgets import Budgets, configured_budgets, status_of
from .caretaker import Caretaker
from .conversation import stored_message
from .engine import ledger_engine
from .guarded import GuardedOpening
from .kept import replies_of
from .keys import KeyLedger, KeyTakenError
from .logged import LoggedRequests, Wanted
from .outcome import Outcome
from .payload import PayloadPolicy, configured_policy
from .pulse import Pulse
from .record import CacheHit, CallRecord
from .recorder import Recorder
from .retention import LedgerRetention
from .rollup import DailyUsageJob
from .spool import Spool, spool_of
from .status import LedgerStatus
from .writer import LedgerWriter

__all__ = [
    "AttemptRecord",
    "BatchLedger",
    "Books",
    "Budgets",
    "CacheHit",
    "CallRecord",
    "Caretaker",
    "DailyUsageJob",
    "GuardedOpening",
    "KeyLedger",
    "KeyTakenError",
    "LedgerRetention",
    "LedgerStatus",
    "LedgerWriter",
    "LoggedRequests",
    "Outcome",
    "PayloadPolicy",
    "Pulse",
    "Recorder",
    "Spool",
    "Tally",
    "Wanted",
    "configured_budgets",
    "configured_policy",
    "ledger_engine",
    "record_of",
    "replies_of",
    "spool_of",
    "status_of",
    "stored_message",
]

"""One call = one row: ``pending`` before the first byte leaves, then exactly one final status.

``recorder`` is the door (it opens and closes a call's row), ``record`` keeps what happens in
between, ``writer`` is the one thread per database that commits rows, in groups when many wait,
``spool`` where rows wait for a database that is away. ``caretaker`` keeps the process's lease on
its open rows, and ends those of processes that are gone.
"""

from .batches import BatchLedger, record_of
from .books import Books, Tally
from .caretaker import Caretaker
from .engine import ledger_engine
from .payload import PayloadPolicy
from .record import AttemptRecord, CacheHit, CallRecord
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
    "CacheHit",
    "CallRecord",
    "Caretaker",
    "DailyUsageJob",
    "LedgerRetention",
    "LedgerStatus",
    "LedgerWriter",
    "PayloadPolicy",
    "Recorder",
    "Spool",
    "Tally",
    "ledger_engine",
    "record_of",
    "spool_of",
]

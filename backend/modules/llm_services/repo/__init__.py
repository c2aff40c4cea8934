"""The ledger's SQL, all of it: rows in, rows out. Nothing here commits.

`LLMRequestRepo` is for whoever holds a session; ``writing`` for the recorder, which writes many
rows at once on a connection of its own.
"""

from .batches import BatchRow, batch_rows
from .overview import LedgerOverviewRepo
from .requests import LLMRequestRepo
from .writing import SETTLED_COLUMNS, bare_outcome, insert_pending, settle

__all__ = [
    "SETTLED_COLUMNS",
    "BatchRow",
    "LLMRequestRepo",
    "LedgerOverviewRepo",
    "bare_outcome",
    "batch_rows",
    "insert_pending",
    "settle",
]

"""The ledger's SQL, all of it: rows in, rows out. Nothing here commits.

`LLMRequestRepo` is for whoever holds a session; ``writing`` for the recorder, which writes many
rows at once on a connection of its own.
"""

from .batches import BatchRow, batch_rows
from .budgets import release, reserve, state, states, warn_once
from .failures import failures
from .health import HealthRepo
from .keys import living_row, open_with_key
from .leases import HOLDERS, Owner, beat, forget, interrupt, owners
from .listing import LedgerPages, ListedRow
from .logged import CONVERSATIONS, logged_by_filter, logged_by_id, of_user
from .money import Sums, priced_page, sums, write_prices
from .overview import LedgerOverviewRepo
from .requests import LLMRequestRepo
from .rollup import (
    LATENCY_BOUNDS_MS,
    days_to_refresh,
    refresh_daily_usage,
    refresh_day,
    stale_days,
    wait_for_others,
)
from .sources import Window
from .usage import UsageRepo
from .user_sums import drop_user_sums, give_to_nobody, has_sums
from .writing import SETTLED_COLUMNS, bare_outcome, hold_more, insert_pending, settle, touch

__all__ = [
    "CONVERSATIONS",
    "HOLDERS",
    "LATENCY_BOUNDS_MS",
    "SETTLED_COLUMNS",
    "BatchRow",
    "HealthRepo",
    "LLMRequestRepo",
    "LedgerOverviewRepo",
    "LedgerPages",
    "ListedRow",
    "Owner",
    "Sums",
    "UsageRepo",
    "Window",
    "bare_outcome",
    "batch_rows",
    "beat",
    "days_to_refresh",
    "drop_user_sums",
    "failures",
    "forget",
    "give_to_nobody",
    "has_sums",
    "hold_more",
    "insert_pending",
    "interrupt",
    "living_row",
    "logged_by_filter",
    "logged_by_id",
    "of_user",
    "open_with_key",
    "owners",
    "priced_page",
    "refresh_daily_usage",
    "refresh_day",
    "release",
    "reserve",
    "settle",
    "stale_days",
    "state",
    "states",
    "sums",
    "touch",
    "wait_for_others",
    "warn_once",
    "write_prices",
]

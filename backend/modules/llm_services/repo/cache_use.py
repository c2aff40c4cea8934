"""How often the cache answered, from the ledger itself: no counter that a restart would lose."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from modules.llm_services.types import CacheUse

from .sources import Window, in_runs, sources
from .stored_time import between
from .sums import CACHE_SUMS, DAILY, ROW_KEYS, ROW_SUMS, total

_KEYS = ("provider", "model", "feature")
_SUMS = ("cached_requests", *CACHE_SUMS)
_OF_ROWS = {**ROW_SUMS, **CACHE_SUMS}
Groups: TypeAlias = dict[tuple[str, ...], Counter[str]]


def cache_use(session: Session, window: Window) -> list[CacheUse]:
    """By model and feature, most used first; days that are closed from their daily sums."""
    found = sources(session, window, with_users=True)
    groups: Groups = defaultdict(Counter)
    if found.days:
        of_days = [DAILY.c[name] for name in _KEYS]
        sums = [total(DAILY.c[name]) for name in _SUMS]
        closed = select(*of_days, *sums).where(in_runs(found.days)).group_by(*of_days)
        _add(groups, session, closed)
    for part in found.rows:
        keys, sums = [ROW_KEYS[name] for name in _KEYS], [_OF_ROWS[name] for name in _SUMS]
        live = select(*keys, *sums).where(between(part.start, part.end)).group_by(*keys)
        _add(groups, session, live)
    uses = [_use(key, counts) for key, counts in groups.items()]
    asked = [use for use in uses if use.hits or use.misses]
    return sorted(asked, key=lambda use: (-use.hits - use.misses, use.provider, use.model))


def _add(groups: Groups, session: Session, statement: Any) -> None:
    for row in session.execute(statement):
        values: Sequence[Any] = row[len(_KEYS) :]
        sums = {name: int(value) for name, value in zip(_SUMS, values, strict=True)}
        groups[tuple(row[: len(_KEYS)])].update(sums)


def _use(key: tuple[str, ...], sums: Counter[str]) -> CacheUse:
    provider, model, feature = key
    return CacheUse(
        provider=provider,
        model=model,
        feature=feature or None,
        hits=sums["cached_requests"],
        misses=sums["cache_misses"],
        saved_cost=sums["saved_nano_usd"] / 1e9,
        unpriced_hits=sums["unpriced_hits"],
    )

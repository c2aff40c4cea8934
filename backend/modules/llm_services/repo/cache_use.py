"""How often the cache answered, from the ledger itself: no counter that a restart would lose."""

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, cast, func, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.models import LLMRequest
from modules.llm_services.types import CacheUse


def cache_use(session: Session, since: datetime, until: datetime) -> list[CacheUse]:
    """Those that were created from ``since`` on and before ``until``, most used first."""
    keys = (LLMRequest.provider, LLMRequest.model, LLMRequest.feature)
    asked = func.count().label("asked")
    hits = func.sum(cast(LLMRequest.cached, Integer)).label("hits")
    priced = func.count(LLMRequest.saved_cost).label("priced")
    saved = func.coalesce(func.sum(LLMRequest.saved_cost), 0.0).label("saved")
    statement = (
        select(*keys, asked, hits, priced, saved)
        .where(LLMRequest.created_at >= since, LLMRequest.created_at < until)
        .where(or_(LLMRequest.cached, LLMRequest.cache_key.is_not(None)))
        .group_by(*keys)
        .order_by(asked.desc(), *keys)
    )
    return [_use(row) for row in session.execute(statement)]


def _use(row: Any) -> CacheUse:
    return CacheUse(
        provider=row.provider,
        model=row.model,
        feature=row.feature,
        hits=row.hits,
        misses=row.asked - row.hits,
        saved_cost=row.saved,
        unpriced_hits=row.hits - row.priced,
    )

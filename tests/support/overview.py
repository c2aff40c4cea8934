"""Rows for tests that read: made in bulk, varied, and added up the slow and obvious way."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from modules.llm_services.ids import uuid7
from modules.llm_services.models import LLMRequest
from modules.shared.db import get_engine

MODELS = ("gpt-5", "gpt-5-mini", "claude-5")
USERS = tuple(UUID(int=number) for number in range(1, 5))
_DEFAULTS = {"cached": False, "maybe_paid": False}
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def a_row(**values: Any) -> dict[str, Any]:
    """A completed row with every column that has no default."""
    plain: dict[str, Any] = {
        "id": uuid7(),
        "created_at": datetime.now(UTC),
        "status": "completed",
        "provider": "openai",
        "model": "gpt-5",
        "messages": [{"role": "user", "content": "hi"}],
        "attempts": None,
    }
    return {**plain, **values}


def insert_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows; all of them with the columns that any has."""
    names = dict.fromkeys(name for row in rows for name in row)
    same = [{name: row.get(name, _DEFAULTS.get(name)) for name in names} for row in rows]
    with get_engine().begin() as connection:
        connection.execute(insert(LLMRequest), same)


def varied_rows(count: int, days: int, *, seed: int = 7) -> list[dict[str, Any]]:
    """Completed and failed, priced and not, cached and not, over the days before today."""
    draw = random.Random(seed)  # noqa: S311 - the same rows each time
    return [_varied(draw, days) for _ in range(count)]


def _varied(draw: random.Random, days: int) -> dict[str, Any]:
    failed, cached = draw.random() < 0.2, draw.random() < 0.1
    priced = not failed and draw.random() < 0.9
    return a_row(
        created_at=TODAY - timedelta(seconds=draw.randrange(1, days * 86_400)),
        model=draw.choice(MODELS),
        user_id=draw.choice((*USERS, None)),
        feature=draw.choice(("lesson", "search", None)),
        tenant=draw.choice(("acme", None)),
        operation=draw.choice(("chat", "image")),
        status="failed" if failed else "completed",
        error_type=draw.choice(("Timeout", "RateLimited")) if failed else None,
        error_message="it failed" if failed else None,
        prompt_tokens=None if failed else draw.randrange(1_000),
        completion_tokens=None if failed else draw.randrange(500),
        tokens_used=None if failed else 1,
        cost_estimate=draw.random() / 7 if priced else None,
        cached=cached,
        execution_time_ms=draw.randrange(1, 40_000),
        time_to_first_token_ms=draw.choice((None, draw.randrange(1, 900))),
        retry_attempt=draw.randrange(1, 4),
    )


def added_up(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The sums that any honest reader must come to, costs in billionths of a dollar."""
    found: Counter[str] = Counter()
    for row in rows:
        found["requests"] += 1
        found[row["status"]] += 1
        found["cached"] += row.get("cached", False)
        found["attempts"] += row.get("retry_attempt", 1)
        found["prompt_tokens"] += row.get("prompt_tokens") or 0
        found["completion_tokens"] += row.get("completion_tokens") or 0
        found["cost"] += round((row.get("cost_estimate") or 0) * 1e9)
        unknown = row.get("cost_estimate") is None
        found["unpriced"] += unknown and row["status"] == "completed"
    return dict(found)

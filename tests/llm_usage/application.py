"""An application with the usage page in it, and requests to be seen there."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import FastAPI

from modules.llm_services.public import llm_services_lifespan
from modules.llm_usage.public import create_usage_router
from tests.support.overview import a_row, insert_rows

HERE = "http://localhost:8000"
REQUEST, FIRST, FAILED, CACHED = (UUID(int=(0x019A << 112) + number) for number in range(4))
USER = UUID(int=77)
SCRIPT = "<script>document.title = 'broken'</script><img src=x onerror=\"document.title='broken'\">"
MARKUP = "<script>feature</script>"
TURNED = "\u202enrut\x1b[31m"


def usage_app(guard: Callable[..., Any] | None = None, **options: Any) -> FastAPI:
    """The pages and nothing else."""
    app = FastAPI(lifespan=lambda _app: llm_services_lifespan())
    app.include_router(create_usage_router(guard, **options))
    return app


def a_ledger() -> None:
    """Four requests with everything that a page may show, all of it hostile, and 120 plain ones."""
    now = datetime.now(UTC)
    talk: Mapping[str, Any] = {"conversation_id": "talk-1", "user_id": USER, "feature": MARKUP}
    rows = [
        _answered(now, **talk),
        a_row(id=FIRST, created_at=now - timedelta(seconds=30), input_preview="hello", **talk),
        a_row(
            id=FAILED,
            created_at=now - timedelta(seconds=20),
            status="failed",
            error_type="RateLimited",
            error_message=SCRIPT,
            http_status=429,
            maybe_paid=True,
            replay_of=REQUEST,
            fallback_from="openai:gpt-6",
            input_preview=TURNED,
        ),
        a_row(
            id=CACHED,
            created_at=now - timedelta(seconds=10),
            cached=True,
            cached_from_id=REQUEST,
            saved_cost=0.25,
            cost_estimate=0.0,
            retry_attempt=0,
            payload_state="purged",
            messages=[],
        ),
        *(
            a_row(
                created_at=now - timedelta(hours=number),
                model=f"model-{number % 9}",
                input_preview=f"question {number}",
                execution_time_ms=500 + 10 * number,
                tokens_used=30,
                prompt_tokens=20,
                completion_tokens=10,
                cost_estimate=number / 100,
            )
            for number in range(1, 121)
        ),
    ]
    insert_rows([{"retry_attempt": 1, "payload_state": "full", **row} for row in rows])


def _answered(now: datetime, **more: Any) -> dict[str, Any]:
    began = now - timedelta(seconds=40)
    return a_row(
        id=REQUEST,
        created_at=began,
        completed_at=now,
        prompt_tokens=200,
        completion_tokens=50,
        tokens_used=250,
        cache_read_tokens=120,
        reasoning_tokens=30,
        cost_estimate=0.75,
        cost_details={"input": "0.50", "output": "0.25"},
        price_ref="a table",
        execution_time_ms=4_000,
        time_to_first_token_ms=900,
        retry_attempt=2,
        dropped_params=["temperature"],
        input_preview=SCRIPT,
        output_preview=SCRIPT,
        messages=[
            {"role": "system", "content": SCRIPT},
            {"role": "user", "content": [{"type": "text", "text": TURNED}, {"type": "image"}]},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "weather"}]},
        ],
        response_content="An answer. " + SCRIPT,
        response_raw={"id": SCRIPT},
        attempts=[
            _attempt(1, began, 1_000, "RateLimited", 429),
            _attempt(2, began + timedelta(seconds=2), 2_000, "answered", 200),
        ],
        **more,
    )


def _attempt(number: int, at: datetime, ms: int, outcome: str, status: int) -> dict[str, Any]:
    return {
        "n": number,
        "model": "gpt-5",
        "started_at": at.isoformat(),
        "ms": ms,
        "outcome": outcome,
        "http_status": status,
        "provider_request_id": f"req-{number}",
        "usage": None,
        "maybe_paid": number == 1,
    }

"""The ledger's tables: a row for every request made of a model, who has rows open, daily sums."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    Float,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    false,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from modules.shared.db import Base, Guid, UtcDateTime

_Json = JSON(none_as_null=True)
# Conditions and tails of indexes that a lint of the model must see, too.
_OPEN = text("status <> 'completed'")
_TALKING = text("conversation_id IS NOT NULL")
_BATCHED = text("batch_id IS NOT NULL")
_PENDING = text("status = 'pending'")
_LESS = text("cache_misses IS NULL")
_KEYED = text("idempotency_key IS NOT NULL AND status IN ('pending', 'completed')")


class LLMRequest(Base):
    """One request and its outcome.

    ``status`` is ``pending`` until the call is settled, then exactly one of ``completed``,
    ``failed`` and ``cancelled``. NULL means "not known" everywhere: an unknown price or token
    count is never 0. Narrow columns come first and the wide ones last and deferred, so that lists
    never read prompts. ``temperature`` and ``max_tokens`` are NOT NULL by inheritance: they hold
    1.0 and 0 when nothing was asked for (0 = no cap was sent). ``attempts`` lists the requests that
    were made of the vendor and ``retry_attempt`` counts them: none for what was refused or came
    from the cache. Of a row that is open, or was left by a crash, nobody knows: NULL and 1.
    """

    __tablename__ = "llm_requests"

    id: Mapped[UUID] = mapped_column(Guid, primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(Guid)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=func.now())
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(50))
    provider: Mapped[str] = mapped_column(String(50))
    model: Mapped[str] = mapped_column(String(100))
    requested_model: Mapped[str | None] = mapped_column(String(150))
    fallback_from: Mapped[str | None] = mapped_column(String(151))
    response_model: Mapped[str | None] = mapped_column(String(100))
    operation: Mapped[str] = mapped_column(String(32), default="chat", server_default="chat")
    temperature: Mapped[float] = mapped_column(Float, default=1.0)
    max_tokens: Mapped[int] = mapped_column(Integer, default=0)
    prompt_tokens: Mapped[int | None] = mapped_column(Integer)
    completion_tokens: Mapped[int | None] = mapped_column(Integer)
    tokens_used: Mapped[int | None] = mapped_column(Integer)
    cache_read_tokens: Mapped[int | None] = mapped_column(Integer)
    cache_write_tokens: Mapped[int | None] = mapped_column(Integer)
    reasoning_tokens: Mapped[int | None] = mapped_column(Integer)
    usage_source: Mapped[str | None] = mapped_column(String(16))
    cost_estimate: Mapped[float | None] = mapped_column(Float)
    cost_source: Mapped[str | None] = mapped_column(String(16))
    price_ref: Mapped[str | None] = mapped_column(String(64))
    execution_time_ms: Mapped[int | None] = mapped_column(Integer)
    time_to_first_token_ms: Mapped[int | None] = mapped_column(Integer)
    finish_reason: Mapped[str | None] = mapped_column(String(50))
    error_type: Mapped[str | None] = mapped_column(String(100))
    http_status: Mapped[int | None] = mapped_column(SmallInteger)
    retry_attempt: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    maybe_paid: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    cached: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    cache_key: Mapped[str | None] = mapped_column(String(64))
    cached_from_id: Mapped[UUID | None] = mapped_column(Guid)
    saved_cost: Mapped[float | None] = mapped_column(Float)
    stream: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    provider_request_id: Mapped[str | None] = mapped_column(String(128))
    batch_id: Mapped[UUID | None] = mapped_column(Guid)
    replay_of: Mapped[UUID | None] = mapped_column(Guid)
    owner_id: Mapped[UUID | None] = mapped_column(Guid)
    service_tier: Mapped[str | None] = mapped_column(String(32))
    conversation_id: Mapped[str | None] = mapped_column(String(64))
    feature: Mapped[str | None] = mapped_column(String(64))
    tenant: Mapped[str | None] = mapped_column(String(64))
    trace_id: Mapped[str | None] = mapped_column(String(32))
    span_id: Mapped[str | None] = mapped_column(String(16))
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    reservation: Mapped[dict[str, Any] | None] = mapped_column(_Json)
    payload_state: Mapped[str] = mapped_column(String(12), default="full", server_default="full")
    input_preview: Mapped[str | None] = mapped_column(String(200))
    output_preview: Mapped[str | None] = mapped_column(String(200))
    error_message: Mapped[str | None] = mapped_column(Text)
    additional_params: Mapped[dict[str, Any] | None] = mapped_column(_Json)
    dropped_params: Mapped[list[str] | None] = mapped_column(_Json)
    usage_details: Mapped[dict[str, Any] | None] = mapped_column(_Json)
    cost_details: Mapped[dict[str, str] | None] = mapped_column(_Json)
    attempts: Mapped[list[dict[str, Any]] | None] = mapped_column(_Json)
    context_data: Mapped[dict[str, Any] | None] = mapped_column(_Json)
    response_content: Mapped[str | None] = mapped_column(Text, deferred=True)
    messages: Mapped[list[dict[str, Any]]] = mapped_column(JSON, deferred=True)
    response_raw: Mapped[dict[str, Any] | None] = mapped_column(_Json, deferred=True)
    kept_answer: Mapped[dict[str, Any] | None] = mapped_column(_Json, deferred=True)

    __table_args__ = (
        Index("ix_llm_requests_user_created", "user_id", "created_at"),
        Index("ix_llm_requests_created", "created_at"),
        Index("ix_llm_requests_open", "created_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index(
            "ix_llm_requests_conversation",
            "conversation_id",
            "created_at",
            postgresql_where=_TALKING,
            sqlite_where=_TALKING,
        ),
        Index(
            "ix_llm_requests_batch",
            "batch_id",
            postgresql_where=_BATCHED,
            sqlite_where=_BATCHED,
        ),
        Index(
            "ix_llm_requests_owner", "owner_id", postgresql_where=_PENDING, sqlite_where=_PENDING
        ),
        Index(
            "uq_llm_requests_idempotency_key",
            "idempotency_key",
            unique=True,
            postgresql_where=_KEYED,
            sqlite_where=_KEYED,
        ),
    )


class LedgerOwner(Base):
    """A process that has rows open. It lives while ``beat`` goes on growing: whoever watches it
    measures the time between two beats by a clock of its own, so that no two clocks must agree.
    """

    __tablename__ = "llm_owners"

    id: Mapped[UUID] = mapped_column(Guid, primary_key=True)
    beat: Mapped[int] = mapped_column(Integer)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DailyUsage(Base):
    """What a day's rows of one kind add up to. Made from the ledger by an idempotent job, and kept
    when the rows themselves are gone. An empty string stands for "none": keys hold no NULL.

    Money is in billionths of a dollar, so that sums do not depend on their order;
    ``latency_counts`` holds how many calls ended within each bound of the rollup's scale.

    What stands behind it came with a later release, and is NULL in sums that an earlier one made;
    sums that have it have those of `DailyUserUsage` beside them.
    """

    __tablename__ = "llm_usage_daily"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    provider: Mapped[str] = mapped_column(String(50), primary_key=True)
    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    operation: Mapped[str] = mapped_column(String(32), primary_key=True)
    feature: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(50), primary_key=True)
    error_type: Mapped[str] = mapped_column(String(100), primary_key=True)
    requests: Mapped[int] = mapped_column(Integer)
    cached_requests: Mapped[int] = mapped_column(Integer)
    unpriced_requests: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_read_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger)
    execution_ms_sum: Mapped[int] = mapped_column(BigInteger)
    first_token_ms_sum: Mapped[int] = mapped_column(BigInteger)
    first_token_count: Mapped[int] = mapped_column(Integer)
    latency_counts: Mapped[list[int]] = mapped_column(JSON)
    cache_misses: Mapped[int | None] = mapped_column(Integer)
    unpriced_hits: Mapped[int | None] = mapped_column(Integer)
    saved_nano_usd: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_llm_usage_daily_open", "day", postgresql_where=_PENDING, sqlite_where=_PENDING),
        Index("ix_llm_usage_daily_less", "day", postgresql_where=_LESS, sqlite_where=_LESS),
    )


class DailyUserUsage(Base):
    """What a day's rows of one user and tenant add up to. Made together with `DailyUsage`, and gone
    with the rows, because it says who has used what. An empty string stands for "nobody".
    """

    __tablename__ = "llm_usage_daily_users"
    __table_args__: Mapping[str, bool] = {"sqlite_with_rowid": False}

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    requests: Mapped[int] = mapped_column(Integer)
    cached_requests: Mapped[int] = mapped_column(Integer)
    unpriced_requests: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_read_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nano_usd: Mapped[int] = mapped_column(BigInteger)
    pending: Mapped[int] = mapped_column(Integer)
    completed: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)
    cancelled: Mapped[int] = mapped_column(Integer)


class BudgetAccount(Base):
    """What is reserved and spent of one budget in one period. Money is in billionths of a dollar.

    ``warned_percent`` is the highest threshold that was told of.
    """

    __tablename__ = "llm_budget_periods"

    scope: Mapped[str] = mapped_column(String(10), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    period: Mapped[str] = mapped_column(String(5), primary_key=True)
    starts_on: Mapped[date] = mapped_column(Date, primary_key=True)
    reserved_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    spent_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    reserved_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    spent_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    warned_percent: Mapped[int] = mapped_column(SmallInteger, default=0)

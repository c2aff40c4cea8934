"""A call and its record as ledger columns: the opening row, and the outcome."""

from datetime import UTC, datetime
from typing import Any

from modules.llm_services.bulk import weight
from modules.llm_services.pricing import Price
from modules.llm_services.redaction import storable_text
from modules.llm_services.types import Call, RequestStatus

from .budgets import spent
from .conversation import stored_message
from .kept import kept_answer
from .payload import PayloadPolicy
from .record import CallRecord

_NO_TEMPERATURE = 1.0  # what vendors use when none is sent; the column is NOT NULL by inheritance
_NO_CAP = 0
_TOKEN_COLUMNS = (
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def opening_row(record: CallRecord, policy: PayloadPolicy) -> dict[str, Any]:
    """Everything that is known before anything is sent, as it may be stored."""
    call = record.call
    return policy.stored(_opening(record), call.payload_mode, size=weight(call.messages))


def _opening(record: CallRecord) -> dict[str, Any]:
    call = record.call
    attribution = call.attribution
    sent = dict(call.parameters)
    return {
        "id": call.id,
        "user_id": attribution.user_id,
        "created_at": record.created_at,
        "status": RequestStatus.PENDING,
        "provider": call.provider,
        "model": call.model,
        "requested_model": call.requested_model,
        "fallback_from": None,
        "replay_of": call.replay_of,
        "operation": call.operation,
        "stream": call.stream,
        "temperature": sent.pop("temperature", _NO_TEMPERATURE),
        "max_tokens": sent.pop("max_tokens", _NO_CAP),
        "batch_id": call.batch.batch_id if call.batch else None,
        "owner_id": None,  # the writer's caretaker says whose it is
        "conversation_id": attribution.conversation_id,
        "feature": attribution.feature,
        "tenant": attribution.tenant,
        "trace_id": attribution.trace_id,
        "span_id": attribution.span_id,
        "idempotency_key": call.claim.key if call.claim else None,
        "request_hash": call.claim.request_hash if call.claim else None,
        "reservation": record.reservation.as_json() if record.reservation else None,
        "input_preview": None,  # of what is kept of the messages, so the policy makes it
        "dropped_params": None,
        "additional_params": _parameters(call, sent),
        "context_data": attribution.context,
        "messages": [stored_message(message) for message in call.messages],
    }


def _parameters(call: Call, sent: dict[str, Any]) -> dict[str, Any] | None:
    if call.output_type is not None:
        sent["response_model"] = call.output_type.__name__
    if call.batch is not None:
        sent["batch_key"] = call.batch.key
    return {**sent, **_tools(call)} or None


def _tools(call: Call) -> dict[str, Any]:
    """The names of the tools: their schemas are the program's, and the same in every row."""
    if not call.tools:
        return {}
    said = {"tool_choice": call.tool_choice, "parallel_tool_calls": call.parallel_tool_calls}
    given = {name: value for name, value in said.items() if value is not None}
    return {"tools": [spec.name for spec in call.tools], **given}


def outcome(record: CallRecord, policy: PayloadPolicy) -> dict[str, Any]:
    """How the call ended, as it may be stored, with the key of the row that it is written to."""
    mode, size = record.call.payload_mode, len(record.said or "")
    return policy.stored(_outcome(record), mode, record.error, size=size)


def _outcome(record: CallRecord) -> dict[str, Any]:
    settled = spent(record)
    return {
        "row_id": record.call.id,
        "status": record.status,
        "completed_at": datetime.now(UTC),
        "execution_time_ms": record.milliseconds,
        "time_to_first_token_ms": record.first_token_ms,
        "retry_attempt": len(record.attempts),
        "attempts": [attempt.as_json() for attempt in record.attempts],
        "maybe_paid": record.maybe_paid,
        "reservation": settled.as_json() if settled else None,
        **_model(record),
        **_tokens(record),
        **money(record),
        **_cache(record),
        **_answer(record),
        **_failure(record),
    }


def _model(record: CallRecord) -> dict[str, Any]:
    """What the opening row says of the model is left as it is unless another one was asked."""
    asked = record.fallback_from
    provider, model = (None, None) if asked is None else record.model
    return {"provider": provider, "model": model, "fallback_from": asked}


def _tokens(record: CallRecord) -> dict[str, Any]:
    usage = record.usage
    counts = {name: getattr(usage, name) if usage else None for name in _TOKEN_COLUMNS}
    source = "estimated" if record.usage_is_estimated else "reported"
    source = "cache" if record.hit else source
    return {
        **counts,
        "tokens_used": usage.total_tokens if usage else None,
        "usage_source": source if usage else None,
    }


def money(record: CallRecord) -> dict[str, Any]:
    """Where there is something to price there is a source, and "unknown" is one of them."""
    cost, price = record.cost, record.last_price
    if price is not None and cost is None:
        price = Price(None, "unknown")
    return {
        "cost_estimate": None if cost is None else float(cost),
        "cost_source": "cache" if record.hit else price.source if price else None,
        "price_ref": price.ref if price else None,
        "cost_details": record.cost_details if cost is not None else None,
    }


def _cache(record: CallRecord) -> dict[str, Any]:
    hit = record.hit
    saved = hit.saved if hit else None
    return {
        "cached": hit is not None,
        "cache_key": record.cache_key,
        "cached_from_id": hit.source_id if hit else None,
        "saved_cost": None if saved is None else float(saved),
    }


def _answer(record: CallRecord) -> dict[str, Any]:
    reply = record.reply
    return {
        "response_model": _fitting(reply.model, 100) if reply else None,
        "finish_reason": _fitting(reply.finish_reason, 50) if reply else None,
        "service_tier": _fitting(reply.service_tier, 32) if reply else None,
        "dropped_params": list(reply.dropped_params) or None if reply else None,
        "usage_details": reply.usage_details if reply else None,
        "response_content": record.said,
        "output_preview": None,  # of what is kept
        "response_raw": _raw(record),
        "kept_answer": kept_answer(record.replies) if record.call.claim else None,
    }


def _raw(record: CallRecord) -> dict[str, Any] | None:
    if record.reply:
        return None if record.hit else record.reply.raw
    body = record.error.response_body if record.error else None
    return {"body": body} if body else None


def _failure(record: CallRecord) -> dict[str, Any]:
    error = record.error
    last = record.reply or (record.attempts[-1] if record.attempts else None)
    return {
        "error_type": error.error_type if error else None,
        "error_message": record.error_message,
        "http_status": last.http_status if last else None,
        "provider_request_id": _fitting(last.provider_request_id, 128) if last else None,
    }


def _fitting(text: str | None, length: int) -> str | None:
    """A provider's word as the column can hold it: providers may say anything."""
    return None if text is None else storable_text(text)[:length]

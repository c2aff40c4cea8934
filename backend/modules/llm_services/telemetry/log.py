"""One log event for each call: ids, names and numbers, never a word of a prompt or an answer."""

import logging

from modules.llm_services.types import Call

from .attributes import Row

LOGGER = "modules.llm_services.calls"
"""The logger of these events; each has the fields of `fields` for formatters that write JSON."""

logger = logging.getLogger(LOGGER)


def log_call(call: Call, row: Row) -> None:
    """Tell that a call is settled."""
    said = fields(call, row)
    logger.info(
        "request_id=%(request_id)s operation=%(operation)s provider=%(provider)s model=%(model)s "
        "status=%(status)s ms=%(ms)s attempts=%(attempts)s tokens=%(tokens)s cost=%(cost)s",
        said,
        extra=said,
    )


def fields(call: Call, row: Row) -> dict[str, object]:
    """The event's fields. ``ms`` are milliseconds, ``cost`` USD; ``None`` is "not known"."""
    whose = call.attribution
    return {
        "request_id": str(call.id),
        "operation": call.operation,
        "provider": row["provider"] or call.provider,  # the row names another that answered
        "model": row["model"] or call.model,
        "stream": call.stream,
        "status": str(row["status"]),
        "error_type": row["error_type"],
        "http_status": row["http_status"],
        "ms": row["execution_time_ms"],
        "first_token_ms": row["time_to_first_token_ms"],
        "attempts": len(row["attempts"] or ()),
        "tokens": row["tokens_used"],
        "cost": row["cost_estimate"],
        "cached": row["cached"],
        "feature": whose.feature,
        "tenant": whose.tenant,
        "trace_id": whose.trace_id,
        "span_id": whose.span_id,
    }

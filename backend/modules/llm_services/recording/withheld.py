"""A row without content: who, when, which model, how much and how it ended, in our own words."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from modules.llm_services.exceptions import LLMError

FACTS = frozenset(
    {
        *("id", "row_id", "user_id", "owner_id", "batch_id", "conversation_id"),
        *("created_at", "completed_at", "status", "operation", "stream", "cached"),
        *("provider", "model", "requested_model", "response_model", "service_tier"),
        *("fallback_from", "replay_of"),
        *("temperature", "max_tokens", "dropped_params", "feature", "tenant"),
        *("prompt_tokens", "completion_tokens", "tokens_used", "usage_source"),
        *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
        *("cost_estimate", "cost_source", "price_ref", "cost_details"),
        *("execution_time_ms", "time_to_first_token_ms", "retry_attempt", "attempts", "maybe_paid"),
        *("finish_reason", "error_type", "http_status", "provider_request_id"),
        *("trace_id", "span_id", "payload_state", "idempotency_key", "request_hash"),
        *("reservation", "cache_key", "cached_from_id", "saved_cost"),
    }
)
"""Columns that hold what we, the clock and the provider's counters say: never a prompt's words."""

_PARAMETERS = frozenset(
    {
        *("batch_key", "response_model", "tools", "tool_choice", "reasoning_effort", "verbosity"),
        *("service_tier", "size", "quality", "background", "output_format", "moderation"),
        *("input_fidelity", "format", "voice", "language", "languages", "recency", "context_size"),
    }
)
"""Parameters whose words are the program's; `collect_batch` needs the first two."""

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")


def without_content(row: Mapping[str, Any], error: LLMError | None = None) -> dict[str, Any]:
    """The row with what is known about its content in the content's place."""
    kept = {name: _reduced(name, value) for name, value in row.items()}
    if kept.get("error_message") is not None and error is not None:
        kept["error_message"] = _in_our_words(error)
    return {**kept, "payload_state": "none"}


def _reduced(name: str, value: Any) -> Any:
    if name in FACTS:
        return value
    reduce = _REDUCED.get(name)
    return None if reduce is None else reduce(value)


def parameters_without_content(value: Any) -> Any:
    """Parameters with their numbers and the program's own words; texts by their length."""
    if not isinstance(value, Mapping):
        return None
    return {
        name: item if name in _PARAMETERS else _size_of(item) for name, item in value.items()
    } or None


def _size_of(value: Any) -> Any:
    if isinstance(value, str):
        return {"omitted": True, "characters": len(value)}
    if isinstance(value, Mapping | list | tuple):
        return {"omitted": True, "entries": len(value)}
    return value


def _messages(value: Any) -> list[dict[str, Any]]:
    return [
        {"role": said["role"], "omitted": True, "characters": _characters(said)} for said in value
    ]


def _characters(value: Any) -> int:
    """Of the words in a message; of a picture there are none."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(value.get(name)) for name in ("content", "text", "tool_calls"))
    if isinstance(value, list):
        return sum(map(_characters, value))
    return 0


def numbers(value: Any) -> Any:
    """What a provider counted: numbers, and the words that say of what."""
    if isinstance(value, Mapping):
        return {name: numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [numbers(item) for item in value]
    return None if isinstance(value, str) and not _WORD.fullmatch(value) else value


def _in_our_words(error: LLMError) -> str:
    """What happened without what the provider or a validator says: they like to quote."""
    status = f", HTTP {error.status_code}" if error.status_code else ""
    code = f", {error.code}" if error.code and _WORD.fullmatch(error.code) else ""
    return f"{type(error).__name__}{status}{code}: {error.safe_message}"


def _unsaid(value: Any) -> str | None:
    return None if value is None else "What happened is not kept."


_REDUCED: Mapping[str, Callable[[Any], Any]] = {
    "messages": _messages,
    "additional_params": parameters_without_content,
    "usage_details": numbers,
    "error_message": _unsaid,
}

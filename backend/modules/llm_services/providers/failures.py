"""A failed HTTP status as an error of ours, by status and structured code, never by message."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMContextLengthError,
    LLMError,
    LLMNotFoundError,
    LLMPermissionError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
)
from modules.llm_services.redaction import shortened, without_secrets

_MESSAGE_LIMIT = 500
_BODY_LIMIT = 2_000
_LONGEST_WAIT = 86_400_000  # a day in milliseconds; more is nonsense in any unit
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_LAST_ERROR = 599

_BY_CODE: Mapping[str, type[LLMError]] = {
    "insufficient_quota": LLMQuotaExceededError,
    "billing_hard_limit_reached": LLMQuotaExceededError,
    "context_length_exceeded": LLMContextLengthError,
    "exceed_context_size_error": LLMContextLengthError,
    "content_policy_violation": LLMRefusedError,
    "moderation_blocked": LLMRefusedError,
    "content_filter": LLMRefusedError,
    "model_not_found": LLMNotFoundError,
    # Groq: what the model wrote was no JSON, or no call of a tool (console.groq.com/docs/errors)
    "json_validate_failed": LLMBadResponseError,
    "tool_use_failed": LLMBadResponseError,
}
_BY_STATUS: Mapping[int, type[LLMError]] = {
    401: LLMAuthenticationError,
    402: LLMQuotaExceededError,
    403: LLMPermissionError,
    404: LLMNotFoundError,
    408: LLMProviderError,
    409: LLMProviderError,
    425: LLMProviderError,
    429: LLMRateLimitError,
}
_ANSWER_MAY_EXIST = frozenset({408, 504})


def status_of(body: Mapping[str, Any]) -> int | None:
    """The HTTP status that the code of an error inside a success is, if it is one."""
    code = _details(body).get("code")
    stated = int(code) if isinstance(code, int | str) and str(code).isdecimal() else 0
    return stated if _CLIENT_ERROR <= stated <= _LAST_ERROR else None


def error_for_status(
    status: int,
    headers: Mapping[str, str],
    body: object,
    text: str,
    *,
    maybe_billed: bool = False,
) -> LLMError:
    """The error for a status that is no success. ``body`` is the decoded JSON, if it was JSON."""
    details = _details(body)
    code = _word(details.get("code")) or _word(details.get("type"))
    facts: dict[str, Any] = {
        "status_code": status,
        "code": code,
        "param": _word(details.get("param")),
        "provider_request_id": request_id(headers),
        "retryable": _told_to_retry(status, headers),
        "retry_after": retry_after(headers),
        "maybe_billed": maybe_billed or status in _ANSWER_MAY_EXIST,
        "response_body": shortened(without_secrets(text), _BODY_LIMIT) or None,
    }
    return _class_for(status, details)(_message(status, details), **facts)


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the provider calls the request; Anthropic leaves out the ``x-``."""
    return headers.get("x-request-id") or headers.get("request-id")


def _told_to_retry(status: int, headers: Mapping[str, str]) -> bool | None:
    """What the provider says; prompts are never sent where a redirect points to."""
    if status < _CLIENT_ERROR:
        return False
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _class_for(status: int, details: Mapping[str, Any]) -> type[LLMError]:
    about = details.get("metadata")
    if isinstance(about, Mapping) and "flagged_input" in about:  # OpenRouter's moderation
        return LLMRefusedError
    for name in ("code", "type"):
        known = _BY_CODE.get(_word(details.get(name)) or "")
        if known is not None:
            return known
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= _SERVER_ERROR:
        return LLMProviderError
    return LLMBadRequestError if status >= _CLIENT_ERROR else LLMBadResponseError


def _details(body: object) -> Mapping[str, Any]:
    """OpenAI's ``{"error": {...}}`` with or without its wrapping, xAI's and LM Studio's
    ``{"code": "...", "error": "..."}``, or nothing.
    """
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if isinstance(inner, Mapping):
            return inner
        if isinstance(inner, str):
            return {**body, "message": inner}
    return {}


def _word(value: object) -> str | None:
    return str(value)[:100] if isinstance(value, str | int) and value != "" else None


def _message(status: int, details: Mapping[str, Any]) -> str:
    said = details.get("message") or details.get("detail") or details.get("title")
    if not isinstance(said, str):
        return f"HTTP {status} from the provider, without an explanation"
    return f"HTTP {status} from the provider: {shortened(without_secrets(said), _MESSAGE_LIMIT)}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the provider says, in any of the spellings; nonsense counts as silence."""
    milliseconds = _positive(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    seconds = _positive(said)
    return _until(said) if seconds is None and said else seconds


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 < number <= _LONGEST_WAIT else None


def _until(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _positive(str((moment - datetime.now(UTC)).total_seconds()))

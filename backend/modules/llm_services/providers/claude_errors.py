"""Anthropic's errors: ``{"type": "error", "error": {"type", "message", "details"}}``.

Types and codes are those of anthropic-python's ``types/shared`` of November 2026, statuses those
of platform.claude.com/docs/en/api/errors. A conversation that is too long has neither a type nor a
code of its own (``ErrorDetails`` lists none), so for this one error the message decides, by the
words with which it begins; without them it is a bad request like any other.
"""

import re
from collections.abc import Mapping
from typing import Any

from modules.llm_services.exceptions import LLMError
from modules.llm_services.types import JsonObject

from .failures import error_for_status

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_BAD_REQUEST, _SERVER_ERROR = 400, 500
_SPENT = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
    }
)
_TOO_LONG = re.compile(r"prompt is too long\b|input length and `max_tokens` exceed context limit\b")


def anthropic_error(status: int, headers: Mapping[str, str], body: object, text: str) -> LLMError:
    """The error for a status that is no success. ``body`` is the decoded JSON, if it was JSON."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return error_for_status(status, headers, body, text)
    code = _code(status, error)
    return error_for_status(status, headers, {"error": {**error, "code": code}}, text)


def error_in_stream(event: JsonObject) -> LLMError:
    """The error that an ``error`` event reports; its type stands for a status."""
    error = event.get("error")
    kind = str(error.get("type")) if isinstance(error, Mapping) else ""
    return anthropic_error(_STATUS_OF.get(kind, _SERVER_ERROR), {}, event, "")


def _code(status: int, error: Mapping[str, Any]) -> str | None:
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, Mapping) else None
    if isinstance(code, str):
        return "insufficient_quota" if code in _SPENT else code
    message = error.get("message")
    too_long = isinstance(message, str) and _TOO_LONG.match(message)
    return "context_length_exceeded" if status == _BAD_REQUEST and too_long else None

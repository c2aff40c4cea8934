"""Errors and headers as Anthropic has them."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.dialects import Dialect
from sandbox.wire import ApiError, Json

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_BILLING, _SERVER_ERROR = 402, 500
_TOO_LONG = "prompt is too long: 1000001 tokens > 1000000 maximum"


def _status(error: ApiError) -> int:
    return _BILLING if error.code == "insufficient_quota" else error.status


def _body(error: ApiError) -> Json:
    """``{"type": "error", "error": {type, message}}``: there are no codes."""
    status = _status(error)
    other = "api_error" if status >= _SERVER_ERROR else "invalid_request_error"
    message = _TOO_LONG if error.code == "context_length_exceeded" else error.message
    return {"type": "error", "error": {"type": _KINDS.get(status, other), "message": message}}


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    kept = {k: v for k, v in headers.items() if not k.startswith(("openai-", "x-ratelimit-"))}
    request_id = kept.pop("x-request-id", "")
    return {**kept, "request-id": request_id, "anthropic-organization-id": "sandbox"}


ANTHROPIC = Dialect(error_body=_body, error_status=_status, headers=_headers)

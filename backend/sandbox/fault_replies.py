"""Faults that replace the whole reply: error statuses and answers that are no answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from sandbox.faults import Fault
from sandbox.wire import ApiError, Reply

_BY_CODE = {
    "insufficient_quota": (429, "insufficient_quota", "You exceeded your current quota."),
    "rate_limit_exceeded": (429, "requests", "Rate limit reached for requests."),
    "context_length_exceeded": (
        400,
        "invalid_request_error",
        "Your input exceeds the context window of this model.",
    ),
    "model_not_found": (
        404,
        "invalid_request_error",
        "The model does not exist or you do not have access to it.",
    ),
    "invalid_api_key": (401, "invalid_request_error", "Incorrect API key provided."),
    "content_policy_violation": (
        400,
        "invalid_request_error",
        "Your request was rejected by the safety system.",
    ),
    "moderation_blocked": (
        400,
        "image_generation_user_error",
        "Your request was rejected by the safety system.",
    ),
    "server_error": (500, "server_error", "The server had an error while processing your request."),
}
_BY_STATUS = {
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "server_error",
}
_SERVER_ERROR = 500

_HTML = b"<!doctype html><html><head><title>Sandbox</title></head><body>Welcome</body></html>"
_GARBAGE = b'{"id": "sandbox", "object": "resp'


def error_of(fault: Fault) -> ApiError | None:
    """The error that `status=` or `code=` ask for."""
    if not fault.status and not fault.code:
        return None
    code = fault.code or _BY_STATUS.get(fault.status, "")
    status, kind, message = _BY_CODE.get(code, _other(fault.status or 400))
    return ApiError(
        fault.status or status,
        f"{message} (sandbox fault)",
        code=code or None,
        kind=kind,
        headers=_retry_headers(fault),
    )


def _other(status: int) -> tuple[int, str, str]:
    kind = "server_error" if status >= _SERVER_ERROR else "invalid_request_error"
    return status, kind, f"The sandbox was asked for status {status}."


def _retry_headers(fault: Fault) -> dict[str, str]:
    headers = {
        "retry-after": fault.retry_after,
        "retry-after-ms": fault.retry_after_ms,
        "x-should-retry": fault.should_retry,
    }
    if fault.retry_after_date is not None:
        when = datetime.now(UTC) + timedelta(seconds=fault.retry_after_date)
        headers["retry-after"] = format_datetime(when, usegmt=True)
    return {name: value for name, value in headers.items() if value}


def body_of(fault: Fault) -> Reply | None:
    """The 200 that is no answer, for `html`, `garbage` and `empty_body`."""
    if fault.html:
        return Reply(content=_HTML, media_type="text/html", outcome="html")
    if fault.garbage:
        return Reply(content=_GARBAGE, outcome="garbage")
    if fault.empty_body:
        return Reply(content=b"", outcome="empty_body")
    return None

"""Google's ways around its format: the key's header, the model in the path, `google.rpc.Status`."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.dialects import Dialect
from sandbox.wire import ApiError, Json

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."
_QUOTA = "GenerateRequestsPer{}PerProjectPerModel"


def check_key(headers: Mapping[str, str], _path: str) -> None:
    """Raise 403 without a key; 400, as Google does, for one that contains `invalid`."""
    key = headers.get("x-goog-api-key", "")
    if not key:
        raise ApiError(403, "Method doesn't allow unregistered callers.")
    if "invalid" in key:
        raise ApiError(
            400, "API key not valid. Please pass a valid API key.", code="API_KEY_INVALID"
        )


def named(body: Json, path: Mapping[str, str]) -> Json:
    """The body with the model, and the verb that stands behind it."""
    model, _, verb = path["call"].rpartition(":")
    return {**body, "model": model, "verb": verb}


def error_body(error: ApiError) -> Json:
    """The JSON body of an error: ``{"error": {code, message, status, details}}``."""
    said: Json = {
        "code": error.status,
        "message": error.message,
        "status": _STATUS.get(error.status, "UNKNOWN"),
    }
    details = _details(error)
    return {"error": {**said, "details": details} if details else said}


def _details(error: ApiError) -> list[Json]:
    found: list[Json] = []
    if error.code == "API_KEY_INVALID":
        domain = {"reason": error.code, "domain": "googleapis.com"}
        found.append({"@type": f"{_TYPE}ErrorInfo", **domain})
    if error.code in {"insufficient_quota", "rate_limit_exceeded"}:
        unit = "Day" if error.code == "insufficient_quota" else "Minute"
        broken = [{"quotaId": _QUOTA.format(unit)}]
        found.append({"@type": f"{_TYPE}QuotaFailure", "violations": broken})
    if delay := error.headers.get("retry-after"):
        found.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{delay}s"})
    if error.param:
        violations = [{"field": error.param, "description": error.message}]
        found.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": violations})
    return found


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Google names its answers in their bodies, and says when to come back in an error's."""
    usual = ("openai-", "x-ratelimit-", "x-request-id", "retry-after")
    return {name: value for name, value in headers.items() if not name.startswith(usual)}


GOOGLE = Dialect(check_key=check_key, named=named, error_body=error_body, headers=_headers)

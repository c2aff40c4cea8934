"""A failure of Google's as an error of ours: by status and by the structured details of
``google.rpc.Status`` (github.com/googleapis/googleapis, google/rpc/error_details.proto).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMError,
    LLMPermissionError,
    LLMQuotaExceededError,
)

from .failures import error_for_status

_BY_REASON: Mapping[str, type[LLMError]] = {
    "API_KEY_INVALID": LLMAuthenticationError,  # with status 400
    "API_KEY_EXPIRED": LLMAuthenticationError,
    "API_KEY_SERVICE_BLOCKED": LLMPermissionError,
    "BILLING_DISABLED": LLMQuotaExceededError,
}
_TYPE = "type.googleapis.com/google.rpc."
_DAILY = "PerDay"
_LONGEST_WAIT = 86_400.0


def gemini_error(status: int, headers: Mapping[str, str], body: object, text: str) -> LLMError:
    """The error for a status that is no success. ``body`` is the decoded JSON, if it was JSON.

    What is used up for the day is a quota: waiting for seconds does not help, whatever
    ``RetryInfo`` says.
    """
    problem = _problem(body)
    reason = _word(_detail(problem, "ErrorInfo").get("reason"))
    said = {
        "message": problem.get("message"),
        "code": reason or _word(problem.get("status")),
        "param": _field(problem),
    }
    error = error_for_status(status, headers, {"error": said}, text)
    kind = LLMQuotaExceededError if _is_daily(problem) else _BY_REASON.get(reason or "")
    if kind is not None:
        return kind(error.message, **_facts(error))
    error.retry_after = error.retry_after or _delay(problem)
    return error


def _facts(error: LLMError) -> dict[str, Any]:
    left_out = {"message", "retryable", "retry_after"}
    return {name: value for name, value in vars(error).items() if name not in left_out}


def _problem(body: object) -> Mapping[str, Any]:
    """Google's ``{"error": {...}}``; a stream that fails at once has it in a list."""
    listed = body[0] if isinstance(body, list) and body else body
    inner = listed.get("error") if isinstance(listed, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _detail(problem: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    listed = problem.get("details")
    found = (
        one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, Mapping)
    )
    return next((one for one in found if one.get("@type") == _TYPE + name), {})


def _violations(problem: Mapping[str, Any], detail: str, key: str) -> Iterator[Mapping[str, Any]]:
    listed = _detail(problem, detail).get(key)
    yield from (
        one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict)
    )


def _is_daily(problem: Mapping[str, Any]) -> bool:
    broken = _violations(problem, "QuotaFailure", "violations")
    return any(_DAILY in str(one.get("quotaId", "")) for one in broken)


def _field(problem: Mapping[str, Any]) -> str | None:
    broken = _violations(problem, "BadRequest", "fieldViolations")
    return next((_word(one.get("field")) for one in broken), None)


def _delay(problem: Mapping[str, Any]) -> float | None:
    """Seconds as a ``google.protobuf.Duration`` says them: ``"57.2s"``."""
    said = str(_detail(problem, "RetryInfo").get("retryDelay", ""))
    try:
        seconds = float(said.removesuffix("s"))
    except ValueError:
        return None
    return seconds if 0 < seconds <= _LONGEST_WAIT else None


def _word(value: object) -> str | None:
    return value[:100] if isinstance(value, str) and value else None

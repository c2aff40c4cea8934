"""Every error of the module is a problem response that says whose fault it is, and no more."""

import logging
import math

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from main import create_app
from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMBudgetExceededError,
    LLMCircuitOpenError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMContextLengthError,
    LLMError,
    LLMIdempotencyError,
    LLMInputError,
    LLMNotFoundError,
    LLMOverloadedError,
    LLMPermissionError,
    LLMPricingError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRecordingError,
    LLMRefusedError,
    LLMStreamCutError,
    LLMTimeoutError,
    LLMToolRunError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)
from modules.llm_services.problems import STATUS
from modules.llm_services.public import llm_error_handler
from tests.llm_services.test_exceptions import CLASSES, every_class, known_to, needed_by

REQUEST_ID = "00000000-0000-0000-0000-000000000007"
MEMBERS = {"type", "title", "status", "detail", "request_id", "retryable"}
EXPECTED: dict[type[LLMError], int] = {
    LLMInputError: 422,
    LLMIdempotencyError: 409,
    LLMBudgetExceededError: 429,
    LLMCircuitOpenError: 503,
    LLMOverloadedError: 503,
    LLMContextLengthError: 422,
    LLMRefusedError: 422,
    LLMRateLimitError: 429,
    LLMQuotaExceededError: 429,
    LLMAuthenticationError: 500,
    LLMPermissionError: 500,
    LLMConfigurationError: 500,
    LLMPricingError: 500,
    LLMNotFoundError: 500,
    LLMError: 502,
    LLMProviderError: 502,
    LLMConnectionError: 502,
    LLMBadResponseError: 502,
    LLMStreamCutError: 502,
    LLMBadRequestError: 502,
    LLMUnsupportedParameterError: 502,
    LLMTruncatedError: 502,
    LLMValidationError: 502,
    LLMToolRunError: 502,
    LLMRecordingError: 503,
    LLMTimeoutError: 504,
}


def answer_to(error: Exception, app: FastAPI | None = None) -> tuple[dict[str, object], str | None]:
    """What the application's client is told when a route raises ``error``, and when to return."""
    app = app or create_app()

    @app.get("/raise")
    def _raise() -> None:
        raise error

    reply = TestClient(app).get("/raise")
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = reply.json()
    assert body["status"] == reply.status_code
    return body, reply.headers.get("retry-after")


@every_class
def test_each_error_is_told_over_http(kind: type[LLMError]) -> None:
    """The class decides the status; the body holds the safe message and the row's id."""
    body, _ = answer_to(kind("PAYLOAD of sk-123456789", **known_to(kind)))
    assert body == {
        "type": f"urn:problem-type:llm:{kind.error_type}",
        "title": body["title"],
        "status": EXPECTED[kind],
        "detail": kind.safe_text,
        "request_id": REQUEST_ID,
        "retryable": True,
    }
    assert body["title"]


@every_class
def test_an_error_that_knows_nothing_is_told_as_well(kind: type[LLMError]) -> None:
    """Facts that an error lacks are null, and nothing is made up."""
    body, _ = answer_to(kind("PAYLOAD", **needed_by(kind)))
    assert body["request_id"] is None
    assert body["retryable"] is kind.retryable_by_nature
    assert set(body) == MEMBERS


@pytest.mark.parametrize("kind", [c for c in CLASSES if c.__base__ is LLMError])
def test_every_branch_of_the_tree_has_a_status_of_its_own(kind: type[LLMError]) -> None:
    """A new kind of error has to say whose fault it is."""
    assert kind in STATUS


@every_class
def test_the_class_says_for_every_error_what_is_expected_here(kind: type[LLMError]) -> None:
    """The table above knows every class."""
    assert kind in EXPECTED


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (LLMRateLimitError("busy", retry_after=1.2), "2"),
        (LLMRateLimitError("busy", retry_after=0.0), "0"),
        (LLMRateLimitError("busy"), None),
        (LLMRateLimitError("busy", retry_after=math.inf), None),
        (LLMRateLimitError("busy", retry_after=math.nan), None),
        (LLMRateLimitError("busy", retry_after=-3.0), None),
        (LLMRecordingError("busy"), "1"),
        (LLMRecordingError("busy", retry_after=30.0), "30"),
        (LLMTimeoutError("late"), None),
    ],
    ids=str,
)
def test_retry_after_is_whole_seconds_as_far_as_they_are_known(
    error: LLMError, header: str | None
) -> None:
    """Who comes back after Retry-After does not come too early; no vendor's wait is invented."""
    assert answer_to(error)[1] == header


def test_any_application_can_use_the_handler() -> None:
    """One line installs it."""
    app = FastAPI()
    app.add_exception_handler(LLMError, llm_error_handler)
    body, _ = answer_to(LLMTimeoutError("late"), app)
    assert (body["status"], body["title"]) == (504, "Timeout")


def test_a_title_is_words() -> None:
    """The type of error is readable."""
    assert answer_to(LLMRateLimitError("busy"))[0]["title"] == "Rate limited"


def test_what_the_client_is_not_told_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A configuration that does not make sense has no row: its message is one line of the log."""
    error = LLMConfigurationError("MAX_TOKENS: is wrong\n2026 ERROR forged sk-123456789")
    assert "MAX_TOKENS" not in str(answer_to(error)[0])
    (record,) = [r for r in caplog.records if r.name.startswith("modules.llm_services")]
    assert record.levelno == logging.ERROR
    assert "MAX_TOKENS: is wrong 2026 ERROR forged ***" in record.getMessage()


def test_a_clients_own_mistake_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can fill the log with bad requests."""
    answer_to(LLMInputError("messages is empty"))
    assert not [r for r in caplog.records if r.name.startswith("modules.llm_services")]

"""How the application words its errors, whichever module they come from."""

from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from main import create_app
from modules.content_creation.public import TopicBusyError, TopicNotFoundError
from modules.llm_services.public import (
    LLMAuthenticationError,
    LLMBadResponseError,
    LLMCircuitOpenError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMContextLengthError,
    LLMError,
    LLMInputError,
    LLMOverloadedError,
    LLMPricingError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRecordingError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMValidationError,
)

REQUEST_ID = UUID("12345678-1234-4234-8234-123456789abc")
STATUS: list[tuple[type[LLMError], int]] = [
    (LLMInputError, 422),
    (LLMContextLengthError, 422),
    (LLMRateLimitError, 429),
    (LLMQuotaExceededError, 429),
    (LLMTimeoutError, 504),
    (LLMRecordingError, 503),
    (LLMCircuitOpenError, 503),
    (LLMOverloadedError, 503),
    (LLMAuthenticationError, 500),
    (LLMConfigurationError, 500),
    (LLMPricingError, 500),
    (LLMProviderError, 502),
    (LLMConnectionError, 502),
    (LLMBadResponseError, 502),
    (LLMRefusedError, 502),
    (LLMTruncatedError, 502),
    (LLMValidationError, 502),
    (LLMError, 502),
]


def _answer_to(error: Exception) -> tuple[int, dict[str, object], dict[str, str]]:
    """What the application answers when one of its routes raises ``error``."""
    app = create_app()

    @app.get("/raise")
    def _raise() -> None:
        raise error

    reply = TestClient(app).get("/raise")
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json(), dict(reply.headers)


@pytest.mark.parametrize(("cls", "status"), STATUS, ids=str)
def test_each_error_has_its_status(cls: type[LLMError], status: int) -> None:
    """The class decides; the body holds the safe message, the row's id, and no internals."""
    code, body, _ = _answer_to(cls("secret detail", request_id=REQUEST_ID, provider="openai"))
    assert code == body["status"] == status
    assert body["detail"] == cls.safe_text
    assert body["request_id"] == str(REQUEST_ID)
    assert body["retryable"] is cls.retryable_by_nature
    assert set(body) == {"type", "title", "status", "detail", "request_id", "retryable"}


def test_retry_after_is_whole_seconds_rounded_up() -> None:
    """Who comes back after Retry-After does not come too early."""
    _, _, headers = _answer_to(LLMRateLimitError("busy", retry_after=1.2))
    assert headers["retry-after"] == "2"


def test_no_retry_after_is_invented() -> None:
    """Without a known wait there is no header."""
    _, _, headers = _answer_to(LLMRateLimitError("busy"))
    assert "retry-after" not in headers


@pytest.mark.parametrize(("error", "status"), [(TopicNotFoundError, 404), (TopicBusyError, 409)])
def test_a_topics_error_names_the_topic(
    error: type[TopicNotFoundError | TopicBusyError], status: int
) -> None:
    """The module's own errors are problems, too."""
    code, body, _ = _answer_to(error(REQUEST_ID))
    assert (code, body["topic_id"]) == (status, str(REQUEST_ID))


def test_an_unknown_address_is_a_problem() -> None:
    """What the framework raises has the same form."""
    reply = TestClient(create_app()).get("/nowhere")
    assert (reply.status_code, reply.json()["title"]) == (404, "Not Found")
    assert reply.headers["content-type"] == "application/problem+json"


def test_health_answers() -> None:
    """The process can say that it lives."""
    assert TestClient(create_app()).get("/health").json() == {"status": "ok"}

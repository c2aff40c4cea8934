"""How the application words its errors, whichever module they come from."""

from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from main import create_app
from modules.content_creation.public import TopicBusyError, TopicNotFoundError

REQUEST_ID = UUID("12345678-1234-4234-8234-123456789abc")


def _answer_to(error: Exception) -> tuple[int, dict[str, object]]:
    """What the application answers when one of its routes raises ``error``."""
    app = create_app()

    @app.get("/raise")
    def _raise() -> None:
        raise error

    reply = TestClient(app).get("/raise")
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()


@pytest.mark.parametrize(("error", "status"), [(TopicNotFoundError, 404), (TopicBusyError, 409)])
def test_a_topics_error_names_the_topic(
    error: type[TopicNotFoundError | TopicBusyError], status: int
) -> None:
    """The module's own errors are problems, too."""
    code, body = _answer_to(error(REQUEST_ID))
    assert (code, body["topic_id"]) == (status, str(REQUEST_ID))


def test_an_unknown_address_is_a_problem() -> None:
    """What the framework raises has the same form."""
    reply = TestClient(create_app()).get("/nowhere")
    assert (reply.status_code, reply.json()["title"]) == (404, "Not Found")
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_field_that_no_text_can_hold_is_a_problem_like_any_other() -> None:
    """Half a surrogate pair as a field's name is answered, and a long name is not echoed."""
    content = '{"\\ud800%s": 1}' % ("x" * 5_000)
    reply = TestClient(create_app()).post("/api/v1/content_creation/topics", content=content)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
    assert len(reply.content) < 2_000


def test_health_answers() -> None:
    """The process can say that it lives."""
    assert TestClient(create_app()).get("/health").json() == {"status": "ok"}

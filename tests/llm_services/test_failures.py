"""A failed status becomes an error by status and structured code, with bounded, masked facts."""

import math
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modules.llm_services import exceptions as errors
from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.failures import error_for_status, retry_after

KEY = "sk-SENTINEL-0123456789abcdef"


def failed(status: int = 500, body: object = None, text: str = "", **headers: str) -> LLMError:
    """The error for a reply; header names are written with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_for_status(status, named, body, text)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, errors.LLMBadRequestError),
        (401, None, errors.LLMAuthenticationError),
        (402, None, errors.LLMQuotaExceededError),
        (403, None, errors.LLMPermissionError),
        (404, None, errors.LLMNotFoundError),
        (408, None, errors.LLMProviderError),
        (409, None, errors.LLMProviderError),
        (413, None, errors.LLMBadRequestError),
        (422, None, errors.LLMBadRequestError),
        (425, None, errors.LLMProviderError),
        (429, None, errors.LLMRateLimitError),
        (499, None, errors.LLMBadRequestError),
        (500, None, errors.LLMProviderError),
        (502, None, errors.LLMProviderError),
        (503, None, errors.LLMProviderError),
        (504, None, errors.LLMProviderError),
        (529, None, errors.LLMProviderError),
        (599, None, errors.LLMProviderError),
        (302, None, errors.LLMBadResponseError),
        (307, None, errors.LLMBadResponseError),
        (429, "insufficient_quota", errors.LLMQuotaExceededError),
        (400, "billing_hard_limit_reached", errors.LLMQuotaExceededError),
        (429, "rate_limit_exceeded", errors.LLMRateLimitError),
        (400, "context_length_exceeded", errors.LLMContextLengthError),
        (400, "exceed_context_size_error", errors.LLMContextLengthError),
        (500, "exceed_context_size_error", errors.LLMContextLengthError),
        (400, "content_policy_violation", errors.LLMRefusedError),
        (400, "moderation_blocked", errors.LLMRefusedError),
        (400, "content_filter", errors.LLMRefusedError),
        (400, "model_not_found", errors.LLMNotFoundError),
        (400, "invalid_value", errors.LLMBadRequestError),
        (401, "invalid_api_key", errors.LLMAuthenticationError),
    ],
)
def test_status_and_code_choose_the_class(
    status: int, code: str | None, kind: type[LLMError]
) -> None:
    """The code says more than the status; the status says enough; the message says nothing."""
    error = failed(status, {"error": {"code": code, "message": "rate limit, quota, context"}})
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"type": "exceed_context_size_error"}}, errors.LLMContextLengthError),
        ({"error": {"code": 400, "type": "content_filter"}}, errors.LLMRefusedError),
        ({"type": "insufficient_quota"}, errors.LLMQuotaExceededError),
        ({"code": "model_not_found"}, errors.LLMNotFoundError),
        ({"error": {"code": ["model_not_found"]}}, errors.LLMBadRequestError),
        ({"error": {"code": None, "type": None}}, errors.LLMBadRequestError),
    ],
    ids=str,
)
def test_the_code_may_stand_in_several_places(body: object, kind: type[LLMError]) -> None:
    """Vendors write the code as ``code`` or as ``type``, wrapped in ``error`` or bare."""
    assert type(failed(400, body)) is kind


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (409, True), (425, True), (429, True)]
    + [(status, True) for status in (500, 502, 503, 504, 529)]
    + [(302, False), (307, False), (308, False)],
)
def test_what_may_pass_is_retryable(status: int, *, retryable: bool) -> None:
    """Server errors, conflicts and limits may pass; refusals and redirects do not."""
    assert failed(status).retryable is retryable


@pytest.mark.parametrize(
    ("status", "told", "retryable"),
    [
        (500, "false", False),
        (400, "true", True),
        (500, "TRUE", True),
        (429, "False", False),
        (500, "perhaps", True),
        (400, "", False),
        (307, "true", False),
    ],
)
def test_the_provider_may_say_whether_to_retry(status: int, told: str, *, retryable: bool) -> None:
    """``x-should-retry`` is obeyed, but a prompt is never sent where a redirect points to."""
    assert failed(status, x_should_retry=told).retryable is retryable


@pytest.mark.parametrize(
    ("status", "billed"), [(400, False), (429, False), (500, False), (408, True), (504, True)]
)
def test_an_answer_may_exist_behind_a_timeout(status: int, *, billed: bool) -> None:
    """When a gateway gave up waiting, the answer may have been made and charged for."""
    assert failed(status).maybe_billed is billed


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        *[({"retry-after": said}, None) for said in ("0", "-5", "nan", "inf", "-inf", "soon", "")],
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 99999 00:00:00 GMT"}, None),
        pytest.param({"retry-after": "1e99"}, None),
        pytest.param({"retry-after-ms": "1e99"}, None),
        pytest.param({"retry-after": "1 Jan 99999999999999999999 00:00:00 GMT"}, None),
    ],
    ids=str,
)
def test_the_wait_is_read_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and dates are understood; nonsense counts as silence."""
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("zone", ["GMT", "+0000", ""])
def test_the_wait_may_be_a_date(zone: str) -> None:
    """An HTTP date is the time until then; without a zone it is in UTC."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1)).replace("+0000", zone).strip()
    wait = retry_after({"retry-after": then})
    assert wait is not None
    assert 3_000 < wait <= 3_600


@settings(max_examples=300, deadline=None)
@given(said=st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,5} \w{3} \d{1,6} \d\d:\d\d:\d\d .*"))
@example("31 Feb 2030 00:00:00 GMT")
def test_any_nonsense_about_the_wait_is_silence(said: str) -> None:
    """No header can break the error that it belongs to."""
    wait = retry_after({"retry-after": said, "retry-after-ms": said})
    assert wait is None or (wait > 0 and math.isfinite(wait))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "Too long."}}, "Too long."),
        ({"message": "Too long."}, "Too long."),
        ({"error": "Too long."}, "Too long."),
        ({"detail": "Too long."}, "Too long."),
        ({"title": "Too long.", "status": 400}, "Too long."),
    ],
    ids=str,
)
def test_the_providers_words_are_passed_on(body: object, said: str) -> None:
    """OpenAI's error, bare ones, FastAPI's detail and problem+json all explain themselves."""
    assert failed(400, body).message == f"HTTP 400 from the provider: {said}"


@pytest.mark.parametrize(
    "body",
    [
        *(None, "text", [], [1], 5, True, {}, {"error": None}, {"error": []}, {"error": {}}),
        *({"error": {"message": 5}}, {"error": {"message": ""}}, {"detail": [{"msg": "x"}]}),
    ],
    ids=str,
)
def test_a_body_that_explains_nothing_is_no_problem(body: object) -> None:
    """Whatever the body is, the error is there and says which status it was."""
    assert failed(503, body).message == "HTTP 503 from the provider, without an explanation"


@pytest.mark.parametrize(
    "text",
    ["<html><body>" + "busy " * 1_000 + "</body></html>", "upstream connect error", "", "\x00\xff"],
    ids=["html", "plain", "empty", "binary"],
)
def test_a_body_that_is_no_json_is_kept_beside_the_message(text: str) -> None:
    """HTML never gets into the message; the ledger gets its first 2,000 characters at most."""
    error = failed(502, None, text)
    assert error.message == "HTTP 502 from the provider, without an explanation"
    kept = error.response_body or ""
    assert text.startswith(kept)
    assert min(len(text), 1_900) <= len(kept) <= 2_000


def test_a_long_message_is_cut() -> None:
    """A provider's megabyte does not become ours."""
    error = failed(
        400, {"error": {"message": "x" * 10**6, "code": "c" * 10**6, "param": "p" * 999}}
    )
    assert error.message == "HTTP 400 from the provider: " + "x" * 500
    assert error.code == "c" * 100
    assert error.param == "p" * 100


@pytest.mark.parametrize("padding", [0, 463, 490, 1_960, pytest.param(1_963), 1_992])
def test_a_quoted_key_is_masked_wherever_it_stands(padding: int) -> None:
    """A key in the provider's message or body is masked before anything is cut."""
    said = "x" * padding + f" Incorrect API key provided: {KEY}."
    error = failed(401, {"error": {"message": said}}, said)
    for told in (error.message, error.response_body or ""):
        assert KEY[:8] not in told


def test_facts_of_the_reply_are_on_the_error() -> None:
    """Status, code, parameter, the provider's id and the wait: all that a ledger wants to know."""
    error = failed(
        429,
        {"error": {"code": "c", "param": "p", "message": "m"}},
        "the body",
        x_request_id="req_1",
        retry_after="2",
    )
    assert (error.code, error.param, error.provider_request_id) == ("c", "p", "req_1")
    assert (error.retry_after, error.response_body) == (2.0, "the body")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "type", "message", "param", "detail", "title"])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    status=st.integers(300, 999),
    body=JSON,
    text=st.text(max_size=50),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry", "x-request-id"]),
        st.text(max_size=20),
    ),
)
def test_any_reply_becomes_one_error(
    status: int, body: object, text: str, headers: dict[str, str]
) -> None:
    """Whatever a server sends, it is one `LLMError` that says its status and can be pickled."""
    error = error_for_status(status, headers, body, text)
    assert isinstance(error, LLMError)
    assert error.status_code == status
    assert len(error.message) < 600
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)  # noqa: S301

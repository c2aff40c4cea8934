"""The module as siblings use it: through ``public``, the real SDK, the sandbox and a database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import FunctionType
from uuid import UUID, uuid4

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from modules.llm_services.models import LLMRequest
from modules.llm_services.public import (
    GeneratesText,
    LLMConfigurationError,
    LLMError,
    LLMInputError,
    LLMMessageDTO,
    LLMPricingError,
    LLMRecordingError,
    LLMRefusedError,
    LLMServicesProvider,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMValidationError,
    llm_services_lifespan,
    llm_services_provider,
    open_llm_services,
)
from modules.llm_services.repo import LLMRequestRepo
from modules.llm_services.service import LLMService
from modules.shared.db import get_engine, get_session, session_factory
from sandbox import Sandbox
from tests.support.ledger import rows, statuses

VOLCANOES = [
    LLMMessageDTO(role="system", content="You teach."),
    LLMMessageDTO(
        role="user",
        content="Volcanoes are openings in the crust. Lava flows out when magma rises. "
        "Ash clouds can stop air traffic for days.",
    ),
]


class Lesson(BaseModel):
    """A short lesson."""

    title: str
    points: list[str] = Field(min_length=2)


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is not on this loop
            await asyncio.sleep(0.01)


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


async def test_an_answer_and_its_row_agree(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Text, tokens, cost and ids are the same in the response, the row and the vendor's journal."""
    user = uuid4()
    response, request_id = await llm.generate_response(
        VOLCANOES,
        user_id=user,
        temperature=0.2,
        max_tokens=400,
        feature="lessons",
        tenant="acme",
        conversation_id="c-1",
        context={"chapter": 3},
    )
    row = llm.get_request(request_id)
    assert row is not None
    assert "olcano" in response.content
    assert row.response_content == response.content
    assert (row.status, row.provider, row.model) == ("completed", "openai", "gpt-6-luna")
    assert row.requested_model == "fast"
    assert (row.user_id, row.feature, row.tenant) == (user, "lessons", "acme")
    assert (row.conversation_id, row.context_data) == ("c-1", {"chapter": 3})
    assert (row.temperature, row.max_tokens) == (0.2, 400)
    assert row.dropped_params == ["temperature"] == list(response.dropped_params)
    assert row.messages == [{"role": m.role, "content": m.content} for m in VOLCANOES]
    assert row.completed_at is not None
    assert row.completed_at.tzinfo is not None
    [seen] = vendor.journal()
    assert seen.client_request_id == str(request_id)
    assert (row.prompt_tokens, row.completion_tokens) == (
        seen.prompt_tokens,
        seen.completion_tokens,
    )
    assert row.tokens_used == response.tokens_used
    assert row.cost_estimate == response.cost_estimate
    assert row.cost_source == "genai-prices"
    assert row.attempts is not None
    assert [attempt["outcome"] for attempt in row.attempts] == ["answered"]
    assert response.content not in str(row.response_raw)


async def test_structured_answers_are_instances(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """An object of exactly the caller's class comes back, on both of OpenAI's formats."""
    answers = (
        await llm.generate_structured_response(VOLCANOES, Lesson, model="gpt-4o"),
        await llm.generate_structured_response(VOLCANOES, Lesson, model="gpt-4o", seed=7),
    )
    for lesson, request_id in answers:
        assert type(lesson) is Lesson
        row = llm.get_request(request_id)
        assert row is not None
        assert row.operation == "structured"
        assert row.additional_params is not None
        assert row.additional_params["response_model"] == "Lesson"
    assert [entry.path for entry in vendor.journal()] == ["/v1/responses", "/v1/chat/completions"]


async def test_a_misfit_is_asked_for_again(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """An answer that does not fit costs a second attempt, and both are paid for once."""
    lesson, request_id = await llm.generate_structured_response(
        VOLCANOES, Lesson, model="openai:gpt-4o:invalid_json,times=1"
    )
    assert lesson.points
    row = llm.get_request(request_id)
    assert row is not None
    assert row.attempts is not None
    assert [attempt["outcome"] for attempt in row.attempts] == ["Validation", "answered"]
    assert row.prompt_tokens == sum(entry.prompt_tokens or 0 for entry in vendor.journal())
    assert row.retry_attempt == 2


async def test_misfits_end_with_their_errors(llm: LLMServicesProvider) -> None:
    """After the last re-ask the error carries pydantic's errors, the text, the row and the sum."""
    with pytest.raises(LLMValidationError) as caught:
        await llm.generate_structured_response(
            VOLCANOES, Lesson, model="openai:gpt-4o:invalid_json", max_retries=2
        )
    error = caught.value
    assert error.errors
    assert error.last_text
    assert VOLCANOES[1].text not in str(error)
    assert error.request_id is not None
    row = llm.get_request(error.request_id)
    assert row is not None
    assert (row.status, row.error_type, row.retry_attempt) == ("failed", "Validation", 3)
    assert error.usage is not None
    assert row.tokens_used == error.usage.total_tokens
    assert row.response_content == error.last_text


@pytest.mark.parametrize(
    ("fault", "error", "error_type", "attempts"),
    [
        ("status=400", "LLMBadRequestError", "BadRequest", 1),
        ("code=invalid_api_key", "LLMAuthenticationError", "Authentication", 1),
        ("status=403", "LLMPermissionError", "PermissionDenied", 1),
        ("code=model_not_found", "LLMNotFoundError", "NotFound", 1),
        ("code=context_length_exceeded", "LLMContextLengthError", "ContextLength", 1),
        ("code=insufficient_quota", "LLMQuotaExceededError", "QuotaExceeded", 1),
        ("status=429,retry_after_ms=1", "LLMRateLimitError", "RateLimited", 3),
        ("status=500,retry_after_ms=1", "LLMProviderError", "ProviderError", 3),
        ("status=500,should_retry=false", "LLMProviderError", "ProviderError", 1),
        ("failed", "LLMProviderError", "ProviderError", 3),
        ("refuse", "LLMRefusedError", "Refused", 1),
        ("filter", "LLMRefusedError", "Refused", 1),
        ("drop", "LLMConnectionError", "Connection", 3),
        ("html", "LLMBadResponseError", "BadResponse", 2),
        ("garbage", "LLMBadResponseError", "BadResponse", 2),
        ("empty_body", "LLMBadResponseError", "BadResponse", 2),
        ("empty", "LLMBadResponseError", "BadResponse", 2),
    ],
)
async def test_every_failure_has_its_class_and_its_row(
    llm: LLMServicesProvider,
    vendor: Sandbox,
    fault: str,
    error: str,
    error_type: str,
    attempts: int,
) -> None:
    """A failure is one error class, one error type, and as many attempts as the vendor saw."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_response(VOLCANOES, model=f"openai:gpt-4o:{fault}")
    assert type(caught.value).__name__ == error
    assert caught.value.request_id is not None
    row = llm.get_request(caught.value.request_id)
    assert row is not None
    assert (row.status, row.error_type, row.retry_attempt) == ("failed", error_type, attempts)
    assert row.error_message == str(caught.value)
    assert row.cost_estimate != 0
    assert len(vendor.journal()) == attempts


async def test_refusals_and_truncation_are_not_misfits(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """A refused or cut-off object is never asked for again, and says what was said so far."""
    for fault, error in (("refuse", LLMRefusedError), ("truncate", LLMTruncatedError)):
        with pytest.raises(error) as caught:
            await llm.generate_structured_response(
                VOLCANOES, Lesson, model=f"openai:gpt-4o:{fault}"
            )
        assert caught.value.partial_text
        assert caught.value.usage is not None
    assert len(vendor.journal()) == 2


async def test_a_truncated_text_is_an_answer(llm: LLMServicesProvider) -> None:
    """Text that reached the cap comes back as it is and says so."""
    response, _ = await llm.generate_response(VOLCANOES, model="openai:gpt-4o:truncate")
    assert response.content
    assert response.finish_reason == "length"


async def test_failures_that_pass_are_forgotten(llm: LLMServicesProvider) -> None:
    """Two failures and then an answer: completed, three attempts, the tokens of the answer."""
    response, request_id = await llm.generate_response(
        VOLCANOES, model="openai:gpt-4o:status=503,retry_after_ms=1,times=2"
    )
    assert response.attempts == 3
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.retry_attempt, row.error_type) == ("completed", 3, None)


async def test_unknown_prices_are_unknown(llm: LLMServicesProvider) -> None:
    """A model without a price has tokens and no cost, which is not 0; an estimate is refused."""
    response, request_id = await llm.generate_response(VOLCANOES, model="openai:house-model")
    row = llm.get_request(request_id)
    assert row is not None
    assert response.cost_estimate is None
    assert (row.cost_estimate, row.cost_source) == (None, "unknown")
    assert row.tokens_used
    with pytest.raises(LLMPricingError, match="house-model"):
        llm.estimate_cost(VOLCANOES, model="openai:house-model")


async def test_missing_usage_is_unknown(llm: LLMServicesProvider) -> None:
    """An answer without usage has no tokens and no cost: NULL, not 0."""
    response, request_id = await llm.generate_response(VOLCANOES, model="openai:gpt-4o:no_usage")
    row = llm.get_request(request_id)
    assert row is not None
    assert response.tokens_used is None
    assert (row.tokens_used, row.cost_estimate) == (None, None)


async def test_another_model_than_the_one_that_was_asked(llm: LLMServicesProvider) -> None:
    """The row names both, and an answer is priced by the model that gave it, known or not."""
    response, request_id = await llm.generate_response(VOLCANOES, model="openai:gpt-4o:wrong_model")
    row = llm.get_request(request_id)
    assert row is not None
    assert response.tokens_used == row.tokens_used != 0
    assert (row.model, row.response_model) == ("gpt-4o:wrong_model", "sandbox-other-model")
    assert (row.cost_estimate, row.cost_source) == (None, "unknown")


async def test_estimates_learn_from_the_ledger(llm: LLMServicesProvider) -> None:
    """The vendor counts differently from us; after some calls the estimate follows its counts."""
    before = llm.estimate_cost(VOLCANOES, model="gpt-4o")
    await llm.generate_response(VOLCANOES, model="gpt-4o")
    response, _ = await llm.generate_response(VOLCANOES, model="gpt-4o")
    after = llm.estimate_cost(VOLCANOES, model="gpt-4o")
    assert response.cost_estimate is not None
    assert abs(after - response.cost_estimate) < abs(before - response.cost_estimate)
    assert after == pytest.approx(response.cost_estimate, rel=0.05)


async def test_the_deadline_bounds_everything(llm: LLMServicesProvider) -> None:
    """A slow provider ends at the deadline of the call, marked as perhaps paid."""
    with pytest.raises(LLMTimeoutError) as caught:
        await llm.generate_response(VOLCANOES, model="openai:gpt-4o:slow=30", timeout=0.3)
    assert caught.value.maybe_billed
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("failed", "Timeout")
    assert row["maybe_paid"]
    assert row["execution_time_ms"] < 5_000


async def test_a_wait_beyond_the_deadline_is_not_begun(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """A provider that says "in a minute" to a call with ten seconds fails the call at once."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_response(
            VOLCANOES, model="openai:gpt-4o:status=429,retry_after=60", timeout=10
        )
    assert caught.value.retry_after == 60
    assert len(vendor.journal()) == 1


async def test_a_cancelled_call_ends_cancelled(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Whoever goes away leaves a row that says so, never one that waits for ever."""
    call = asyncio.create_task(llm.generate_response(VOLCANOES, model="openai:gpt-4o:slow=30"))
    await _until(lambda: bool(vendor.journal()))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    [row] = rows()
    assert (row["status"], row["error_type"]) == ("cancelled", None)
    assert row["maybe_paid"]


async def test_bad_input_reaches_nobody(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """What cannot be meant is refused before anything is sent or written."""
    for call in (
        llm.generate_response([]),
        llm.generate_response(VOLCANOES, model="nobody:model"),
        llm.generate_response(VOLCANOES, temprature=1),  # type: ignore[call-arg]
        llm.generate_structured_response(VOLCANOES, BaseModel),
    ):
        with pytest.raises(LLMInputError):
            await call
    assert rows() == []
    assert vendor.journal() == []


async def test_lists_are_paged_and_narrow(llm: LLMServicesProvider) -> None:
    """A user's requests come newest first, page by page, without prompts and answers."""
    user = uuid4()
    ids = [
        (await llm.generate_response(VOLCANOES, user_id=user, model="gpt-4o"))[1] for _ in range(3)
    ]
    await llm.generate_response(VOLCANOES, user_id=uuid4(), model="gpt-4o")
    first = llm.get_user_requests(user, limit=2)
    assert [row.id for row in first] == [ids[2], ids[1]]
    assert [row.id for row in llm.get_user_requests(user, limit=2, offset=2)] == [ids[0]]
    assert first[0].messages is None
    assert first[0].output_preview
    assert llm.get_request(uuid4()) is None


async def test_many_calls_hold_no_connection(database_url: str, vendor: Sandbox) -> None:
    """Fifty slow calls run side by side while the application's pool has one connection, unused."""
    engine = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=1)
    async with llm_services_lifespan():
        session = Session(engine)
        llm = LLMService(LLMRequestRepo(session))
        calls = [
            asyncio.create_task(llm.generate_response(VOLCANOES, model="openai:gpt-4o:slow=0.5"))
            for _ in range(50)
        ]
        await _until(lambda: len(vendor.journal()) == 50)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        await asyncio.gather(*calls)
    assert statuses() == ["completed"] * 50
    engine.dispose()


async def test_the_callers_transaction_stays_the_callers(
    database_url: str, vendor: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Our row survives the caller's rollback, the caller's work is not committed by us, and a
    session that waits in a transaction is told so, once for each calling place.
    """
    async with llm_services_lifespan():
        session = session_factory()()
        LLMRequestRepo(session).by_user(uuid4())
        llm = LLMService(LLMRequestRepo(session))
        for _ in range(2):
            await llm.generate_response(VOLCANOES, model="gpt-4o")
        session.rollback()
    assert statuses() == ["completed", "completed"]
    told = [record for record in caplog.records if "in a transaction" in record.getMessage()]
    assert len(told) == 1
    assert __file__ in told[0].getMessage()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_script_that_holds_a_transaction_is_told_so(
    database_url: str, vendor: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A script has no package: its place is its file all the same."""

    async def ask(llm: GeneratesText) -> None:
        await llm.generate_response(VOLCANOES, model="gpt-4o")

    script = FunctionType(ask.__code__, {**globals(), "__name__": "__main__", "__package__": None})
    async with llm_services_lifespan():
        with session_factory()() as session:
            LLMRequestRepo(session).by_user(uuid4())
            await script(LLMService(LLMRequestRepo(session)))
    assert statuses() == ["completed"]
    told = [record for record in caplog.records if "in a transaction" in record.getMessage()]
    assert [__file__ in record.getMessage() for record in told] == [True]


def test_fastapi_hands_it_over(database_url: str, vendor: Sandbox) -> None:
    """``Depends`` gives a working provider, whose ledger is the database of the session."""
    app = FastAPI(lifespan=lambda _app: llm_services_lifespan())

    @app.post("/ask")
    async def ask(llm: GeneratesText = Depends(llm_services_provider)) -> UUID:
        return (await llm.generate_response(VOLCANOES, model="gpt-4o"))[1]

    with TestClient(app) as client:
        request_id = client.post("/ask").json()
    assert [str(row["id"]) for row in rows()] == [request_id]


def test_an_overridden_session_takes_the_ledger_along(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application that overrides ``get_session`` has its rows in that database."""
    elsewhere = create_engine(database_url)
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/else.db")
    app = FastAPI(lifespan=lambda _app: llm_services_lifespan())

    @app.post("/ask")
    async def ask(llm: GeneratesText = Depends(llm_services_provider)) -> None:
        await llm.generate_response(VOLCANOES, model="gpt-4o")

    def other_session() -> object:
        with Session(elsewhere) as session:
            yield session

    app.dependency_overrides[get_session] = other_session
    with TestClient(app) as client:
        assert client.post("/ask").status_code == 200
    with Session(elsewhere) as session:
        assert session.query(LLMRequest).count() == 1
    elsewhere.dispose()


async def test_the_lifespan_checks_and_drains(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the lifespan calls work; a wrong configuration fails before the first of them."""
    async with llm_services_lifespan(), open_llm_services() as llm:
        await llm.generate_response(VOLCANOES, model="gpt-4o")
    assert statuses() == ["completed"]
    monkeypatch.setenv("LLM_ROLES__SMART", "nobody:model")
    with pytest.raises(LLMConfigurationError, match="LLM_ROLES__SMART"):
        async with llm_services_lifespan():
            pass


async def test_without_a_table_nothing_is_sent(empty_database_url: str, vendor: Sandbox) -> None:
    """A database that was not migrated is named, with the remedy, before anything is paid."""
    async with open_llm_services() as llm:
        with pytest.raises(LLMRecordingError, match="alembic upgrade head"):
            await llm.generate_response(VOLCANOES)
    assert vendor.journal() == []


async def test_without_a_key_nothing_is_sent(database_url: str) -> None:
    """A missing key is named by its variable."""
    async with open_llm_services() as llm:
        with pytest.raises(LLMConfigurationError, match="OPENAI_API_KEY"):
            await llm.generate_response(VOLCANOES)
    assert rows() == []


def test_a_database_in_memory_is_refused() -> None:
    """One connection for everybody would commit the caller's work: that is said, with a remedy."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with Session(engine) as session, pytest.raises(LLMConfigurationError, match="use a file"):
        LLMService(LLMRequestRepo(session))
    engine.dispose()


async def test_any_openai_compatible_endpoint_is_a_provider(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base URL in the environment makes a provider; it speaks Chat Completions unless told."""
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", vendor.base_url)
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__API_KEY", "sk-house")
    monkeypatch.setenv("LLM_ROLES__FAST", "house:tiny")
    async with open_llm_services() as llm:
        response, _ = await llm.generate_response(VOLCANOES)
    assert (response.provider, response.model) == ("house", "tiny")
    assert [entry.path for entry in vendor.journal()] == ["/v1/chat/completions"]


def test_the_engine_is_the_databases(database_url: str) -> None:
    """The backend's engine follows ``DATABASE_URL``."""
    assert get_engine().url.render_as_string(hide_password=False) == database_url

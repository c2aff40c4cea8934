"""The fake is what the real module is: the same calls, side by side, leave the same behind.

The real one talks to the sandbox. What is compared is all that a caller can see; what a vendor's
answer says, and how many tokens it has, is its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from pydantic import BaseModel

from modules.llm_services.public import (
    LLMBadRequestError,
    LLMBadResponseError,
    LLMError,
    LLMInputError,
    LLMMessageDTO,
    LLMProviderError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMRequestDTO,
    LLMServicesProvider,
    LLMStreamCutError,
    LLMTruncatedError,
    LLMValidationError,
    TextStream,
    ToolCall,
    open_llm_services,
)
from modules.llm_services.testing import FakeLLMServices
from sandbox import Sandbox

from .kinds import BATCH, KINDS, MESSAGES, Kind, Planet, get_weather

Ask: TypeAlias = Callable[[LLMServicesProvider], Awaitable[Any]]
USER = uuid4()
SAME = (
    *("status", "operation", "stream", "provider", "model", "requested_model", "temperature"),
    *("max_tokens", "feature", "context_data", "additional_params", "payload_state", "error_type"),
    *("cached", "maybe_paid", "usage_source", "http_status", "dropped_params", "user_id"),
)
"""Columns that must be equal, and those that must be there or not there on both sides."""
BOTH = (
    *("tokens_used", "completed_at", "execution_time_ms", "time_to_first_token_ms", "attempts"),
    *("input_preview", "error_message", "response_content", "provider_request_id"),
)


@pytest.fixture
def fake() -> Iterator[FakeLLMServices]:
    """The fake, which runs the tool that the sandbox runs when it is told to."""
    with FakeLLMServices() as fake:
        call = ToolCall(id="call_1", name="get_weather", arguments={"city": "Oslo"})
        fake.answers(call, operation="tools", when="Call get_weather")
        fake.answers("Take a coat.", operation="tools", when="Fog in Oslo")
        yield fake


@pytest.fixture
async def real(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesProvider]:
    """The real module with the sandbox behind it."""
    monkeypatch.setenv("MAX_RETRIES", "0")
    async with open_llm_services() as llm:
        yield llm


@pytest.fixture(params=["fake", "real"])
def llm(request: pytest.FixtureRequest, database_url: str) -> LLMServicesProvider:
    """Either of them."""
    found: LLMServicesProvider = request.getfixturevalue(request.param)
    return found


pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def rows_of(llm: LLMServicesProvider) -> list[LLMRequestDTO]:
    """The user's rows with all columns, oldest first."""
    rows = [llm.get_request(row.id) for row in llm.get_user_requests(USER)]
    return [row for row in rows if row is not None][::-1]


def seen(row: LLMRequestDTO) -> dict[str, Any]:
    """What must be the same of two rows."""
    same = {name: getattr(row, name) for name in SAME}
    there = {name: getattr(row, name) is not None for name in BOTH}
    roles = [message["role"] for message in row.messages or ()]
    return {**same, **there, "roles": roles, "attempts": bool(row.attempts)}


class ForUser:
    """A provider whose every call is made for `USER`: the table of kinds names nobody."""

    def __init__(self, llm: LLMServicesProvider) -> None:
        self._llm = llm

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._llm, name)
        return lambda *args, **options: method(*args, user_id=USER, **options)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=f"{n}-{kind.name.replace(' ', '-')}")
        for n, kind in enumerate(KINDS)
        if kind.method != "health"  # whose rows are nobody's
        and kind.name != "text from another model in its place"  # which the sandbox makes fail
    ],
)
@pytest.mark.usefixtures("database_url", "vendor")
async def test_each_kind_of_call_leaves_the_same_rows(kind: Kind, fake: FakeLLMServices) -> None:
    """A new kind of call, or a new column, is the fake's at once."""
    async with open_llm_services() as real:
        await kind.ask(ForUser(real))
        expected = [seen(row) for row in rows_of(real)]
    await kind.ask(ForUser(fake))
    assert [seen(row) for row in rows_of(fake)] == expected
    assert expected


def a_message(**fields: Any) -> list[LLMMessageDTO]:
    """A conversation of one message."""
    return [LLMMessageDTO(**{"role": "user", "content": "Hello.", **fields})]


BAD: dict[str, Ask] = {
    "no messages": lambda llm: llm.generate_response([]),
    "no such role": lambda llm: llm.generate_response(a_message(role="robot")),
    "no text": lambda llm: llm.generate_response(a_message(content=7)),
    "too hot": lambda llm: llm.generate_response(MESSAGES, temperature=3.0),
    "no tokens": lambda llm: llm.generate_response(MESSAGES, max_tokens=0),
    "unknown option": lambda llm: llm.generate_response(MESSAGES, tempo=1),  # type: ignore[call-arg]
    "unknown provider": lambda llm: llm.generate_response(MESSAGES, model="acme:one"),
    "no user": lambda llm: llm.generate_response(MESSAGES, user_id="ann"),  # type: ignore[arg-type]
    "no deadline": lambda llm: llm.generate_response(MESSAGES, timeout=0),
    "no model class": lambda llm: llm.generate_structured_response(MESSAGES, dict),
    "no prompt": lambda llm: llm.generate_image(""),
    "no size": lambda llm: llm.generate_image("Mars", size="big"),
    "no picture": lambda llm: llm.edit_image("Mars", b"words"),
    "no queries": lambda llm: llm.search_web([]),
    "no texts": lambda llm: llm.generate_embeddings([]),
    "no voice": lambda llm: llm.generate_audio("Mars", voice=""),
    "no recording": lambda llm: llm.transcribe_audio(b"words"),
    "no batch": lambda llm: llm.submit_batch([]),
    "no tool": lambda llm: llm.run_tools(MESSAGES, []),
    "a pdf for chat": lambda llm: llm.generate_response(MESSAGES, seed=1.5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("ask", BAD.values(), ids=BAD)
async def test_the_same_is_refused_in_the_same_words(
    ask: Ask, fake: FakeLLMServices, real: LLMServicesProvider
) -> None:
    """A test with the fake fails where the code would fail in earnest; nothing is written."""
    told = []
    for llm in (fake, real):
        with pytest.raises(LLMInputError) as caught:
            await ask(llm)
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]
    assert fake.calls == []


ERRORS: dict[str, LLMError] = {
    "status=429,retry_after=7": LLMRateLimitError("busy", status_code=429, retry_after=7),
    "status=500": LLMProviderError("broken", status_code=500),
    "status=400": LLMBadRequestError("no", status_code=400),
    "empty": LLMBadResponseError("empty", status_code=200),
}


@pytest.mark.parametrize(("fault", "error"), ERRORS.items(), ids=list(ERRORS))
async def test_a_failure_is_an_error_and_a_row(
    fault: str, error: LLMError, fake: FakeLLMServices, real: LLMServicesProvider
) -> None:
    """A scripted error reaches caller and ledger as the vendor's would."""
    fake.fails_with(error)
    told = []
    for llm, model in ((fake, "gpt-4o"), (real, f"openai:gpt-4o:{fault}")):
        with pytest.raises(LLMError) as caught:
            await llm.generate_response(MESSAGES, user_id=USER, model=model)
        [row] = rows_of(llm)
        assert caught.value.request_id == row.id
        told.append(
            (
                type(caught.value),
                caught.value.retryable,
                caught.value.retry_after,
                (row.status, row.error_type, row.http_status, row.retry_attempt),
            )
        )
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("fault", "said", "finish", "expected"),
    [
        ("invalid_json", "{", None, LLMValidationError),
        ("truncate", '{"name": "Ma', "length", LLMTruncatedError),
        ("refuse", "No.", "content_filter", LLMRefusedError),
    ],
)
async def test_what_is_no_answer_is_told_as_such(
    fault: str,
    said: str,
    finish: str | None,
    expected: type[LLMError],
    fake: FakeLLMServices,
    real: LLMServicesProvider,
) -> None:
    """Misfits, cut-off answers and refusals are judged by the same rules."""
    if finish:
        fake.answers(said, finish_reason=finish)
    else:
        fake.answers(said)
    for llm, model in ((fake, "gpt-4o"), (real, f"openai:gpt-4o:{fault}")):
        with pytest.raises(expected):
            await llm.generate_structured_response(MESSAGES, Planet, user_id=USER, model=model)
    pair = [seen(rows_of(llm)[0]) for llm in (fake, real)]
    assert [(row["status"], row["error_type"]) for row in pair] == [
        ("failed", expected.error_type)
    ] * 2


async def read(opened: AbstractAsyncContextManager[TextStream], came: list[str]) -> None:
    """Read a stream as far as it goes."""
    async with opened as stream:
        async for piece in stream.text():
            came.append(piece)  # noqa: PERF401 - what came before the error counts


async def test_a_stream_that_breaks(fake: FakeLLMServices, real: LLMServicesProvider) -> None:
    """What came before is on the error and on the row."""
    fake.fails_with(LLMStreamCutError("cut"), after=["Mars ", "has"])
    for llm, model in ((fake, "gpt-4o"), (real, "openai:gpt-4o:cut=8")):
        came: list[str] = []
        with pytest.raises(LLMStreamCutError) as caught:
            await read(llm.stream_response(MESSAGES, user_id=USER, model=model), came)
        [row] = rows_of(llm)
        assert came
        assert caught.value.partial_text == row.response_content == "".join(came)
        assert (row.status, row.usage_source) == ("failed", "estimated")


async def test_a_stream_that_is_left(llm: LLMServicesProvider) -> None:
    """Whoever goes away leaves a cancelled row with the text so far, and no response."""
    async with llm.stream_response(MESSAGES, user_id=USER) as stream:
        first = await anext(aiter(stream.text()))
        with pytest.raises(LLMInputError, match="not read to its end"):
            _ = stream.response
    [row] = rows_of(llm)
    assert (row.status, row.response_content) == ("cancelled", first)


async def test_a_stream_that_is_read(llm: LLMServicesProvider) -> None:
    """Its pieces are its text, and the object grows until it is whole."""
    async with llm.stream_response(MESSAGES, user_id=USER) as stream:
        pieces = [piece async for piece in stream.text()]
    assert "".join(pieces) == stream.response.content
    assert len(pieces) > 1
    async with llm.stream_structured_response(MESSAGES, Planet, user_id=USER) as growing:
        grown = [known async for known in growing]
    assert grown
    assert isinstance(growing.result, Planet)
    assert [row.id for row in rows_of(llm)] == [stream.request_id, growing.request_id]


async def test_reads(llm: LLMServicesProvider) -> None:
    """Rows are found by id and by user, newest first, in pages; nobody else's."""
    made = [(await llm.generate_response(MESSAGES, user_id=USER))[1] for _ in range(3)]
    await llm.generate_response(MESSAGES, user_id=uuid4())
    assert [row.id for row in llm.get_user_requests(USER)] == made[::-1]
    assert [row.id for row in llm.get_user_requests(USER, limit=1, offset=1)] == [made[1]]
    page = llm.user_requests_page(USER, limit=2)
    assert [row.id for row in page.items] == made[:0:-1]
    assert llm.get_request(uuid4()) is None
    with pytest.raises(LLMInputError, match="limit"):
        llm.get_user_requests(USER, limit=0)
    assert llm.estimate_cost(MESSAGES) > 0


async def test_a_batch(llm: LLMServicesProvider) -> None:
    """Handed over, looked at, collected twice; each request has its row."""
    batch = await llm.submit_batch(BATCH, user_id=USER, model="gpt-6-luna")
    assert [row.status for row in rows_of(llm)] == ["pending"] * 2
    while not (await llm.batch_status(batch.id)).ended:
        pass
    for _ in range(2):
        found = {one.key: one async for one in llm.collect_batch(batch.id, [Planet])}
        assert {key: one.request_id for key, one in found.items()} == batch.request_ids
        assert isinstance(found["1"].parsed, Planet)
    assert [row.status for row in rows_of(llm)] == ["completed"] * 2


async def test_rounds_of_tools(llm: LLMServicesProvider) -> None:
    """The model asks, the tool answers, the model concludes: a row for each round."""
    asked = a_message(content="Call get_weather for Oslo: do I need a coat?")
    run, last = await llm.run_tools(asked, [get_weather], user_id=USER)
    assert [result.call.name for result in run.results] == ["get_weather"]
    assert run.response.content
    assert [row.id for row in rows_of(llm)] == list(run.request_ids)
    assert last == run.request_ids[-1]


async def test_an_answer_from_the_cache(llm: LLMServicesProvider) -> None:
    """The second of two equal calls that allow it costs nothing and says where it is from."""
    first, _ = await llm.generate_response(MESSAGES, user_id=USER, cache=True)
    again, _ = await llm.generate_response(MESSAGES, user_id=USER, cache=True)
    assert (first.cached, again.cached, again.content) == (False, True, first.content)
    assert [row.cached for row in rows_of(llm)] == [False, True]


class Empty(BaseModel):
    """Something that nothing is known of."""


async def test_an_empty_object(llm: LLMServicesProvider) -> None:
    """An object with nothing in it is an object."""
    found, _ = await llm.generate_structured_response(MESSAGES, Empty)
    assert isinstance(found, Empty)

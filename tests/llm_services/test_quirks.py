"""What vendors of OpenAI's formats do differently: known as data, learnt from a 400, or read."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMBadResponseError,
    LLMError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRefusedError,
)
from modules.llm_services.providers.capabilities import Refusals
from modules.llm_services.providers.failures import error_for_status, status_of
from modules.llm_services.providers.formats import RESPONSES, chat
from modules.llm_services.providers.formats.base import OutputSchema, Request
from modules.llm_services.providers.formats.chat_stream import ChatReader
from modules.llm_services.providers.formats.reported import reported_cost
from modules.llm_services.providers.formats.sse import ServerEvent
from modules.llm_services.providers.quirks import Quirks
from modules.llm_services.public import (
    BatchRequest,
    LLMInputError,
    LLMMessageDTO,
    ReasoningDelta,
    TextDelta,
    TextPart,
    ToolCallDelta,
    open_llm_services,
)
from modules.llm_services.types import Call, JsonObject
from modules.llm_services.types.stream import StreamEvent
from sandbox import Sandbox
from sandbox.wire import dumps
from tests.support.ledger import rows

RIVERS = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
HOUSE = "house:gpt-4.1:like=house"
"""A vendor that knows no schemas and names no parameter in its errors."""
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Planet(BaseModel):
    """What is asked for."""

    name: str


@pytest.fixture
def house(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox as a provider that only variables name."""
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", vendor.base_url)
    return vendor


@on_sqlite
async def test_a_refused_schema_is_told_in_words_once_and_remembered(
    house: Sandbox, database_url: str
) -> None:
    """The first call takes two requests, the next one; both say what was left out."""
    async with open_llm_services() as llm:
        for _ in range(2):
            planet, _ = await llm.generate_structured_response(
                RIVERS, Planet, model=HOUSE, max_retries=0
            )
            assert isinstance(planet, Planet)
    assert [entry.status for entry in house.journal()] == [400, 200, 200]
    assert [row["retry_attempt"] for row in rows()] == [2, 1]
    assert all("json_schema" in row["dropped_params"] for row in rows())


@on_sqlite
async def test_a_request_that_is_wrong_all_the_same_says_nothing_of_schemas(
    house: Sandbox, database_url: str
) -> None:
    """In other words it is refused again: the error is the caller's, and nothing is remembered."""
    async with open_llm_services() as llm:
        for _ in range(2):
            with pytest.raises(LLMBadRequestError):
                await llm.generate_structured_response(
                    RIVERS, Planet, model="house:gpt-4.1:status=400", max_retries=0
                )
    assert [row["retry_attempt"] for row in rows()] == [2, 2]


@on_sqlite
async def test_what_changes_the_question_is_refused_before_it_is_sent(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unlike a seed, a bias of words cannot be left out."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-1")
    async with open_llm_services() as llm:
        with pytest.raises(LLMInputError, match=r"^logit_bias: groq does not take it"):
            await llm.generate_response(RIVERS, model="groq:x", logit_bias={"50256": -100})
    assert vendor.journal() == []
    assert rows() == []


@on_sqlite
async def test_a_batch_is_asked_in_words_where_it_has_to_be(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows say so, each for itself."""
    monkeypatch.setenv("LLM_PROVIDERS__DEEPSEEK__BASE_URL", vendor.base_url)
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-deepseek")
    async with open_llm_services() as llm:
        requests = [
            BatchRequest(messages=RIVERS, response_model=Planet),
            BatchRequest(messages=RIVERS),
        ]
        await llm.submit_batch(requests, model="deepseek:gpt-4.1")
    dropped = [row["dropped_params"] for row in rows()]
    assert ["json_schema" in (one or "") for one in dropped] == [True, False]


def test_the_responses_api_is_told_in_words_too() -> None:
    """The schema goes before what was said, and the answer is held to JSON."""
    call = Call(
        id=uuid4(),
        operation="structured",
        provider="house",
        model="m",
        requested_model=None,
        messages=tuple(RIVERS),
        parameters={},
        timeout=1,
        max_retries=0,
    )
    schema = OutputSchema(name="Planet", schema={"type": "object"}, strict=False, enforced=False)
    body = RESPONSES.body(Request(call=call, parameters={}, schema=schema))
    assert body["text"] == {"format": {"type": "json_object"}}
    assert body["input"][0]["role"] == "system"
    assert '{"type":"object"}' in body["input"][0]["content"]


@pytest.mark.parametrize(
    ("error", "guessed"),
    [
        (LLMBadRequestError("no", status_code=400), True),
        (LLMBadRequestError("no", status_code=413), False),
        (LLMBadRequestError("no", status_code=400, param="messages"), False),
        (LLMBadRequestError("no", status_code=400, param="response_format"), True),
        (LLMBadRequestError("no", status_code=400, code="invalid_json_schema"), False),
        (LLMBadRequestError("no", status_code=400, retryable=True), False),
        (LLMProviderError("no", status_code=500), False),
    ],
)
def test_what_may_be_about_a_schema(error: LLMError, *, guessed: bool) -> None:
    """A bad request that names nothing else; for a vendor that knows schemas only one that says."""
    assert Refusals(Quirks())._may_mean_the_schema(error) is guessed
    assert Refusals()._may_mean_the_schema(error) is (error.param == "response_format")


def completion(**changed: Any) -> JsonObject:
    """A completion, with something different about it."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return {"model": "m", "choices": [{**choice, **changed.pop("choice", {})}], "usage": usage} | {
        **changed
    }


@pytest.mark.parametrize(
    ("usage", "completed", "cached"),
    [
        ({"total_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 7}}, 11, None),
        ({"total_tokens": 13, "completion_tokens_details": {"reasoning_tokens": 3}}, 4, None),
        ({"completion_tokens_details": {"reasoning_tokens": 3}}, 4, None),
        ({"prompt_cache_hit_tokens": 5}, 4, 5),
        ({"prompt_cache_hit_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}}, 4, 0),
    ],
)
def test_usage_is_counted_by_one_rule(
    usage: JsonObject, completed: int, cached: int | None
) -> None:
    """What is thought is part of the completion, what is cached part of the prompt, once."""
    counted = {"prompt_tokens": 9, "completion_tokens": 4, **usage}
    found = chat.reply(completion(usage=counted)).usage
    assert found
    assert (found.prompt_tokens, found.completion_tokens) == (9, completed)
    assert found.cache_read_tokens == cached


@pytest.mark.parametrize(
    ("said", "meant"),
    [("eos", "stop"), ("model_length", "length"), ("max_tokens", "length"), ("stop", "stop")],
)
def test_reasons_to_finish_have_one_name(said: str, meant: str) -> None:
    """Whatever a vendor calls them."""
    assert chat.reply(completion(choice={"finish_reason": said})).finish_reason == meant


@pytest.mark.parametrize("said", ["error", "insufficient_system_resource"])
def test_an_answer_that_was_given_up_is_none(said: str) -> None:
    """It may be asked for again, and what it took is known."""
    with pytest.raises(LLMProviderError) as caught:
        chat.reply(completion(choice={"finish_reason": said}))
    assert caught.value.retryable
    assert caught.value.usage


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 402, "message": "no credits"}, LLMQuotaExceededError),
        ({"code": "502", "message": "down"}, LLMProviderError),
        ({"code": 403, "metadata": {"flagged_input": "x"}}, LLMRefusedError),
        ({"code": "odd"}, LLMBadResponseError),
        ({"code": 7}, LLMBadResponseError),
    ],
)
def test_an_error_inside_a_success_is_what_its_code_says(
    error: JsonObject, expected: type[LLMError]
) -> None:
    """As a gateway sends it whose vendor failed; one that is no status is no answer."""
    with pytest.raises(expected):
        chat.reply({"error": error})
    assert (status_of({"error": error}) is None) == (expected is LLMBadResponseError)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": "invalid-argument", "error": "Argument not supported"}, "invalid-argument"),
        ({"error": "Model not loaded"}, None),
        (
            {"object": "error", "message": {"detail": []}, "type": "invalid_request_error"},
            "invalid_",
        ),
    ],
)
def test_errors_are_read_in_every_shape(body: JsonObject, code: str | None) -> None:
    """A text in place of an object, a code beside it, a message that is none."""
    found = error_for_status(400, {}, body, dumps(body))
    assert type(found) is LLMBadRequestError
    assert (found.code or "").startswith(code or "")
    assert (found.code is None) == (code is None)


@pytest.mark.parametrize("code", ["json_validate_failed", "tool_use_failed"])
def test_what_a_model_wrote_wrong_is_no_fault_of_the_caller(code: str) -> None:
    """Groq checks what its models write; it is asked once more."""
    body = {"error": {"message": "Failed to generate JSON", "code": code}}
    assert type(error_for_status(400, {}, body, "")) is LLMBadResponseError


def test_a_cost_may_have_parts() -> None:
    """Perplexity's total is what is paid."""
    assert reported_cost({"cost": {"request_cost": 0.005, "total_cost": 0.0125}}) == Decimal(
        "0.0125"
    )
    assert reported_cost({"cost": {"request_cost": 0.005}}) is None


def test_arguments_may_be_an_object() -> None:
    """Ollama's older releases do not write them as text."""
    call = {"id": "c1", "function": {"name": "f", "arguments": {"city": "Oslo"}}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    [found] = chat.reply(completion(choice={"message": message})).tool_calls
    assert found.arguments == {"city": "Oslo"}


def fed(*chunks: JsonObject) -> tuple[ChatReader, list[StreamEvent]]:
    """A reader that has been fed, and what it gave."""
    reader = ChatReader()
    pieces = [piece for c in chunks for piece in reader.feed(ServerEvent("", dumps(c).encode()))]
    return reader, pieces


def delta(**said: Any) -> JsonObject:
    """A chunk."""
    return {"model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": None}]}


END = {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USED = {"prompt_tokens": 2, "completion_tokens": 1}


def test_pieces_may_come_in_parts() -> None:
    """Mistral's thinking models send lists of parts, some of them thoughts."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    reader, pieces = fed(
        delta(content=[thought]),
        delta(content=[{"type": "text", "text": "Hi"}]),
        delta(reasoning="So."),
        delta(content=7),
        END,
    )
    assert pieces == [ReasoningDelta("Hm."), TextDelta("Hi"), ReasoningDelta("So.")]
    assert reader.text == "Hi"


def test_calls_may_come_whole_and_without_a_place() -> None:
    """Each is one of its own."""
    first = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    second = {"id": "b", "index": None, "function": {"name": "g", "arguments": {"x": 1}}}
    reader, pieces = fed(delta(tool_calls=[first]), delta(tool_calls=[second]), END)
    assert pieces == [
        ToolCallDelta(0, "{}", id="a", name="f"),
        ToolCallDelta(1, '{"x": 1}', id="b", name="g"),
    ]
    reply = reader.reply()
    assert reply
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        ("f", {}),
        ("g", {"x": 1}),
    ]


def test_usage_may_stand_in_a_place_of_its_own() -> None:
    """Groq's."""
    reader, _ = fed(
        delta(content="Hi"), {**END, "x_groq": {"id": "r"}}, {**END, "x_groq": {"usage": USED}}
    )
    reply = reader.reply()
    assert reply
    assert reply.usage
    assert reply.usage.prompt_tokens == 2


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("Hi", "ann: Hi"),
        (
            [TextPart(text="Hi")],
            [{"type": "text", "text": "ann: "}, {"type": "text", "text": "Hi"}],
        ),
    ],
)
def test_a_speaker_is_named_in_the_text_where_there_is_no_other_place(
    content: Any, named: object
) -> None:
    """Nothing that was said is lost; a message without words names nobody."""
    quirks = Quirks(speakers=False, developers=False)
    message = LLMMessageDTO(role="user", content=content, name="ann")
    assert chat._message(message, quirks) == {"role": "user", "content": named}
    developer = LLMMessageDTO(role="developer", content="Be brief.")
    assert chat._message(developer, quirks)["role"] == "system"
    assert chat._named({"content": None}, "ann", quirks) == {"content": None}

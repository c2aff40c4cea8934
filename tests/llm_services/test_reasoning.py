"""Reasoning goes back to the model with the calls that it led to, and nowhere else."""

import hashlib
import json
import pickle
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMInputError,
    LLMUnsupportedParameterError,
)
from modules.llm_services.providers.capabilities import Refusals
from modules.llm_services.providers.formats import CHAT, RESPONSES
from modules.llm_services.providers.formats.base import Request
from modules.llm_services.public import (
    LLMMessageDTO,
    LLMResponseDTO,
    LLMServicesProvider,
    ReasoningItem,
    ToolCall,
    open_llm_services,
)
from modules.llm_services.types import Call
from tests.contract.recording_vendor import RecordingVendor, recording
from tests.support.ledger import rows

Json = dict[str, Any]
THINKS = "gpt-6-luna"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ASKED = [LLMMessageDTO(role="user", content="Call get_weather and count_ships for Oslo.")]


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


def count_ships(port: str) -> int:
    """How many ships lie in a port."""
    return len(port)


TOOLS = [get_weather, count_ships]


@pytest.fixture(scope="module")
def recording_vendor() -> Iterator[RecordingVendor]:
    """The sandbox, which keeps what arrives."""
    with recording() as vendor:
        yield vendor


@pytest.fixture
def vendor(recording_vendor: RecordingVendor, monkeypatch: pytest.MonkeyPatch) -> RecordingVendor:
    """The recording sandbox in place of OpenAI: it refuses reasoning that is not its own."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox-key")
    monkeypatch.setenv("OPENAI_BASE_URL", recording_vendor.base_url)
    recording_vendor.sent.clear()
    return recording_vendor


@pytest.fixture
async def llm(database_url: str, vendor: RecordingVendor) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


def told(response: LLMResponseDTO) -> list[LLMMessageDTO]:
    """The answer, and a result for each of its calls."""
    results = [
        LLMMessageDTO(role="tool", content="7", tool_call_id=call.id)
        for call in response.tool_calls
    ]
    return [response.as_message(), *results]


def kinds(body: Json) -> list[str]:
    """What the items of an input are."""
    return [item.get("type") or item["role"] for item in body["input"]]


@on_sqlite
async def test_rounds_carry_reasoning(llm: LLMServicesProvider, vendor: RecordingVendor) -> None:
    """What a model thought in one round stands before its calls in the next, sealed as it came."""
    run, _ = await llm.run_tools(ASKED, TOOLS, model=THINKS)
    first, second = (sent.body for sent in vendor.sent)
    assert first["include"] == second["include"] == ["reasoning.encrypted_content"]
    assert first["store"] is False
    assert kinds(second) == [
        "user", "reasoning", "function_call", "function_call",
        "function_call_output", "function_call_output",
    ]  # fmt: skip
    [thought] = run.messages[1].reasoning
    assert second["input"][1] == thought.item
    assert (thought.provider, thought.model, thought.before) == ("openai", THINKS, 1)
    assert run.response.reasoning[0].before == 0


async def test_rows_keep_no_sealed_bytes(llm: LLMServicesProvider) -> None:
    """The ledger has the size and the hash of what only the vendor can read, twice."""
    run, _ = await llm.run_tools(ASKED, TOOLS, model=THINKS)
    [thought] = run.messages[1].reasoning
    sealed = thought.item["encrypted_content"]
    digest = {
        "omitted": True,
        "bytes": len(sealed),
        "sha256": hashlib.sha256(sealed.encode()).hexdigest(),
    }
    first, second = (llm.get_request(key) for key in run.request_ids)
    assert first is not None
    assert second is not None
    assert first.response_raw is not None
    assert first.response_raw["output"][0]["encrypted_content"] == digest
    assert second.messages is not None
    assert second.messages[1]["reasoning"] == [digest]
    assert sealed not in json.dumps(rows(), default=str)
    assert sealed not in repr(run)


@on_sqlite
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_loop_of_one_s_own_carries_it_too(
    llm: LLMServicesProvider, vendor: RecordingVendor, *, streamed: bool
) -> None:
    """`as_message` is all that it takes, of a stream's answer as of any other."""
    if streamed:
        async with llm.stream_response(ASKED, model=THINKS, tools=TOOLS) as stream:
            _ = [event async for event in stream]
        response = stream.response
    else:
        response, _ = await llm.generate_response(ASKED, model=THINKS, tools=TOOLS)
    copied = LLMResponseDTO.model_validate(pickle.loads(pickle.dumps(response)).model_dump())  # noqa: S301 - our own bytes
    assert copied.reasoning == response.reasoning
    more = [*ASKED, *told(response)]
    again, _ = await llm.generate_response(more, model=THINKS, tools=TOOLS)
    assert kinds(vendor.sent[1].body)[:3] == ["user", "reasoning", "function_call"]
    onward = [*more, again.as_message(), LLMMessageDTO(role="user", content="Thanks. And now?")]
    await llm.generate_response(onward, model=THINKS)
    assert kinds(vendor.sent[2].body)[-3:] == ["reasoning", "assistant", "user"]
    assert "include" not in vendor.sent[2].body


@on_sqlite
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gpt-4o", {}),
        ("gpt-5.4", {}),
        (THINKS, {"reasoning_effort": "none"}),
        ("openai:house-model", {}),
    ],
)
async def test_only_models_that_reason_are_asked(
    llm: LLMServicesProvider, vendor: RecordingVendor, model: str, options: Any
) -> None:
    """Others would refuse the whole request."""
    await llm.run_tools(ASKED, TOOLS, model=model, **options)
    assert all("include" not in sent.body for sent in vendor.sent)
    assert all("reasoning" not in kinds(sent.body) for sent in vendor.sent)


async def test_a_model_that_hands_nothing_out_is_asked_once(
    llm: LLMServicesProvider, vendor: RecordingVendor
) -> None:
    """The refused `include` is left out, remembered, and told on the response and the row."""
    model = "openai:gpt-5.1-chat-latest"
    response, request_id = await llm.generate_response(ASKED, model=model, tools=TOOLS)
    assert response.dropped_params == ("include",)
    assert response.reasoning == ()
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.retry_attempt, row.dropped_params) == (2, ["include"])
    await llm.generate_response(ASKED, model=model, tools=TOOLS)
    assert ["include" in sent.body for sent in vendor.sent] == [True, False, False]


@on_sqlite
async def test_reasoning_goes_back_to_its_own_model_only(
    llm: LLMServicesProvider, vendor: RecordingVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model cannot open it, another provider neither, and Chat Completions has no place."""
    response, _ = await llm.generate_response(ASKED, model=THINKS, tools=TOOLS)
    more = [*ASKED, *told(response)]
    await llm.generate_response(more, model="gpt-6-sol")
    await llm.generate_response(more, model="gpt-4o", seed=7)
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", vendor.base_url)
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__API", "responses")
    async with open_llm_services() as other:
        await other.generate_response(more, model=f"house:{THINKS}")
    bodies = [sent.body for sent in vendor.sent[1:]]
    assert len(bodies) == 3
    assert "encrypted_content" not in json.dumps(bodies)


@on_sqlite
async def test_reasoning_that_cannot_be_opened_is_left_out(
    llm: LLMServicesProvider, vendor: RecordingVendor
) -> None:
    """A vendor that cannot open it answers without it; that is told, and of this call only."""
    response, _ = await llm.generate_response(ASKED, model=THINKS, tools=TOOLS)
    answer, *results = told(response)
    [thought] = answer.reasoning
    wrong = {**thought.item, "encrypted_content": "gAAAAA" + "0" * 256}
    for changed in (
        thought.model_copy(update={"item": wrong}),
        thought.model_copy(update={"before": 2}),
    ):
        said = answer.model_copy(update={"reasoning": [changed]})
        vendor.sent.clear()
        again, _ = await llm.generate_response([*ASKED, said, *results], model=THINKS)
        assert (again.dropped_params, again.attempts) == (("reasoning",), 2)
        assert ["reasoning" in kinds(sent.body) for sent in vendor.sent] == [True, False]
    good, _ = await llm.generate_response([*ASKED, answer, *results], model=THINKS)
    assert good.dropped_params == ()


@on_sqlite
@pytest.mark.parametrize(
    ("role", "reasoning", "problem"),
    [
        ("assistant", [{"item": {}}], r"messages\[1\].reasoning must be a list of ReasoningItem"),
        ("assistant", "gAAAA", r"messages\[1\].reasoning must be a list"),
        (
            "user",
            [ReasoningItem(provider="openai", model=THINKS, item={})],
            "only the assistant's reasoning",
        ),
    ],
)
async def test_reasoning_is_checked(
    llm: LLMServicesProvider, vendor: RecordingVendor, role: str, reasoning: Any, problem: str
) -> None:
    """Nothing is sent that no vendor gave."""
    said = LLMMessageDTO(role=role, content="hm", reasoning=reasoning)
    with pytest.raises(LLMInputError, match=problem):
        await llm.generate_response([*ASKED, said])
    assert vendor.sent == []
    assert rows() == []


def test_calls_under_way_together_are_each_told() -> None:
    """Two calls learn of one refusal: both go on; one that is refused the same twice does not."""
    refusals = Refusals()
    calls = [replace(CALL, id=UUID(int=n), parameters={"seed": 1}) for n in range(1_200)]
    refused = LLMBadRequestError("no", code="unsupported_parameter", param="seed")
    for call in calls:
        assert isinstance(refusals.learnt(refused, call), LLMUnsupportedParameterError)
    assert refusals.learnt(refused, calls[-1]) is refused
    assert refusals.accepted(replace(CALL, parameters={"seed": 1})) == ({}, ("seed",))
    assert isinstance(refusals.learnt(refused, calls[0]), LLMUnsupportedParameterError)


# --- the format ---------------------------------------------------------------------------------


def rs(key: str, **changes: Any) -> Json:
    """A reasoning item as the vendor gives it."""
    return {
        "type": "reasoning",
        "id": key,
        "summary": [],
        "encrypted_content": f"x{key}",
        **changes,
    }


def fc(key: str) -> Json:
    """A call of a tool."""
    return {"type": "function_call", "call_id": key, "name": "f", "arguments": "{}", "id": "fc"}


MESSAGE = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "m"}],
}
CALL = Call(
    id=UUID(int=1),
    operation="chat",
    provider="openai",
    model=THINKS,
    requested_model=None,
    messages=(),
    parameters={},
    timeout=1,
    max_retries=0,
)


def back(output: list[Json]) -> list[Json]:
    """What of an answer goes back."""
    reply = RESPONSES.reply({"model": THINKS, "status": "completed", "output": output})
    answer = LLMMessageDTO(
        role="assistant",
        content=reply.text,
        tool_calls=reply.tool_calls,
        reasoning=[
            ReasoningItem(provider="openai", model=THINKS, before=place, item=item)
            for place, item in reply.reasoning
        ]
        + [ReasoningItem(provider="openai", model="gpt-6-sol", item=rs("foreign"))],
    )
    body = RESPONSES.body(
        Request(call=replace(CALL, messages=(answer,)), parameters={"reasoning": True})
    )
    items: list[Json] = body["input"]
    return items


def names(items: list[Json]) -> list[str]:
    """Short names of items."""
    return [item.get("call_id") or item.get("id") or item["role"] for item in items]


def test_each_piece_keeps_its_place() -> None:
    """A piece stands before what it led to, also where a model thinks between its calls."""
    output = [rs("r1"), MESSAGE, rs("r2"), rs("r3"), fc("a"), fc("b"), rs("r4"), fc("c")]
    assert names(back(output)) == ["r1", "assistant", "r2", "r3", "a", "b", "r4", "c"]


def test_what_cannot_go_back_does_not() -> None:
    """Unsealed pieces, ones that led to nothing, and odd ones: none costs a paid answer."""
    odd = [
        rs("r1", encrypted_content=None),
        rs("r2", encrypted_content=""),
        rs("r3", encrypted_content=7),
        rs("r4", id=None),
        rs("r5", summary="odd", status="completed", content=[]),
        {"type": "other"},
        fc("a"),
        rs("r6"),
    ]
    items = back(odd)
    assert names(items) == ["r5", "a"]
    assert items[0] == rs("r5")


def test_chat_completions_have_no_place_for_it() -> None:
    """The field is ignored there."""
    answer = LLMMessageDTO(
        role="assistant",
        content="m",
        tool_calls=[ToolCall(id="a", name="f")],
        reasoning=[ReasoningItem(provider="openai", model=THINKS, item=rs("r1"))],
    )
    request = Request(call=replace(CALL, messages=(answer,)), parameters={"include": ["x"]})
    assert set(CHAT.body(request)) == {"model", "messages"}
    assert "xr1" not in json.dumps(CHAT.body(request))

"""Tools: functions become schemas, calls are checked, and results go back in both formats."""

import json
import pickle
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from pydantic import Field

from modules.llm_services import arguments
from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMInputError,
    LLMTruncatedError,
)
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats import CHAT, FORMATS, RESPONSES
from modules.llm_services.providers.formats.base import Request
from modules.llm_services.providers.verdict import usable
from modules.llm_services.public import (
    LLMMessageDTO,
    LLMServicesProvider,
    TextPart,
    Tool,
    ToolCall,
    open_llm_services,
)
from modules.llm_services.tooling.describing import describe
from modules.llm_services.types import Call
from sandbox import Sandbox
from tests.llm_services.test_openai_provider import a_call
from tests.llm_services.test_tool_schemas import Booking, get_weather, no_hint, spec
from tests.support.ledger import rows


def asking(text: str) -> list[LLMMessageDTO]:
    """A conversation of one message."""
    return [LLMMessageDTO(role="user", content=text)]


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


@pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["responses", "chat"])
async def test_calls_come_with_checked_arguments(
    llm: LLMServicesProvider, vendor: Sandbox, options: Any
) -> None:
    """Several calls come in one answer without text, each with what its arguments mean."""
    question = asking("Please call get_weather and Booking.")
    response, request_id = await llm.generate_response(
        question, model="gpt-4o", tools=[get_weather, Booking], **options
    )
    weather, booking = response.tool_calls
    assert (response.content, response.finish_reason) == ("", "tool_calls")
    assert (weather.name, booking.name) == ("get_weather", "Booking")
    assert (weather.error, booking.error) == (None, None)
    assert isinstance(booking.parsed, Booking)
    assert booking.arguments == booking.parsed.model_dump()
    assert "parsed" not in booking.model_dump()
    assert pickle.loads(pickle.dumps(booking)).arguments == booking.arguments  # noqa: S301
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.operation, row.finish_reason) == ("completed", "chat", "tool_calls")
    assert row.additional_params is not None
    assert row.additional_params["tools"] == ["get_weather", "Booking"]
    assert booking.id in json.dumps(row.response_raw)


@pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["responses", "chat"])
async def test_results_go_back(llm: LLMServicesProvider, options: Any) -> None:
    """The answer's message and one for each result make a conversation that goes on."""
    question = asking("Please call get_weather.")
    first, _ = await llm.generate_response(question, model="gpt-4o", tools=[get_weather], **options)
    [call] = first.tool_calls
    result = LLMMessageDTO(role="tool", content="Fog lies on the fjord.", tool_call_id=call.id)
    response, request_id = await llm.generate_response(
        [*question, first.as_message(), result], model="gpt-4o", tools=[get_weather], **options
    )
    assert "fjord" in response.content
    row = llm.get_request(request_id)
    assert row is not None
    assert row.messages == [
        {"role": "user", "content": "Please call get_weather."},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments}],
        },
        {"role": "tool", "content": "Fog lies on the fjord.", "tool_call_id": call.id},
    ]
    assert row.input_preview == "Fog lies on the fjord."
    assert llm.estimate_cost([*question, first.as_message(), result], model="gpt-4o") > 0


async def test_the_choice_is_the_callers(llm: LLMServicesProvider) -> None:
    """Forced, forbidden, one at a time: as was said."""
    question = asking("Please call get_weather and Booking.")
    tools: list[Tool] = [get_weather, Booking]
    for said, names in (
        ({"tool_choice": "Booking"}, ["Booking"]),
        ({"tool_choice": "Booking", "seed": 1}, ["Booking"]),
        ({"tool_choice": "none"}, []),
        ({"tool_choice": "auto", "parallel_tool_calls": False}, ["get_weather"]),
        ({"tool_choice": "required", "parallel_tool_calls": True}, ["get_weather", "Booking"]),
    ):
        options: Any = said
        response, _ = await llm.generate_response(question, model="gpt-4o", tools=tools, **options)
        assert [call.name for call in response.tool_calls] == names
        row = rows()[-1]
        assert '"Booking"' in str(row["additional_params"]).replace("'", '"')


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tool_choice": "auto"}, "tool_choice is for calls with tools"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls is for calls with tools"),
        ({"tools": [Booking], "tool_choice": "nope"}, "there are Booking"),
        ({"tools": [int]}, "the class int"),
        ({"tools": [no_hint]}, "no type hint"),
    ],
)
async def test_a_bad_offer_is_not_sent(
    llm: LLMServicesProvider, vendor: Sandbox, options: Any, words: str
) -> None:
    """A wrong word about tools is named; nothing is sent, nothing is written."""
    with pytest.raises(LLMInputError, match=words):
        await llm.generate_response(asking("Hello."), **options)
    with pytest.raises(LLMInputError, match="cannot be combined with a response_model"):
        await llm.generate_structured_response(asking("Hello."), Booking, tools=[get_weather])
    assert (rows(), vendor.journal()) == ([], [])


CALL = ToolCall(id="c1", name="get_weather", arguments={"city": "Tromsø"})


def a_conversation(*messages: LLMMessageDTO, **changes: Any) -> Request:
    """A request of these messages."""
    call = a_call()
    fields = {name: getattr(call, name) for name in Call.__dataclass_fields__}
    made = Call(**{**fields, "messages": messages or call.messages, **changes})
    return Request(call=made, parameters={})


SAID = (
    LLMMessageDTO(role="user", content=[TextPart(text="a"), TextPart(text="b")]),
    LLMMessageDTO(role="assistant", content="I look.", tool_calls=[CALL]),
    LLMMessageDTO(role="tool", content=[TextPart(text="fog")], tool_call_id="c1"),
)


def test_calls_and_results_in_each_formats_words() -> None:
    """The same conversation, as the Responses API and as Chat Completions have it."""
    assert RESPONSES.body(a_conversation(*SAID))["input"][1:] == [
        {"role": "assistant", "content": "I look."},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "get_weather",
            "arguments": '{"city":"Tromsø"}',
        },
        {"type": "function_call_output", "call_id": "c1", "output": "fog"},
    ]
    function = {"name": "get_weather", "arguments": '{"city":"Tromsø"}'}
    assert CHAT.body(a_conversation(*SAID))["messages"][1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "fog", "tool_call_id": "c1"},
    ]


def test_offers_in_each_formats_words() -> None:
    """Schemas, a forced tool and words of choice, and nothing at all without tools."""
    told: dict[str, Any] = {"name": "a", "parameters": {"type": "object"}, "strict": False}
    offer = a_conversation(tools=(spec(),), tool_choice="a", parallel_tool_calls=False)
    responses, chat = RESPONSES.body(offer), CHAT.body(offer)
    assert responses["tools"] == [{"type": "function", **told}]
    assert responses["tool_choice"] == {"type": "function", "name": "a"}
    assert chat["tools"] == [{"type": "function", "function": told}]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "a"}}
    assert responses["parallel_tool_calls"] is chat["parallel_tool_calls"] is False
    assert "description" not in told
    plain = RESPONSES.body(a_conversation(tools=(spec(description="d"),)))
    assert plain["tools"][0]["description"] == "d"
    assert "tool_choice" not in plain
    assert "tools" not in CHAT.body(a_conversation())


def chat_answer(*calls: object, finish: str | None = "tool_calls") -> dict[str, Any]:
    """What Chat Completions says when tools are called."""
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    return {"model": "m", "choices": [{"message": message, "finish_reason": finish}]}


def responses_answer(*items: object) -> dict[str, Any]:
    """What the Responses API says when tools are called."""
    return {"model": "m", "status": "completed", "output": list(items)}


def test_odd_calls_are_read() -> None:
    """Missing and repeated ids, empty, broken and foreign arguments: each call is kept."""
    wrong = [
        {"id": "x", "function": {"name": "a", "arguments": ""}},
        {"id": "x", "function": {"name": "a", "arguments": "{"}},
        {"id": "", "function": {"name": "a", "arguments": "[1]"}},
        {"function": {"name": "a"}},
        {"id": "y", "type": "custom", "custom": {"name": "a", "input": "z"}},
    ]
    reply = CHAT.reply(chat_answer(*wrong, finish="stop"))
    assert reply.finish_reason == "tool_calls"
    assert [call.id for call in reply.tool_calls] == ["x", "call_1", "call_2", "call_3"]
    assert [(call.error or "")[:25] for call in reply.tool_calls] == [
        "", "the arguments are not JSO", "the arguments are no JSON", "",
    ]  # fmt: skip
    item = {"type": "function_call", "name": "a", "arguments": '{"b": 1}'}
    odd = {"type": "tool_search_call", "arguments": {"not": "text"}}
    reply = RESPONSES.reply(responses_answer(odd, item, {**item, "id": "fc_1"}))
    assert [call.id for call in reply.tool_calls] == ["call_0", "fc_1"]
    assert reply.tool_calls[0].arguments == {"b": 1}


@pytest.mark.parametrize("name", FORMATS)
def test_a_call_without_a_name_is_no_answer(name: str) -> None:
    """Nobody can call it."""
    bad = {
        "chat": chat_answer({"id": "x", "function": {"arguments": "{}"}}),
        "responses": responses_answer({"type": "function_call", "call_id": "x"}),
    }[name]
    with pytest.raises(LLMBadResponseError, match="name"):
        FORMATS[name].reply(bad)


def a_reply(**changes: Any) -> Reply:
    """A reply that calls a tool."""
    calls = (ToolCall(id="1", name="Booking", arguments={"name": "Ann"}),)
    return Reply(
        **{"text": "", "model": "m", "finish_reason": "tool_calls", "tool_calls": calls, **changes}
    )


def test_arguments_are_checked_against_the_offer() -> None:
    """Unknown tools, misfits and authors' errors are told; specs without a model are believed."""
    tools = describe([Booking, spec(name="raw")])
    called = [
        ToolCall(id="1", name="Booking", arguments={"name": "Ann", "seats": "3"}),
        ToolCall(id="2", name="Booking", arguments={"seats": []}),
        ToolCall(id="3", name="Booking", arguments={"name": "boom"}),
        ToolCall(id="4", name="raw", arguments={"any": 1}),
        ToolCall(id="5", name="nope"),
        ToolCall(id="6", name="raw", error="the arguments are not JSON"),
    ]
    fine, misfit, boom, raw, nope, broken = usable(
        a_reply(tool_calls=tuple(called)), None, tools
    ).tool_calls
    assert fine.parsed == Booking(name="Ann", seats=3)
    assert misfit.error is not None
    assert misfit.error.startswith("the arguments do not fit:\n- name: Field required\n- seats: ")
    assert boom.error == "the arguments do not fit: RuntimeError: odd"
    assert (raw.error, raw.parsed) == (None, None)
    assert nope.error == "there is no tool 'nope'; there are Booking, raw"
    assert broken.error == "the arguments are not JSON"


def test_extra_arguments_are_misfits() -> None:
    """A function is never called with what it does not take."""

    def now() -> str:
        return ""

    [call] = usable(
        a_reply(tool_calls=(ToolCall(id="1", name="now", arguments={"x": 1}),)),
        None,
        describe([now]),
    ).tool_calls
    assert "x: Extra inputs" in (call.error or "")

    def strict(root: Annotated[Booking, Field()]) -> None:
        pass

    [call] = usable(
        a_reply(tool_calls=(ToolCall(id="1", name="strict", arguments={"root": "x"}),)),
        None,
        describe([strict]),
    ).tool_calls
    assert "- root: " in (call.error or "")


def test_half_a_call_and_a_call_of_nothing_are_no_answers() -> None:
    """A call that the cap cut off may be half of what was meant; one nobody offered is none."""
    with pytest.raises(LLMTruncatedError):
        usable(a_reply(finish_reason="length"), None, describe([Booking]))
    with pytest.raises(LLMBadResponseError, match="empty"):
        usable(a_reply(), None)


@pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["responses", "chat"])
async def test_streams_offer_tools_too(llm: LLMServicesProvider, options: Any) -> None:
    """A stream ends with the same checked calls that a plain answer has."""
    question = asking("Please call get_weather and Booking.")
    async with llm.stream_response(
        question, model="gpt-4o", tools=[get_weather, Booking], **options
    ) as stream:
        pieces = [piece async for piece in stream]
    assert {type(piece).__name__ for piece in pieces} == {"ToolCallDelta"}
    weather, booking = stream.response.tool_calls
    assert (weather.name, weather.error) == ("get_weather", None)
    assert isinstance(booking.parsed, Booking)


def said(role: str = "user", content: Any = "hi", **fields: Any) -> LLMMessageDTO:
    """A message."""
    return LLMMessageDTO(role=role, content=content, **fields)


ASKED = said("assistant", "", tool_calls=[CALL])
ANSWERED = said("tool", "fog", tool_call_id="c1")


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        ([said(), ANSWERED], r"messages\[1\].tool_call_id 'c1' answers no call"),
        ([said(), ASKED], r"messages\[1\] calls get_weather \(c1\), and no message"),
        ([said(), ASKED, said()], r"messages\[1\] calls get_weather"),
        ([said(), ASKED, ANSWERED, ANSWERED], "answered already"),
        ([said(), ASKED, ANSWERED, said(), ANSWERED], r"messages\[4\]"),
        ([said(), said("assistant", "", tool_calls=[CALL, CALL])], "two calls have the same id"),
        ([said(tool_calls=[CALL])], "only the assistant calls tools"),
        ([said("assistant", tool_calls="c")], "must be a list of ToolCall"),
        ([said("assistant", tool_calls=[{"id": "c"}])], "must be a ToolCall, not dict"),
        ([said("tool")], "must be the id of the call"),
        ([said("tool", tool_call_id=5)], "must be the id of the call"),
        ([said(tool_call_id="c1")], 'is for messages of the role "tool"'),
    ],
)
def test_a_conversation_that_no_provider_takes_is_refused(conversation: Any, words: str) -> None:
    """Every call is answered once, right behind it, by what says which call it answers."""
    with pytest.raises(LLMInputError, match=words):
        arguments.messages(conversation)


def test_answers_may_come_in_any_order() -> None:
    """Two calls, two results, and the conversation goes on."""
    other = CALL.model_copy(update={"id": "c2"})
    conversation = [
        said(),
        said("assistant", "", tool_calls=[CALL, other]),
        said("tool", "2", tool_call_id="c2"),
        ANSWERED,
        said(),
    ]
    assert arguments.messages(conversation) == tuple(conversation)

"""`run_tools`: rounds of a model and functions, bounded, recorded, and told what went wrong."""

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from modules.llm_services.public import (
    LLMError,
    LLMInputError,
    LLMMessageDTO,
    LLMPricingError,
    LLMProviderError,
    LLMResponseDTO,
    LLMServicesProvider,
    LLMTimeoutError,
    LLMToolRunError,
    ToolCall,
    ToolRun,
    ToolSpec,
    open_llm_services,
)
from modules.llm_services.tooling.calling import MAX_RESULT, run_calls
from modules.llm_services.tooling.describing import describe
from modules.llm_services.tooling.loop import Limits, ToolLoop
from sandbox import Sandbox
from tests.support.ledger import rows


def get_weather(city: str, day: date = date(2026, 11, 22)) -> str:
    """The weather in a city."""
    return f"Fog in {city} on {day:%A}."


async def count_ships(port: str) -> dict[str, Any]:
    """How many ships lie in a port."""
    return {"port": port, "ships": 17}


def asking(text: str) -> list[LLMMessageDTO]:
    """A conversation of one message."""
    return [LLMMessageDTO(role="user", content=text)]


BOTH = asking("Please call get_weather and count_ships for Oslo, then report.")
both_formats = pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["responses", "chat"])


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


@both_formats
async def test_a_run_is_rounds_of_one_conversation(
    llm: LLMServicesProvider, vendor: Sandbox, options: Any
) -> None:
    """Tools asked for together are run and told; each round is a row; the sums are right."""
    user = uuid4()
    run, request_id = await llm.run_tools(
        BOTH, [get_weather, count_ships], user_id=user, model="gpt-4o", feature="port", **options
    )
    assert run.rounds == 2
    assert [result.call.name for result in run.results] == ["get_weather", "count_ships"]
    assert run.results[0].content.startswith("Fog in ")
    assert '"ships":17' in run.results[1].content
    assert run.response.content
    assert run.response.tool_calls == ()
    assert [message.role for message in run.messages] == [
        "user", "assistant", "tool", "tool", "assistant",
    ]  # fmt: skip
    found = [llm.get_request(key) for key in run.request_ids]
    assert run.request_ids[-1] == request_id
    assert len(rows()) == len(vendor.journal()) == 2
    for row in found:
        assert row is not None
        assert (row.status, row.operation, row.user_id) == ("completed", "tools", user)
        assert (row.conversation_id, row.feature) == (run.conversation_id, "port")
        assert row.additional_params is not None
        assert row.additional_params["tools"] == ["get_weather", "count_ships"]
    assert found[1] is not None
    assert found[1].messages is not None
    assert found[1].messages[1]["tool_calls"][0]["name"] == "get_weather"
    assert found[1].messages[2]["tool_call_id"] == run.results[0].call.id
    assert run.cost == pytest.approx(sum(row.cost_estimate or 0 for row in found if row))


async def test_a_run_can_be_continued(llm: LLMServicesProvider) -> None:
    """The messages of a run are a conversation that goes on, under the id that was given."""
    run, _ = await llm.run_tools(
        BOTH, [get_weather, count_ships], model="gpt-4o", conversation_id="c-7"
    )
    more = [*run.messages, *asking("And now get_weather for Bergen.")]
    again, _ = await llm.run_tools(
        more, [get_weather], model="gpt-4o", conversation_id=run.conversation_id
    )
    assert again.conversation_id == "c-7"
    assert again.results[0].call.name == "get_weather"
    assert {row["conversation_id"] for row in rows()} == {"c-7"}


async def test_a_forced_tool_is_forced_once(llm: LLMServicesProvider) -> None:
    """A choice of `required` or a name is for the first round: else no run would ever end."""
    for choice in ("required", "count_ships"):
        run, _ = await llm.run_tools(
            asking("Hello."), [count_ships], model="gpt-4o", tool_choice=choice
        )
        assert run.rounds == 2
    run, _ = await llm.run_tools(BOTH, [get_weather], model="gpt-4o", tool_choice="none")
    assert run.rounds == 1
    run, _ = await llm.run_tools(
        BOTH, [get_weather, count_ships], model="gpt-4o", parallel_tool_calls=False
    )
    assert len(run.results) == 1


async def test_the_model_is_told_what_went_wrong(llm: LLMServicesProvider) -> None:
    """A tool's error is one bounded line without traceback or key, and the run goes on."""

    def get_weather(city: str) -> str:
        raise ConnectionError("no route, key sk-abcdef123456 " + "x" * 9_000)

    run, _ = await llm.run_tools(BOTH, [get_weather], model="gpt-4o")
    [result] = run.results
    assert result.failed
    assert result.content.startswith("Error: ConnectionError: no route, key *** xxx")
    assert len(result.content) < 600
    assert "Traceback" not in result.content
    assert run.response.content


@both_formats
@pytest.mark.parametrize(
    ("fault", "told"),
    [("invalid_json", "the arguments do not fit:\n- "), ("broken_json", "are not JSON")],
)
async def test_arguments_that_do_not_fit_are_told(
    llm: LLMServicesProvider, fault: str, told: str, options: Any
) -> None:
    """A tool is never called with arguments that it does not take: the model hears why."""
    called: list[object] = []

    def get_weather(city: str, days: int) -> str:
        called.append(city)
        return ""

    run, _ = await llm.run_tools(BOTH, [get_weather], model=f"openai:gpt-4o:{fault}", **options)
    assert called == []
    assert run.results[0].failed
    assert told in run.results[0].content
    assert run.results[0].call.error is not None


async def test_a_tool_that_fails_can_end_the_run(llm: LLMServicesProvider) -> None:
    """With `raise` the run ends with the tool's own exception as the cause, and what was so far."""

    def get_weather(city: str) -> str:
        raise ZeroDivisionError("by zero")

    with pytest.raises(LLMToolRunError, match="'get_weather' failed") as caught:
        await llm.run_tools(BOTH, [get_weather], model="gpt-4o", on_tool_error="raise")
    error = caught.value
    assert error.limit == "tool"
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert error.run.results[0].failed
    assert error.request_id == error.run.request_ids[-1]


async def test_rounds_are_bounded(llm: LLMServicesProvider) -> None:
    """The last round's tools are not run, for nobody would report about them."""
    called: list[str] = []

    def get_weather(city: str) -> str:
        called.append(city)
        return ""

    with pytest.raises(LLMToolRunError, match="after 1 rounds") as caught:
        await llm.run_tools(BOTH, [get_weather], model="gpt-4o", max_rounds=1)
    error = caught.value
    assert (error.limit, error.run.rounds, called) == ("rounds", 1, [])
    assert error.run.response.tool_calls
    assert not error.retryable
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert copy.run.response.tool_calls[0].arguments == error.run.response.tool_calls[0].arguments
    assert [row["status"] for row in rows()] == ["completed"]


async def test_money_is_bounded(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """No round is begun once the money is spent; money that cannot be counted is not spent."""
    with pytest.raises(LLMToolRunError, match="USD were spent") as caught:
        await llm.run_tools(BOTH, [get_weather], model="gpt-4o", max_cost=1e-9)
    assert caught.value.limit == "cost"
    assert caught.value.run.cost
    run, _ = await llm.run_tools(BOTH, [get_weather], model="gpt-4o", max_cost=5)
    assert run.rounds == 2
    sent = len(vendor.journal())
    with pytest.raises(LLMPricingError, match="house-model"):
        await llm.run_tools(BOTH, [get_weather], model="openai:house-model", max_cost=5)
    assert len(vendor.journal()) == sent


async def test_time_is_bounded(llm: LLMServicesProvider) -> None:
    """A tool that never ends is stopped with the run, and its result says so."""
    ended: list[str] = []

    async def get_weather(city: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(city)
        return ""

    with pytest.raises(LLMToolRunError, match="no answer within 1 s") as caught:
        await llm.run_tools(BOTH, [get_weather], model="gpt-4o", timeout=1)
    assert caught.value.limit == "time"
    assert "this one was stopped" in caught.value.run.results[0].content
    assert len(ended) == 1


async def test_a_slow_first_round_is_a_timeout(llm: LLMServicesProvider) -> None:
    """Without any answer there is no run to tell of: the round's own error comes out."""
    with pytest.raises(LLMTimeoutError) as caught:
        await llm.run_tools(BOTH, [get_weather], model="openai:gpt-4o:slow=30", timeout=0.2)
    assert caught.value.request_id is not None


async def test_a_failed_round_is_its_own_error(llm: LLMServicesProvider) -> None:
    """What the provider says goes wrong leaves as it does from any other call."""
    with pytest.raises(LLMProviderError):
        await llm.run_tools(BOTH, [get_weather], model="openai:gpt-4o:status=500", max_retries=0)


async def test_a_cancelled_run_stops_its_tools(llm: LLMServicesProvider) -> None:
    """Whoever cancels the run cancels the tools under way."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def get_weather(city: str) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    task = asyncio.create_task(llm.run_tools(BOTH, [get_weather], model="gpt-4o"))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


class Only(BaseModel):
    """A model without a function."""

    word: str


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tools": []}, "tools is empty: give 1 to 128"),
        ({"tools": None}, "tools must be a list"),
        ({"tools": [Only]}, r"tools\[0\] \(Only\) cannot be run"),
        ({"max_rounds": 0}, "max_rounds must be a whole number from 1 to 100"),
        ({"max_cost": 0}, "max_cost must be a number above 0"),
        ({"timeout": -1}, "timeout must be"),
        ({"on_tool_error": "ignore"}, "on_tool_error must be one of tell, raise"),
        ({"tool_choice": "nope"}, "no tool has that name: there are get_weather"),
        ({"max_round": 3}, "unknown keyword parameter 'max_round'"),
        ({"messages": []}, "messages is empty"),
    ],
)
async def test_a_bad_run_is_not_begun(
    llm: LLMServicesProvider, vendor: Sandbox, changes: dict[str, Any], words: str
) -> None:
    """A wrong argument is named; nothing is sent and no row is written."""
    arguments: dict[str, Any] = {"messages": BOTH, "tools": [get_weather], **changes}
    with pytest.raises(LLMInputError, match=words):
        await llm.run_tools(**arguments)
    assert (rows(), vendor.journal()) == ([], [])


def scripted(*answers: LLMResponseDTO | LLMError) -> Any:
    """Asks nobody: each answer in turn."""
    waiting = list(answers)

    async def ask(messages: object, seconds: float) -> tuple[LLMResponseDTO, UUID]:
        answer = waiting.pop(0)
        if isinstance(answer, LLMError):
            raise answer
        return answer, uuid4()

    return ask


def calls(*names: str, cost: float | None = 0.25) -> LLMResponseDTO:
    """An answer that asks for tools."""
    asked = tuple(ToolCall(id=f"c{index}", name=name) for index, name in enumerate(names))
    return LLMResponseDTO(content="", provider="p", model="m", tool_calls=asked, cost_estimate=cost)


def a_loop(*tools: Any, call_timeout: float = 60, **limits: Any) -> ToolLoop:
    """A loop of its own."""
    given: Any = {"max_rounds": 9, "max_cost": None, "timeout": 60, "on_tool_error": "tell"}
    return ToolLoop(
        limits=Limits(call_timeout=call_timeout, **{**given, **limits}),
        tools=describe(tools),
        conversation_id="c",
        messages=(),
    )


def now() -> str:
    """The time."""
    return "12:00"


async def test_rounds_go_on_until_the_model_is_done() -> None:
    """As many rounds as the model wants; unknown prices are left out of the sum."""
    done = LLMResponseDTO(content="done", provider="p", model="m", cost_estimate=0.5)
    run = await a_loop(now).run(
        scripted(calls("now"), calls("now", "nope", cost=None), calls("now"), done)
    )
    assert (run.rounds, run.cost) == (4, 1.0)
    assert [result.content for result in run.results] == [
        "12:00", "12:00", "Error: there is no tool 'nope'", "12:00",
    ]  # fmt: skip
    with pytest.raises(LLMToolRunError, match="is not known"):
        await a_loop(now, max_cost=9.0).run(scripted(calls("now", cost=None)))
    free = LLMResponseDTO(content="done", provider="p", model="m")
    assert (await a_loop(now).run(scripted(free))).cost is None


async def test_a_later_round_that_takes_the_rest_of_the_time() -> None:
    """A round that the run's own deadline ended is the run's limit; any other is its own."""
    late = LLMTimeoutError("late")
    with pytest.raises(LLMToolRunError) as caught:
        await a_loop(now).run(scripted(calls("now"), late))
    assert caught.value.__cause__ is late
    with pytest.raises(LLMTimeoutError):
        await a_loop(now, call_timeout=0.1).run(scripted(calls("now"), late))


class Point(BaseModel):
    """A place on a plane."""

    x: int = 0


RESULTS: list[tuple[Callable[..., Any], str]] = [
    (lambda: "text", "text"),
    (lambda: None, "null"),
    (lambda: Point(x=3), '{"x":3}'),
    (lambda: [Point(), date(2026, 1, 2), {1}], '[{"x":0},"2026-01-02",[1]]'),
    (lambda: float("nan"), "NaN"),
    (lambda: "a\x00\ud800", "a\N{REPLACEMENT CHARACTER}?"),
    (lambda: asyncio.sleep(0, "awaited"), "awaited"),
]


@pytest.mark.parametrize(("function", "told"), RESULTS)
async def test_results_are_told_as_text_or_json(function: Callable[..., Any], told: str) -> None:
    """Text as it is, all else as JSON, in a form that can be sent."""
    spec = ToolSpec(name="f", parameters={"type": "object"}, function=function)
    [(result, cause)] = await run_calls([ToolCall(id="1", name="f")], [spec], 10)
    assert (result.content, result.failed, cause) == (told, False, None)


async def test_a_long_result_is_cut_and_says_so() -> None:
    """The model knows that there was more."""
    spec = ToolSpec(name="f", parameters={"type": "object"}, function=lambda: "x" * 200_000)
    [(result, _)] = await run_calls([ToolCall(id="1", name="f")], [spec], 10)
    assert result.content.endswith(f"[cut here: the first {MAX_RESULT} of 200000 characters]")
    assert len(result.content) < MAX_RESULT + 100


async def _cancels_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (object, "Error: PydanticSerializationError"),
        (lambda: (_ for _ in ()).throw(StopIteration), "Error: "),
        (lambda: 1 / 0, "Error: ZeroDivisionError: division by zero"),
        (lambda extra: extra, "Error: TypeError: "),
        (_cancels_itself, "Error: the tool was cancelled"),
    ],
)
async def test_whatever_a_tool_raises_is_told(function: Callable[..., Any], told: str) -> None:
    """No exception of a tool gets out, and none stops the tools beside it."""
    spec = ToolSpec(name="f", parameters={"type": "object"}, function=function)
    fine = ToolSpec(name="g", parameters={"type": "object"}, function=now)
    pairs = await run_calls(
        [ToolCall(id="1", name="f"), ToolCall(id="2", name="g")], [spec, fine], 10
    )
    assert pairs[0][0].content.startswith(told)
    assert pairs[0][0].failed
    assert pairs[1][0].content == "12:00"


async def test_tools_run_side_by_side_and_off_the_loop() -> None:
    """Two functions that wait for each other both end, each in a thread of its own."""
    barrier = threading.Barrier(2, timeout=20)

    def meet() -> str:
        barrier.wait()
        return str(threading.get_ident())

    [spec] = describe([meet])
    asked = [ToolCall(id=str(index), name="meet") for index in range(2)]
    pairs = await run_calls(asked, [spec], 30)
    names = {result.content for result, _ in pairs}
    assert len(names) == 2
    assert str(threading.get_ident()) not in names


async def test_a_thread_that_does_not_end_is_left_behind() -> None:
    """A function that blocks cannot be stopped, but nobody waits for it."""
    release = threading.Event()

    def block() -> None:
        release.wait(30)

    [spec] = describe([block])
    [(result, _)] = await run_calls([ToolCall(id="1", name="block")], [spec], 0.05)
    release.set()
    assert "this one was stopped" in result.content


async def test_arguments_arrive_as_the_types_that_were_asked_for(llm: LLMServicesProvider) -> None:
    """A date is a date and a model a model, with defaults for what was left out."""
    seen: list[object] = []

    def get_weather(at: Point, day: date, *, unit: str = "C") -> str:
        seen.extend([at, day, unit])
        return "fine"

    run, _ = await llm.run_tools(BOTH, [get_weather], model="gpt-4o")
    assert isinstance(run, ToolRun)
    assert isinstance(seen[0], Point)
    assert isinstance(seen[1], date)
    assert isinstance(seen[2], str)

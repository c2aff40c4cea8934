"""POST /v1/responses through the real SDK: text, streams, structure, tools, search, limits."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import (
    Response,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseOutputMessage,
    ResponseOutputText,
)
from pydantic import BaseModel, Field

import sandbox

from .source_text import VOLCANOES

LESSON = f"Write a lesson for grade 6.\n\n{VOLCANOES}"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


class Question(BaseModel):
    question: str
    options: list[str] = Field(min_length=4, max_length=4)
    correct_index: int = Field(ge=0, le=3)
    explanation: str


class Entry(BaseModel):
    term: str
    definition: str


class Section(BaseModel):
    title: str
    content: str


class Lesson(BaseModel):
    title: str
    learning_objectives: list[str]
    sections: list[Section]
    glossary: list[Entry]
    questions: list[Question]


def _valid(response: Response) -> Response:
    """The SDK builds its types without checking; this checks every field."""
    Response.model_validate(response.model_dump(warnings="error"))
    return response


async def test_text_comes_from_the_source_and_is_counted(client: AsyncOpenAI) -> None:
    """An answer quotes the source's sentences, and its usage adds up."""
    response = _valid(await client.responses.create(model="gpt-6-luna", input=LESSON))
    body = response.output_text.split("\n\n", 1)[1]
    assert body.split(". ")[0] in VOLCANOES
    assert response.output_text.startswith("Volcanoes")
    assert response.status == "completed"
    assert response.id.startswith("resp_sandbox_")
    assert response.metadata == {"sandbox": "true"}
    usage = response.usage
    assert usage is not None
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert 0 < usage.output_tokens_details.reasoning_tokens < usage.output_tokens


async def test_the_same_prompt_gets_the_same_answer(client: AsyncOpenAI) -> None:
    """Nothing is left to chance but ids and times."""
    first, second = [await client.responses.create(model="gpt-5.4", input=LESSON) for _ in range(2)]
    assert first.output_text == second.output_text
    assert first.usage == second.usage
    assert first.id != second.id


async def test_a_named_section_is_what_is_written(client: AsyncOpenAI) -> None:
    """`the section titled X` takes the sentences that belong to X."""
    prompt = f"Write the section titled 'Types of volcanoes' from this source.\n\n{VOLCANOES}"
    response = await client.responses.create(model="gpt-5.4", input=prompt)
    assert "gentle slopes" in response.output_text
    assert "Evacuation" not in response.output_text


async def test_a_topic_without_a_source_is_spoken_about(client: AsyncOpenAI) -> None:
    """Without a source the answer still speaks of what was asked."""
    response = await client.responses.create(model="gpt-5.4", input="Tell me about coral reefs.")
    assert "coral reefs" in response.output_text


async def test_stream_has_the_whole_sequence(client: AsyncOpenAI) -> None:
    """All events in OpenAI's order, numbered without a gap, the deltas making up the text."""
    stream = await client.responses.create(model="gpt-5.4", input=LESSON, stream=True)
    events = [event async for event in stream]
    kinds = list(dict.fromkeys(e.type for e in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert _valid(last.response).output_text == text
    for event in events:
        type(event).model_validate(event.model_dump(warnings="error"))


async def test_the_sdks_own_stream_helper_understands_it(client: AsyncOpenAI) -> None:
    """`responses.stream` with a model gives the parsed lesson at its end."""
    async with client.responses.stream(
        model="gpt-6-luna", input=LESSON, text_format=Lesson
    ) as stream:
        final = await stream.get_final_response()
    assert isinstance(final.output_parsed, Lesson)


async def test_a_lesson_reads_like_one(client: AsyncOpenAI) -> None:
    """A structured lesson: different sections, real definitions, answerable questions."""
    response = await client.responses.parse(
        model="gpt-6-luna", input=LESSON.replace("lesson", "lesson with 5 questions"),
        text_format=Lesson,
    )  # fmt: skip
    lesson = response.output_parsed
    assert lesson is not None
    assert lesson.title == "Volcanoes"
    assert [s.title for s in lesson.sections][1:3] == ["Types of Volcanoes", "Eruptions"]
    assert "gentle slopes" in lesson.sections[1].content
    assert len({e.term for e in lesson.glossary}) == len(lesson.glossary)
    assert all(e.term.lower()[:5] in e.definition.lower() for e in lesson.glossary)
    assert len(lesson.questions) == 5
    assert len({q.question for q in lesson.questions}) == 5
    for question in lesson.questions:
        assert "____" in question.question
        assert question.options[question.correct_index].lower() in question.explanation.lower()
        assert len(set(question.options)) == 4
    assert len(set(lesson.learning_objectives)) == len(lesson.learning_objectives)


async def test_strict_schemas_are_checked_as_openai_does(client: AsyncOpenAI) -> None:
    """A strict schema with an optional or open object is refused with its own code."""
    loose: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(
            model="gpt-6-luna", input="x",
            text={"format": {"type": "json_schema", "name": "L", "schema": loose, "strict": True}},
        )  # fmt: skip
    assert caught.value.code == "invalid_json_schema"
    assert "additionalProperties" in caught.value.message
    response = await client.responses.create(
        model="gpt-6-luna", input="x",
        text={"format": {"type": "json_schema", "name": "L", "schema": loose, "strict": False}},
    )  # fmt: skip
    assert set(json.loads(response.output_text)) == {"a"}


async def test_json_mode_gives_an_object(client: AsyncOpenAI) -> None:
    """`json_object` answers with some object about the source."""
    response = await client.responses.create(
        model="gpt-6-luna", input=LESSON, text={"format": {"type": "json_object"}}
    )
    assert json.loads(response.output_text)["title"] == "Volcanoes"


async def test_a_tool_is_called_when_it_is_named_and_its_result_is_used(
    client: AsyncOpenAI,
) -> None:
    """Naming a tool calls it with fitting arguments; the next answer quotes its result."""
    prompt = "Use get_weather to tell me about the weather in Lisbon."
    first = _valid(await client.responses.create(model="gpt-6-luna", input=prompt, tools=[WEATHER]))
    call = next(i for i in first.output if isinstance(i, ResponseFunctionToolCall))
    assert set(json.loads(call.arguments)) == {"city", "unit"}
    asked: Any = [
        {"role": "user", "content": prompt},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees, sunny"},
    ]
    second = await client.responses.create(model="gpt-6-luna", input=asked, tools=[WEATHER])
    assert "21 degrees, sunny" in second.output_text


async def test_tool_choice_forces_and_forbids(client: AsyncOpenAI) -> None:
    """`none` never calls, `required` always does, a named function is the one called."""
    other: Any = {**WEATHER, "name": "get_time"}

    async def called(choice: Any, prompt: str = "Hello there", **more: Any) -> list[str]:
        response = await client.responses.create(
            model="gpt-6-luna", input=prompt, tools=[WEATHER, other], tool_choice=choice, **more
        )
        return [i.name for i in response.output if isinstance(i, ResponseFunctionToolCall)]

    assert await called("auto") == []
    assert await called("none", "call get_time") == []
    assert await called("required") == ["get_weather"]
    assert await called({"type": "function", "name": "get_time"}) == ["get_time"]
    assert await called("auto", "call get_time and get_weather") == ["get_weather", "get_time"]
    both = "call get_time and get_weather"
    assert await called("auto", both, parallel_tool_calls=False) == ["get_weather"]


async def test_tool_calls_stream(client: AsyncOpenAI) -> None:
    """The arguments come in pieces that make up the whole."""
    stream = await client.responses.create(
        model="gpt-5.4", input="get_weather", tools=[WEATHER], stream=True
    )
    events = [e async for e in stream]
    parts = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    done = next(e for e in events if e.type == "response.function_call_arguments.done")
    assert "".join(parts) == done.arguments


async def test_web_search_cites_what_it_found(client: AsyncOpenAI) -> None:
    """Search items with their sources, citations whose indices hold, and a count of searches."""
    response = _valid(
        await client.responses.create(
            model="gpt-6-luna", input="Search the web for coral bleaching in 2026",
            tools=[{"type": "web_search"}], include=["web_search_call.action.sources"],
        )
    )  # fmt: skip
    searched = next(i for i in response.output if isinstance(i, ResponseFunctionWebSearch))
    assert searched.action.type == "search"
    assert searched.action.query == "coral bleaching in 2026"
    assert searched.action.queries == [searched.action.query]
    assert searched.action.sources
    message = next(i for i in response.output if isinstance(i, ResponseOutputMessage))
    part = message.content[0]
    assert isinstance(part, ResponseOutputText)
    assert len(part.annotations) == 5
    for note in part.annotations:
        assert note.type == "url_citation"
        assert note.url.startswith("https://sandbox.invalid/coral-bleaching-in-2026/")
        assert note.url in part.text[note.start_index : note.end_index]
    extra = response.model_extra or {}
    assert extra["tool_usage"] == {"web_search": {"num_requests": 1}}


async def test_each_listed_query_is_searched(client: AsyncOpenAI) -> None:
    """A list of queries gives a search each, as far as `max_tool_calls` allows."""
    prompt = "Search for each of these:\n- coral reefs\n- kelp forests\n- sea grass"

    async def searched(**more: Any) -> list[str | None]:
        response = await client.responses.create(
            model="gpt-6-luna", input=prompt, tools=[{"type": "web_search"}], **more
        )
        items = [i for i in response.output if isinstance(i, ResponseFunctionWebSearch)]
        return [i.action.query for i in items if i.action.type == "search"]

    assert await searched() == ["coral reefs", "kelp forests", "sea grass"]
    assert await searched(max_tool_calls=1) == ["coral reefs"]


async def test_search_results_fill_a_schema(client: AsyncOpenAI) -> None:
    """Structured search answers carry the found pages' own titles and addresses."""

    class Hit(BaseModel):
        title: str
        url: str
        snippet: str

    class Hits(BaseModel):
        results: list[Hit]

    response = await client.responses.parse(
        model="gpt-6-luna", input="coral reefs", tools=[{"type": "web_search"}], text_format=Hits
    )
    assert response.output_parsed is not None
    hits = response.output_parsed.results
    assert [h.url.split("/")[3] for h in hits] == ["coral-reefs"] * 5
    assert len({h.url for h in hits}) == 5
    assert all("Coral Reefs" in h.title for h in hits)


async def test_the_output_limit_holds(client: AsyncOpenAI) -> None:
    """A short limit cuts the text, says so, and is never exceeded."""
    response = _valid(
        await client.responses.create(model="gpt-6-luna", input=LESSON, max_output_tokens=30)
    )
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 30
    assert response.output_text


async def test_counting_before_asking(client: AsyncOpenAI) -> None:
    """`input_tokens.count` says what the call then uses."""
    counted = await client.responses.input_tokens.count(model="gpt-6-luna", input=LESSON)
    response = await client.responses.create(model="gpt-6-luna", input=LESSON)
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens


async def test_reasoning_models_refuse_sampling(client: AsyncOpenAI) -> None:
    """Temperature is refused while a model reasons, and taken when it does not."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="gpt-6-luna", input="x", temperature=0.2)
    assert caught.value.body == {
        "message": "Unsupported value: 'temperature' does not support 0.2 with this model."
        " Only the default (1) value is supported.",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "unsupported_value",
    }
    quiet: Any = {"effort": "none"}
    calm = await client.responses.create(
        model="gpt-6-luna", input="x", temperature=0.2, reasoning=quiet
    )
    assert calm.usage is not None
    assert calm.usage.output_tokens_details.reasoning_tokens == 0
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="gpt-6.1-sol", input="x", reasoning=quiet)


async def test_unknown_parameters_are_refused(client: AsyncOpenAI) -> None:
    """A parameter of the other API is unknown here."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="gpt-6-luna", input="x", extra_body={"seed": 1})
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "seed")


async def test_every_reply_says_that_it_is_a_sandbox(
    client: AsyncOpenAI, server: sandbox.Sandbox
) -> None:
    """Headers as OpenAI sends them, and the sandbox's own mark."""
    raw = await client.responses.with_raw_response.create(model="gpt-6-luna", input="x")
    assert raw.headers["x-sandbox"] == "true"
    assert (raw.request_id or "").startswith("req_sandbox_")
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) > 0
    with pytest.raises(openai.APIStatusError) as caught:
        await client.responses.create(model="gpt-6-luna:status=503", input="x")
    assert caught.value.response.headers["x-sandbox"] == "true"
    assert [e.outcome for e in server.journal()] == ["completed", "error:server_error"]

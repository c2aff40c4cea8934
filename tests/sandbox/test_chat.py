"""POST /v1/chat/completions through the real SDK."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from .source_text import VOLCANOES

ASKED: Any = [
    {"role": "system", "content": "You are a teacher."},
    {"role": "user", "content": f"Write a lesson.\n\n{VOLCANOES}"},
]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "save_note",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"title": {"type": "string"}},
            "required": ["title"],
            "additionalProperties": False,
        },
    },
}


class Summary(BaseModel):
    title: str
    keywords: list[str]
    difficulty: int


async def test_a_completion_has_all_its_parts(client: AsyncOpenAI) -> None:
    """Text from the source, `stop`, usage with details, the sandbox's fingerprint."""
    done = await client.chat.completions.create(model="gpt-4.1", messages=ASKED)
    ChatCompletion.model_validate(done.model_dump(warnings="error"))
    assert (done.choices[0].message.content or "").startswith("Volcanoes")
    assert done.choices[0].finish_reason == "stop"
    assert done.system_fingerprint == "fp_sandbox"
    assert done.usage is not None
    assert done.usage.prompt_tokens_details is not None
    assert done.usage.prompt_tokens_details.cached_tokens == 0
    assert done.usage.completion_tokens_details is not None
    assert done.usage.completion_tokens_details.reasoning_tokens == 0


async def test_a_stream_gives_role_text_finish_and_usage(client: AsyncOpenAI) -> None:
    """The chunks make up the plain answer; usage comes last, with no choices."""
    plain = await client.chat.completions.create(model="gpt-4.1", messages=ASKED)
    stream = await client.chat.completions.create(
        model="gpt-4.1", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage
    assert all(c.usage is None for c in chunks[:-1])


async def test_usage_is_streamed_only_when_asked_for(client: AsyncOpenAI) -> None:
    """Without `include_usage` no chunk speaks of tokens."""
    stream = await client.chat.completions.create(model="gpt-4.1", messages=ASKED, stream=True)
    assert all([c.usage is None and c.choices async for c in stream])


async def test_structured_answers_parse(client: AsyncOpenAI) -> None:
    """`chat.completions.parse` gives the model's instance, filled from the source."""
    done = await client.chat.completions.parse(
        model="gpt-6-luna", messages=ASKED, response_format=Summary
    )
    summary = done.choices[0].message.parsed
    assert summary is not None
    assert summary.title == "Volcanoes"
    assert "magma" in [k.lower() for k in summary.keywords] or "volcano" in summary.keywords


async def test_json_mode_gives_an_object(client: AsyncOpenAI) -> None:
    """`json_object` answers with an object."""
    done = await client.chat.completions.create(
        model="gpt-4.1", messages=ASKED, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(done.choices[0].message.content or ""), dict)


async def test_a_forced_tool_is_called_and_streams(client: AsyncOpenAI) -> None:
    """A forced function gets arguments that fit, whole and in pieces."""
    force: Any = {"type": "function", "function": {"name": "save_note"}}
    done = await client.chat.completions.create(
        model="gpt-4.1", messages=ASKED, tools=[TOOL], tool_choice=force
    )
    assert done.choices[0].finish_reason == "tool_calls"
    assert done.choices[0].message.content is None
    calls = done.choices[0].message.tool_calls or []
    assert [c.type for c in calls] == ["function"]
    async with client.chat.completions.stream(
        model="gpt-4.1", messages=ASKED, tools=[TOOL], tool_choice=force
    ) as stream:
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert "Volcanoes" in json.loads(call.function.arguments)["title"]


async def test_a_tools_result_is_answered(client: AsyncOpenAI) -> None:
    """After a tool's message the answer is text that uses it."""
    call: Any = {
        "id": "c1",
        "type": "function",
        "function": {"name": "save_note", "arguments": "{}"},
    }
    turns: Any = [
        {"role": "user", "content": "Use save_note now"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "saved as note 17"},
    ]
    done = await client.chat.completions.create(model="gpt-4.1", messages=turns, tools=[TOOL])
    assert "note 17" in (done.choices[0].message.content or "")


async def test_several_choices_differ(client: AsyncOpenAI) -> None:
    """`n` gives that many answers and counts the tokens of all."""
    done = await client.chat.completions.create(model="gpt-4.1", messages=ASKED, n=3)
    assert len({c.message.content for c in done.choices}) == 3
    one = await client.chat.completions.create(model="gpt-4.1", messages=ASKED)
    assert done.usage is not None
    assert one.usage is not None
    assert done.usage.prompt_tokens == one.usage.prompt_tokens
    assert done.usage.completion_tokens > 2 * one.usage.completion_tokens


async def test_limits_cut_the_text(client: AsyncOpenAI) -> None:
    """`max_tokens` on old models and `max_completion_tokens` on all end with `length`."""
    for model, limit in (
        ("gpt-4.1", {"max_tokens": 20}),
        ("gpt-6-luna", {"max_completion_tokens": 20}),
    ):
        done = await client.chat.completions.create(model=model, messages=ASKED, extra_body=limit)
        assert done.choices[0].finish_reason == "length"
        assert done.usage is not None
        assert done.usage.completion_tokens == 20


async def test_reasoning_models_refuse_max_tokens(client: AsyncOpenAI) -> None:
    """The old name of the limit is refused with the hint to the new one."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="gpt-6-luna", messages=ASKED, max_tokens=5)
    assert caught.value.code == "unsupported_parameter"
    assert "max_completion_tokens" in caught.value.message


async def test_efforts_are_checked_by_model(client: AsyncOpenAI) -> None:
    """An effort that a model lacks is refused; one that it has costs reasoning tokens."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(
            model="gpt-6-luna", messages=ASKED, reasoning_effort="minimal"
        )
    assert caught.value.code == "unsupported_value"
    done = await client.chat.completions.create(
        model="gpt-6-luna", messages=ASKED, reasoning_effort="high"
    )
    assert done.usage is not None
    assert done.usage.completion_tokens_details is not None
    assert done.usage.completion_tokens_details.reasoning_tokens == 64


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": "hello"},
        {"messages": [1]},
        {"messages": ASKED, "temperature": 3},
        {"messages": ASKED, "max_tokens": 0},
        {"messages": ASKED, "input": "x"},
        {"messages": ASKED, "tools": "none"},
    ],
    ids=["empty", "text", "numbers", "hot", "no room", "unknown", "tools"],
)
async def test_bad_requests_get_a_400_in_openais_shape(client: AsyncOpenAI, body: Any) -> None:
    """Whatever is wrong with a body, the answer is a 400 with all four fields."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/chat/completions", cast_to=object, body={"model": "gpt-4.1", **body})
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}

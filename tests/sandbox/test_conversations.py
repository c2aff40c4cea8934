"""Calls of tools, their results and the reasoning behind them belong together, as at OpenAI."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

THINKS = "gpt-6-luna"
SEALED: Any = ["reasoning.encrypted_content"]
QUESTION: Any = {"role": "user", "content": "Please get_weather for Oslo."}
CALL: Any = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT: Any = {"type": "function_call_output", "call_id": "c1", "output": "Fog."}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
CHAT_CALL: Any = {
    "role": "assistant",
    "tool_calls": [
        {"id": key, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for key in ("c1", "c2")
    ],
}


def chat_result(key: str) -> Any:
    """The result of a call, as Chat says it."""
    return {"role": "tool", "tool_call_id": key, "content": "Fog."}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([QUESTION, RESULT], "No tool call found for function call output with call_id c1."),
        ([QUESTION, RESULT, CALL], "No tool call found for function call output with call_id c1."),
        ([QUESTION, CALL], "No tool output found for function call c1."),
    ],
)
async def test_responses_pair_calls_and_results(client: AsyncOpenAI, items: Any, told: str) -> None:
    """400 with OpenAI's message for one without the other."""
    with pytest.raises(openai.BadRequestError, match=told) as caught:
        await client.responses.create(model="gpt-4o", input=items)
    assert (caught.value.param, caught.value.code) == ("input", None)


async def test_responses_may_pair_with_what_is_stored(client: AsyncOpenAI) -> None:
    """A result may answer a call of the response that it names."""
    done = await client.responses.create(
        model="gpt-4o", input=[RESULT], previous_response_id="resp_1"
    )
    assert done.output_text


@pytest.mark.parametrize(
    ("messages", "param", "told"),
    [
        ([chat_result("c1")], "messages.[1].role", "must be a response to a preceeding message"),
        (
            [CHAT_CALL, chat_result("c1"), chat_result("c3")],
            "messages.[3].tool_call_id",
            "'tool_call_id' of 'c3' not found in 'tool_calls' of previous message",
        ),
        (
            [CHAT_CALL, chat_result("c1"), chat_result("c1")],
            "messages.[3].tool_call_id",
            "'tool_call_id' of 'c1' not found",
        ),
        (
            [CHAT_CALL, chat_result("c1"), QUESTION],
            "messages.[3].role",
            "did not have response messages: c2",
        ),
        ([CHAT_CALL], "messages.[1].role", "did not have response messages: c1, c2"),
    ],
)
async def test_chat_pairs_calls_and_results(
    client: AsyncOpenAI, messages: Any, param: str, told: str
) -> None:
    """400 with OpenAI's message and the place of the message that is wrong."""
    with pytest.raises(openai.BadRequestError, match=told) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=[QUESTION, *messages])
    assert (caught.value.param, caught.value.code) == (param, None)
    good = [QUESTION, CHAT_CALL, chat_result("c2"), chat_result("c1"), QUESTION]
    await client.chat.completions.create(model="gpt-4o", messages=good)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.1-chat-latest"])
async def test_models_that_hand_out_no_reasoning_say_so(client: AsyncOpenAI, model: str) -> None:
    """The error that OpenAI gives, which has no code."""
    with pytest.raises(openai.BadRequestError, match="Encrypted content is not") as caught:
        await client.responses.create(model=model, input="Hi.", include=SEALED)
    assert (caught.value.param, caught.value.code) == ("include", None)


async def thought(client: AsyncOpenAI, **options: Any) -> list[Any]:
    """The items of an answer with a call, ready to go back."""
    said = await client.responses.create(
        model=THINKS, input=[QUESTION], tools=[TOOL], store=False, **options
    )
    return [item.model_dump(exclude_none=True) for item in said.output]


async def test_sealed_reasoning_comes_back(client: AsyncOpenAI) -> None:
    """Reasoning that the sandbox gave is taken back in its place, and in no other."""
    sealed, call = await thought(client, include=SEALED)
    result: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": "Fog."}
    done = await client.responses.create(model=THINKS, input=[QUESTION, sealed, call, result])
    assert done.output_text
    broken = {**sealed, "encrypted_content": sealed["encrypted_content"][:-1] + "x"}
    for items in ([broken, call, result], [sealed, CALL, RESULT]):
        with pytest.raises(openai.BadRequestError, match="could not be verified") as caught:
            await client.responses.create(model=THINKS, input=[QUESTION, *items])
        assert caught.value.code == "invalid_encrypted_content"
    for items in ([call, result, sealed], [sealed, QUESTION]):
        with pytest.raises(openai.BadRequestError, match="without its required following item"):
            await client.responses.create(model=THINKS, input=items)


async def test_unsealed_reasoning_is_not_known(client: AsyncOpenAI) -> None:
    """Nothing is stored, so an id alone says nothing."""
    plain, call = await thought(client)
    with pytest.raises(openai.NotFoundError, match="Items are not persisted"):
        await client.responses.create(model=THINKS, input=[QUESTION, plain, call])

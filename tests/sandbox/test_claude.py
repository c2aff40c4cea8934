"""The sandbox as Anthropic: what it answers through Anthropic's SDK, and what it refuses."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import APIStatusError, AsyncAnthropic, BadRequestError

from sandbox import Sandbox

ASKED: list[Any] = [{"role": "user", "content": "Rivers carry sand to the sea."}]
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "7"}


@pytest.fixture
async def client(vendor: Sandbox) -> AsyncIterator[AsyncAnthropic]:
    """Anthropic's own client."""
    url = vendor.base_url.removesuffix("/v1")
    async with AsyncAnthropic(api_key="sandbox", base_url=url, max_retries=0) as made:
        yield made


async def ask(client: AsyncAnthropic, **more: Any) -> Any:
    """A message, with whatever a test says of it."""
    said = {"model": "claude-haiku-5-5", "max_tokens": 2_000, "messages": ASKED, **more}
    return await client.messages.create(**said)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"extra_body": {"temperature": 1}}, "temperature: not supported"),
        ({"extra_body": {"store": True}}, "store: Extra inputs"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "role: Input should be"),
        ({"messages": [{"role": "user", "content": ""}]}, "must be non-empty"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "Well"}]}, "prefill"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id`"),
        ({"messages": [*ASKED, {"role": "assistant", "content": [USE]}, *ASKED]}, "without"),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "thinking", "signature": "x"}]},
                    *ASKED,
                ]
            },
            "Invalid `signature`",
        ),
        ({"thinking": {"type": "between_tools"}}, "thinking.type.between_tools"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.type.enabled"),
        ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, "thinking.type.disabled"),
        ({"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}}, "thinking.type.adaptive"),
        (
            {
                "model": "claude-haiku-4-5",
                "thinking": {"type": "enabled", "budget_tokens": 2_000},
            },
            "must be greater",
        ),
        ({"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}, "effort"),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, "forces tool use"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "additionalProperties",
        ),
        (
            {"tools": [{**TOOL, "strict": True}]},
            "additionalProperties",
        ),
        (
            {
                "output_config": {
                    "format": {
                        "type": "json_schema",
                        "schema": {"anyOf": [{"type": "integer", "minimum": 1}]},
                    }
                }
            },
            "'minimum' is not supported",
        ),
    ],
)
async def test_it_refuses_what_anthropic_refuses(
    client: AsyncAnthropic, more: dict[str, Any], said: str
) -> None:
    """In its words, so that an adapter that sends the wrong thing is found here."""
    with pytest.raises(BadRequestError, match=said) as caught:
        await ask(client, **more)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("code=insufficient_quota", 402, "billing_error"),
        ("code=context_length_exceeded", 400, "invalid_request_error"),
        ("status=418", 418, "invalid_request_error"),
        ("status=503", 503, "api_error"),
        ("status=529", 529, "overloaded_error"),
    ],
)
async def test_it_fails_in_anthropics_words(
    client: AsyncAnthropic, fault: str, status: int, kind: str
) -> None:
    """The fault grammar is one for all vendors."""
    with pytest.raises(APIStatusError) as caught:
        await ask(client, model=f"claude-haiku-5-5:{fault}")
    assert (caught.value.status_code, caught.value.type) == (status, kind)


async def test_its_streams_are_anthropics(client: AsyncAnthropic) -> None:
    """The SDK's own reader puts thoughts, text and calls together."""
    said: dict[str, Any] = {
        "model": "claude-opus-5-5",
        "max_tokens": 2_000,
        "messages": [{"role": "user", "content": "Please look at the sea."}],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "tools": [TOOL],
    }
    async with client.messages.stream(**said) as stream:
        whole = await stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "tool_use"]
    assert whole.stop_reason == "tool_use"
    assert whole.usage.output_tokens_details is not None
    plain = await ask(client, stop_sequences=["sand"])
    assert (plain.stop_reason, plain.stop_sequence) == ("stop_sequence", "sand")
    refused = await ask(client, model="claude-haiku-5-5:refuse")
    assert (refused.stop_reason, refused.content) == ("refusal", [])

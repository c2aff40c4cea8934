"""Anthropic's Messages API (``POST /v1/messages``), read in anthropic-python's types of November
2026 (API version 2026-10-21).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.claude_models import DEFAULT_MAX_TOKENS
from modules.llm_services.types import Call, JsonObject, ToolCall, ToolSpec, Usage
from modules.llm_services.types.reasoning import digest_of

from .base import Count, OutputSchema, Request, Wire, WireFormat, corrected, read
from .messages_blocks import system_text, turns
from .tools import forced, tool_calls

_SENT = ("cache_control", "metadata", "service_tier", "speed", "stop_sequences", "thinking")
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_AS_JSON = "Answer with JSON that fits this schema, and with nothing else:\n"


class Block(Wire):
    """A piece of an answer, as far as every kind of it is alike."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: JsonObject | str | None = None


class _Thinking(Wire):
    thinking_tokens: Count | None = None


class _ServerTools(Wire):
    web_search_requests: Count | None = None


class _Usage(Wire):
    input_tokens: Count
    output_tokens: Count
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    output_tokens_details: _Thinking | None = None
    server_tool_use: _ServerTools | None = None
    service_tier: str | None = None
    speed: str | None = None


class _Stop(Wire):
    explanation: str | None = None


class _Message(Wire):
    model: str
    content: list[Block]
    stop_reason: str | None = None
    stop_details: _Stop | None = None
    usage: _Usage | None = None


def body(request: Request) -> JsonObject:
    """The request's JSON."""
    given = request.parameters
    wire: JsonObject = {
        "model": request.call.model,
        "max_tokens": given.get("max_tokens", DEFAULT_MAX_TOKENS),
        "messages": corrected(turns(request), request.correction),
        **_tools(request.call),
    }
    if system := _system(request):
        wire["system"] = system
    if output := _output(given, request.schema):
        wire["output_config"] = output
    wire.update((name, given[name]) for name in _SENT if name in given)
    return wire


def _system(request: Request) -> str:
    """A schema that the API's own structured output cannot say is said in words."""
    said, schema = system_text(request.call.messages), request.schema
    if schema is None or schema.strict:
        return said
    return f"{said}\n\n{_AS_JSON}{json.dumps(schema.schema)}".strip()


def _output(given: Mapping[str, Any], schema: OutputSchema | None) -> JsonObject:
    said = {"effort": given["effort"]} if "effort" in given else {}
    if schema is None or not schema.strict:
        return said
    return {**said, "format": {"type": "json_schema", "schema": schema.schema}}


def _tools(call: Call) -> JsonObject:
    if not call.tools:
        return {}
    said: JsonObject = {"tools": [_tool(spec) for spec in call.tools]}
    choice = _choice(call)
    return {**said, "tool_choice": choice} if choice else said


def _tool(spec: ToolSpec) -> JsonObject:
    said: JsonObject = {"name": spec.name, "input_schema": spec.parameters}
    if spec.description:
        said["description"] = spec.description
    return {**said, "strict": True} if spec.strict else said


def _choice(call: Call) -> JsonObject:
    named = forced(call)
    if named:
        said: JsonObject = {"type": "tool", "name": named}
    elif call.tool_choice or call.parallel_tool_calls is not None:
        said = {"type": _CHOICES[call.tool_choice or "auto"]}
    else:
        return {}
    if call.parallel_tool_calls is None or said["type"] == "none":
        return said
    return {**said, "disable_parallel_tool_use": not call.parallel_tool_calls}


def reply(value: JsonObject) -> Reply:
    """The answer in our words."""
    message = read(_Message, value)
    text = "".join(block.text for block in message.content if block.text)
    reason = message.stop_reason
    stopped = message.stop_details.explanation if message.stop_details else None
    return Reply(
        text=text or (stopped or "" if reason == "refusal" else ""),
        model=message.model,
        finish_reason=_FINISH.get(reason, reason) if reason else None,
        usage=_usage(message.usage),
        usage_details=value.get("usage"),
        service_tier=_tier(message.usage),
        raw={**value, "content": [_kept(block) for block in value["content"]]},
        tool_calls=_tool_calls(message.content),
        reasoning=_thoughts(value["content"]),
    )


def _tool_calls(content: Sequence[Block]) -> tuple[ToolCall, ...]:
    called = [block for block in content if block.type == "tool_use"]
    return tool_calls((block.id, block.name or "", _arguments(block)) for block in called)


def _arguments(block: Block) -> str | None:
    return block.input if isinstance(block.input, str) else json.dumps(block.input or {})


def _thoughts(content: Sequence[JsonObject]) -> tuple[tuple[int, JsonObject], ...]:
    """Thoughts, each with its place: 0 for the text, n for the n-th call of a tool. The last ones
    lead to nothing, and need not go back.
    """
    found: list[tuple[int, JsonObject]] = []
    waiting: list[JsonObject] = []
    calls = 0
    for block in content:
        if block["type"] in _THOUGHTS:
            waiting.append(block)
        elif block["type"] in {"text", "tool_use"}:
            calls += block["type"] == "tool_use"
            place = calls if block["type"] == "tool_use" else 0
            found += [(place, thought) for thought in waiting]
            waiting = []
    return tuple(found)


def _usage(usage: _Usage | None) -> Usage | None:
    """Anthropic counts what was read from the cache, and written to it, beside the input."""
    if usage is None:
        return None
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    thinking = usage.output_tokens_details
    return Usage(
        prompt_tokens=usage.input_tokens + (cached or 0) + (written or 0),
        completion_tokens=usage.output_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=thinking.thinking_tokens if thinking else None,
        web_searches=usage.server_tool_use.web_search_requests if usage.server_tool_use else None,
    )


def _tier(usage: _Usage | None) -> str | None:
    """What was charged: a fast answer has a price of its own."""
    if usage is None:
        return None
    return "fast" if usage.speed == "fast" else usage.service_tier


def _kept(block: JsonObject) -> JsonObject:
    """A block for the row, without the text, which is kept once, and without what is sealed."""
    if block["type"] in _THOUGHTS:
        return {"type": block["type"], "sealed": digest_of(block)}
    return {name: value for name, value in block.items() if name != "text"}


MESSAGES = WireFormat(path="/v1/messages", body=body, reply=reply)

"""OpenAI's Responses API (``POST /responses``), read in openai-python's types of November 2026."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMBadResponseError,
    LLMProviderError,
    LLMRateLimitError,
)
from modules.llm_services.providers.base import Reply
from modules.llm_services.redaction import without_secrets
from modules.llm_services.types import (
    AudioPart,
    Call,
    ContentPart,
    ImagePart,
    JsonObject,
    LLMMessageDTO,
    MessageRole,
    TextPart,
    ToolCall,
    Usage,
)

from .base import Count, Request, Wire, WireFormat, corrected, read
from .media import address, filename
from .reasoning import carried, sealed_items, unsealed
from .reported import reported_cost
from .tools import arguments_text, choice, forced, function, is_plain, tool_calls

_NAMES = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "service_tier": "service_tier",
    "prompt_cache_key": "prompt_cache_key",
    "metadata": "metadata",
    "include": "include",
}
_MESSAGE_LIMIT = 500
_ECHOED = ("instructions", "tools", "text", "metadata", "input", "prompt")
_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


class _Part(Wire):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Item(Wire):
    type: str
    content: list[_Part] | None = None


class _FunctionCall(Wire):
    name: str
    call_id: str | None = None
    id: str | None = None
    arguments: str | None = None


class _InputDetails(Wire):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _OutputDetails(Wire):
    reasoning_tokens: Count | None = None


class _Usage(Wire):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Error(Wire):
    code: str | None = None
    message: str | None = None


class _Incomplete(Wire):
    reason: str | None = None


class _Response(Wire):
    model: str
    output: list[_Item]
    status: str | None = None
    usage: _Usage | None = None
    error: _Error | None = None
    incomplete_details: _Incomplete | None = None
    service_tier: str | None = None


def body(request: Request) -> JsonObject:
    """The request's JSON. Nothing is stored at the provider unless it is asked to."""
    given = request.parameters
    wire: JsonObject = {
        "model": request.call.model,
        "input": corrected(_input(request), request.correction),
        "store": False,
        **_tools(request.call),
    }
    wire.update((_NAMES[name], value) for name, value in given.items() if name in _NAMES)
    if "reasoning_effort" in given:
        wire["reasoning"] = {"effort": given["reasoning_effort"]}
    text = _text(request)
    return {**wire, "text": text} if text else wire


def _tools(call: Call) -> JsonObject:
    if not call.tools:
        return {}
    said = {"tools": [{"type": "function", **function(spec)} for spec in call.tools]}
    name = forced(call)
    named: JsonObject = {"type": "function", "name": name}
    return {**said, **choice(call), **({"tool_choice": named} if name else {})}


def _input(request: Request) -> list[JsonObject]:
    said = request.call.messages
    items = [item for one in said for item in _items(one, carried(one, request))]
    told = request.told_schema
    return [{"role": "system", "content": told}, *items] if told else items


def _items(
    message: LLMMessageDTO, thoughts: Mapping[int, Sequence[JsonObject]]
) -> Iterator[JsonObject]:
    """A message, calls of tools and results of tools are items of their own."""
    if message.role == MessageRole.TOOL:
        yield {
            "type": "function_call_output",
            "call_id": message.tool_call_id,
            "output": message.text,
        }
        return
    yield from thoughts.get(0, ())
    if message.text or not message.tool_calls:
        yield {"role": str(message.role), "content": _content(message)}
    for number, call in enumerate(message.tool_calls, 1):
        yield from thoughts.get(number, ())
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": arguments_text(call),
        }


def _content(message: LLMMessageDTO) -> str | list[JsonObject]:
    """The Responses API knows no names of speakers; a speaker's name is said in the text."""
    if is_plain(message):
        return f"{message.name}: {message.text}" if message.name else message.text
    said = [_part(part) for part in message.parts]
    return [{"type": "input_text", "text": f"{message.name}:"}, *said] if message.name else said


def _part(part: ContentPart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": address(part), "detail": part.detail}
    if isinstance(part, AudioPart):
        raise LLMBadRequestError("the Responses API takes no sound: use Chat Completions")
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "filename": filename(part), "file_data": address(part)}


def _text(request: Request) -> JsonObject:
    text: JsonObject = {}
    if "verbosity" in request.parameters:
        text["verbosity"] = request.parameters["verbosity"]
    schema = request.schema
    if schema is not None and not schema.enforced:
        text["format"] = {"type": "json_object"}
    elif schema is not None:
        text["format"] = {
            "type": "json_schema",
            "name": schema.name,
            "schema": schema.schema,
            "strict": schema.strict,
        }
    return text


def reply(value: JsonObject) -> Reply:
    """The answer in our words. A failed run is an error although its HTTP status was a success."""
    response = read(_Response, value)
    usage = _usage(response.usage, reported_cost(value.get("usage")))
    if response.error is not None or response.status == "failed":
        raise _failure(response.error or _Error(), usage)
    if response.status in {"in_progress", "queued", "cancelled"}:
        raise LLMBadResponseError(f"the answer's status is {response.status!r}", usage=usage)
    said = [item for item in response.output if item.type == "message"]
    parts = [part for item in said for part in item.content or ()]
    refusal = "".join(part.refusal for part in parts if part.refusal)
    calls = _tool_calls(value["output"])
    return Reply(
        text=refusal or "".join(part.text for part in parts if part.text),
        model=response.model,
        finish_reason="refusal" if refusal else _finish_reason(response, calls),
        usage=usage,
        usage_details=value.get("usage"),
        service_tier=response.service_tier,
        raw=_raw(value),
        tool_calls=calls,
        reasoning=sealed_items(value["output"]),
    )


def _tool_calls(output: Iterable[JsonObject]) -> tuple[ToolCall, ...]:
    items = [read(_FunctionCall, item) for item in output if item["type"] == "function_call"]
    return tool_calls((item.call_id or item.id, item.name, item.arguments) for item in items)


def _finish_reason(response: _Response, calls: tuple[ToolCall, ...]) -> str:
    if response.status != "incomplete":
        return "tool_calls" if calls else "stop"
    details = response.incomplete_details
    reason = (details.reason if details else None) or "incomplete"
    return _FINISH.get(reason, reason)


def _failure(error: _Error, usage: Usage | None) -> LLMProviderError | LLMRateLimitError:
    said = without_secrets(error.message or "")[:_MESSAGE_LIMIT]
    message = said or "the provider reports a failure without a message"
    if error.code == "rate_limit_exceeded":
        return LLMRateLimitError(message, code=error.code, usage=usage)
    return LLMProviderError(message, code=error.code, usage=usage, retryable=error.code in _PASSING)


_PASSING = frozenset({None, "server_error", "vector_store_timeout"})


def _usage(usage: _Usage | None, cost: Decimal | None) -> Usage | None:
    if usage is None:
        return None
    inside, outside = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        cache_read_tokens=inside.cached_tokens if inside else None,
        cache_write_tokens=inside.cache_write_tokens if inside else None,
        reasoning_tokens=outside.reasoning_tokens if outside else None,
        reported_cost=cost,
    )


def _raw(value: JsonObject) -> JsonObject:
    """The reply without what the row holds already: our own request, and the text."""
    kept = {key: item for key, item in value.items() if key not in _ECHOED}
    kept["output"] = [_without_text(unsealed(item)) for item in value["output"]]
    return kept


def _without_text(item: Any) -> Any:
    if not isinstance(item.get("content"), list):
        return item
    parts = [{k: v for k, v in part.items() if k != "text"} for part in item["content"]]
    return {**item, "content": parts}


RESPONSES = WireFormat(path="/responses", body=body, reply=reply, least_tokens=16)

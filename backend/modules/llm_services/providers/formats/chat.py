"""OpenAI's Chat Completions (``POST /chat/completions``), which most other vendors speak, too."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from modules.llm_services.exceptions import LLMBadResponseError, LLMProviderError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.failures import error_for_status, status_of
from modules.llm_services.providers.quirks import Quirks
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

from .base import Count, OutputSchema, Request, Wire, WireFormat, corrected, read
from .media import address, encoded, filename
from .reported import reported_cost
from .tools import arguments_text, choice, forced, function, is_plain, tool_calls

_NAMES = {
    "max_tokens": "max_completion_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop",
    "seed": "seed",
    "logit_bias": "logit_bias",
    "reasoning_effort": "reasoning_effort",
    "verbosity": "verbosity",
    "service_tier": "service_tier",
    "prompt_cache_key": "prompt_cache_key",
    "metadata": "metadata",
}
_FINISH = {"eos": "stop", "model_length": "length", "max_tokens": "length"}  # Together, Mistral
_FAILED = frozenset({"error", "insufficient_system_resource"})  # OpenRouter, DeepSeek
ONLY_CHAT = frozenset({"frequency_penalty", "presence_penalty", "stop", "seed", "logit_bias"})


class _Part(Wire):
    text: str | None = None


class _Function(Wire):
    name: str
    arguments: str | JsonObject | None = None  # an object: Ollama's older releases

    @property
    def text(self) -> str | None:
        """The arguments as JSON text."""
        given = self.arguments
        return json.dumps(given) if isinstance(given, dict) else given


class _ToolCall(Wire):
    id: str | None = None
    function: _Function | None = None


class _Message(Wire):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Wire):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(Wire):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None


class _CompletionDetails(Wire):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None


class _Usage(Wire):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None  # DeepSeek
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Completion(Wire):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None
    service_tier: str | None = None


def body(request: Request) -> JsonObject:
    """The request's JSON."""
    wire: JsonObject = {
        "model": request.call.model,
        "messages": corrected(_messages(request), request.correction),
        **_tools(request.call),
    }
    given, words = request.parameters, request.quirks.names
    wire.update(
        (words.get(name, _NAMES[name]), value) for name, value in given.items() if name in _NAMES
    )
    if request.schema is not None:
        wire["response_format"] = _response_format(request.schema)
    return wire


def _response_format(schema: OutputSchema) -> JsonObject:
    if not schema.enforced:
        return {"type": "json_object"}
    said = {"name": schema.name, "schema": schema.schema, "strict": schema.strict}
    return {"type": "json_schema", "json_schema": said}


def _messages(request: Request) -> list[JsonObject]:
    said = [_message(message, request.quirks) for message in request.call.messages]
    told = request.told_schema
    return [{"role": "system", "content": told}, *said] if told else said


def _tools(call: Call) -> JsonObject:
    if not call.tools:
        return {}
    said = {"tools": [{"type": "function", "function": function(spec)} for spec in call.tools]}
    name = forced(call)
    named: JsonObject = {"type": "function", "function": {"name": name}}
    return {**said, **choice(call), **({"tool_choice": named} if name else {})}


def _message(message: LLMMessageDTO, quirks: Quirks) -> JsonObject:
    if message.role == MessageRole.TOOL:
        return {"role": "tool", "content": message.text, "tool_call_id": message.tool_call_id}
    role = str(message.role)
    if role == MessageRole.DEVELOPER and not quirks.developers:
        role = str(MessageRole.SYSTEM)
    plain: JsonObject = {"role": role, "content": _content(message)}
    if message.tool_calls:
        plain["content"] = message.text or None
        plain["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call)},
            }
            for call in message.tool_calls
        ]
    return _named(plain, message.name, quirks) if message.name else plain


def _named(plain: JsonObject, name: str, quirks: Quirks) -> JsonObject:
    """The name of who speaks, in the text where there is no other place for it."""
    content = plain["content"]
    if quirks.speakers or content is None:
        return {**plain, "name": name} if quirks.speakers else plain
    said = f"{name}: "
    named = said + content if isinstance(content, str) else [_part(TextPart(text=said)), *content]
    return {**plain, "content": named}


def _content(message: LLMMessageDTO) -> str | list[JsonObject]:
    if is_plain(message):
        return message.text
    return [_part(part) for part in message.parts]


def _part(part: ContentPart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        detail = "high" if part.detail == "original" else part.detail
        return {"type": "image_url", "image_url": {"url": address(part), "detail": detail}}
    if isinstance(part, AudioPart):
        form = "wav" if part.media_type == "audio/wav" else "mp3"
        return {"type": "input_audio", "input_audio": {"data": encoded(part), "format": form}}
    return {"type": "file", "file": {"filename": filename(part), "file_data": address(part)}}


def reply(value: JsonObject) -> Reply:
    """The first choice in our words. A failure may come as a success: OpenRouter sends it so."""
    status = status_of(value) if value.get("error") and not value.get("choices") else None
    if status is not None:
        raise error_for_status(status, {}, value, "", maybe_billed=True)
    completion = read(_Completion, value)
    usage = _usage(completion.usage, reported_cost(value.get("usage")))
    if not completion.choices:
        raise LLMBadResponseError("the provider's answer has no choices", usage=usage)
    first = completion.choices[0]
    if first.finish_reason in _FAILED:
        raise LLMProviderError("the provider gave up on the answer", usage=usage, retryable=True)
    said = first.message
    refusal, calls = said.refusal, _tool_calls(said.tool_calls or ())
    return Reply(
        text=refusal or _text(said.content),
        model=completion.model,
        finish_reason="refusal" if refusal else _finish_reason(first, calls),
        usage=usage,
        usage_details=value.get("usage"),
        service_tier=completion.service_tier,
        raw=_raw(value),
        tool_calls=calls,
    )


def _finish_reason(first: _Choice, calls: tuple[ToolCall, ...]) -> str | None:
    """Some vendors say that they stopped when they call tools."""
    reason = _FINISH.get(first.finish_reason or "", first.finish_reason)
    return "tool_calls" if calls and reason in {"stop", None} else reason


def _tool_calls(calls: Iterable[_ToolCall]) -> tuple[ToolCall, ...]:
    functions = [(call.id, call.function) for call in calls]
    return tool_calls((key, f.name, f.text) for key, f in functions if f is not None)


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content if part.text)
    return content or ""


def _usage(usage: _Usage | None, cost: Decimal | None) -> Usage | None:
    if usage is None:
        return None
    inside, outside = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = inside.cached_tokens if inside else None
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens + _reasoned_apart(usage),
        cache_read_tokens=usage.prompt_cache_hit_tokens if cached is None else cached,
        cache_write_tokens=inside.cache_write_tokens if inside else None,
        reasoning_tokens=outside.reasoning_tokens if outside else None,
        audio_input_tokens=inside.audio_tokens if inside else None,
        audio_output_tokens=outside.audio_tokens if outside else None,
        reported_cost=cost,
    )


def _reasoned_apart(usage: _Usage) -> int:
    """Reasoning tokens that are not among the completion's: xAI's total tells that its are not
    (github.com/UKGovernmentBEIS/inspect_ai/issues/5528).
    """
    details = usage.completion_tokens_details
    reasoned = (details.reasoning_tokens if details else None) or 0
    apart = usage.prompt_tokens + usage.completion_tokens + reasoned
    return reasoned if usage.total_tokens == apart else 0


def _raw(value: JsonObject) -> JsonObject:
    """The reply without the text, which the row holds already."""
    return {**value, "choices": [_without_text(choice) for choice in value["choices"]]}


def _without_text(choice: Any) -> Any:
    message = {key: item for key, item in choice["message"].items() if key != "content"}
    return {**choice, "message": message}


CHAT = WireFormat(
    path="/chat/completions",
    body=body,
    reply=reply,
    only=ONLY_CHAT,
    fetches_documents=False,
)

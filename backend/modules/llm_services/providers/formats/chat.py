"""OpenAI's Chat Completions (``POST /chat/completions``), which most other vendors speak, too."""

from typing import Any

from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.providers.base import Reply
from modules.llm_services.types import JsonObject, LLMMessageDTO, Usage

from .base import Count, Request, Wire, WireFormat, corrected, read

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
ONLY_CHAT = frozenset({"frequency_penalty", "presence_penalty", "stop", "seed", "logit_bias"})


class _Part(Wire):
    text: str | None = None


class _Message(Wire):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(Wire):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(Wire):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _CompletionDetails(Wire):
    reasoning_tokens: Count | None = None


class _Usage(Wire):
    prompt_tokens: Count
    completion_tokens: Count
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
        "messages": corrected([_message(m) for m in request.call.messages], request.correction),
    }
    wire.update((_NAMES[name], value) for name, value in request.parameters.items())
    if request.schema is not None:
        schema = request.schema
        wire["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": schema.name,
                "schema": schema.schema,
                "strict": schema.strict,
            },
        }
    return wire


def _message(message: LLMMessageDTO) -> JsonObject:
    plain: JsonObject = {"role": str(message.role), "content": message.content}
    return {**plain, "name": message.name} if message.name else plain


def reply(value: JsonObject) -> Reply:
    """The first choice in our words."""
    completion = read(_Completion, value)
    usage = _usage(completion.usage)
    if not completion.choices:
        raise LLMBadResponseError("the provider's answer has no choices", usage=usage)
    choice = completion.choices[0]
    refusal = choice.message.refusal
    return Reply(
        text=refusal or _text(choice.message.content),
        model=completion.model,
        finish_reason="refusal" if refusal else choice.finish_reason,
        usage=usage,
        usage_details=value.get("usage"),
        service_tier=completion.service_tier,
        raw=_raw(value),
    )


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content if part.text)
    return content or ""


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    inside, outside = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cache_read_tokens=inside.cached_tokens if inside else None,
        cache_write_tokens=inside.cache_write_tokens if inside else None,
        reasoning_tokens=outside.reasoning_tokens if outside else None,
    )


def _raw(value: JsonObject) -> JsonObject:
    """The reply without the text, which the row holds already."""
    return {**value, "choices": [_without_text(choice) for choice in value["choices"]]}


def _without_text(choice: Any) -> Any:
    message = {key: item for key, item in choice["message"].items() if key != "content"}
    return {**choice, "message": message}


CHAT = WireFormat(path="/chat/completions", body=body, reply=reply, only=ONLY_CHAT)

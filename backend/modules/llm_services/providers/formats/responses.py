"""OpenAI's Responses API (``POST /responses``), read in openai-python's types of November 2026."""

from typing import Any

from modules.llm_services.exceptions import LLMBadResponseError, LLMProviderError, LLMRateLimitError
from modules.llm_services.providers.base import Reply
from modules.llm_services.redaction import without_secrets
from modules.llm_services.types import JsonObject, LLMMessageDTO, Usage

from .base import Count, Request, Wire, WireFormat, corrected, read

_NAMES = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "service_tier": "service_tier",
    "prompt_cache_key": "prompt_cache_key",
    "metadata": "metadata",
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
        "input": corrected([_message(m) for m in request.call.messages], request.correction),
        "store": False,
    }
    wire.update((_NAMES[name], value) for name, value in given.items() if name in _NAMES)
    if "reasoning_effort" in given:
        wire["reasoning"] = {"effort": given["reasoning_effort"]}
    text = _text(request)
    return {**wire, "text": text} if text else wire


def _message(message: LLMMessageDTO) -> JsonObject:
    """The Responses API knows no names of speakers; a speaker's name is said in the text."""
    content = f"{message.name}: {message.content}" if message.name else message.content
    return {"role": str(message.role), "content": content}


def _text(request: Request) -> JsonObject:
    text: JsonObject = {}
    if "verbosity" in request.parameters:
        text["verbosity"] = request.parameters["verbosity"]
    if request.schema is not None:
        schema = request.schema
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
    usage = _usage(response.usage)
    if response.error is not None or response.status == "failed":
        raise _failure(response.error or _Error(), usage)
    if response.status in {"in_progress", "queued", "cancelled"}:
        raise LLMBadResponseError(f"the answer's status is {response.status!r}", usage=usage)
    said = [item for item in response.output if item.type == "message"]
    parts = [part for item in said for part in item.content or ()]
    refusal = "".join(part.refusal for part in parts if part.refusal)
    return Reply(
        text=refusal or "".join(part.text for part in parts if part.text),
        model=response.model,
        finish_reason="refusal" if refusal else _finish_reason(response),
        usage=usage,
        usage_details=value.get("usage"),
        service_tier=response.service_tier,
        raw=_raw(value),
    )


def _finish_reason(response: _Response) -> str:
    if response.status != "incomplete":
        return "stop"
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


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    inside, outside = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        cache_read_tokens=inside.cached_tokens if inside else None,
        cache_write_tokens=inside.cache_write_tokens if inside else None,
        reasoning_tokens=outside.reasoning_tokens if outside else None,
    )


def _raw(value: JsonObject) -> JsonObject:
    """The reply without what the row holds already: our own request, and the text."""
    kept = {key: item for key, item in value.items() if key not in _ECHOED}
    kept["output"] = [_without_text(item) for item in value["output"]]
    return kept


def _without_text(item: Any) -> Any:
    if not isinstance(item.get("content"), list):
        return item
    parts = [{k: v for k, v in part.items() if k != "text"} for part in item["content"]]
    return {**item, "content": parts}


RESPONSES = WireFormat(path="/responses", body=body, reply=reply)

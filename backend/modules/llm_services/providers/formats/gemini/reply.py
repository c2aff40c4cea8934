"""An answer of ``generateContent`` in our words."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from modules.llm_services.exceptions import LLMBadRequestError, LLMBadResponseError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats.base import WireFormat, read
from modules.llm_services.types import JsonObject, ToolCall

from .body import body, parts_of
from .thoughts import signatures
from .wire import Candidate, GenerateContentResponse, Part, usage_of

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}
_FILTERED = frozenset(
    {
        "BLOCKLIST",
        "ESCALATION",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "LANGUAGE",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "PUP_LIMITED_DISABLED",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
_REFUSED_REQUEST = "MISSING_THOUGHT_SIGNATURE"
_FILTER = "content_filter"
_LONGEST_KEPT = 2_000


def reply(value: JsonObject) -> Reply:
    """The answer; one that a filter kept back is a refusal, one that holds nothing is none.

    Raises `LLMBadResponseError` for an answer that went wrong at the vendor.
    """
    answer = read(GenerateContentResponse, value)
    candidate = _candidate(answer)
    parts = [part for part in candidate.content.parts if not part.thought]
    calls = _tool_calls(parts)
    return Reply(
        text="".join(part.text for part in parts),
        model=answer.model_version,
        finish_reason=_finish_reason(candidate, answer, calls),
        usage=usage_of(answer.usage_metadata),
        usage_details=value.get("usageMetadata"),
        provider_request_id=answer.response_id,
        raw=without_content(value),
        tool_calls=calls,
        reasoning=signatures(parts_of(value)),
    )


def _candidate(answer: GenerateContentResponse) -> Candidate:
    """The answer proper; to a prompt that was blocked there is none."""
    if answer.candidates:
        return answer.candidates[0]
    if answer.prompt_feedback.block_reason:
        return Candidate(finish_reason="SAFETY")
    raise LLMBadResponseError(
        "the provider's answer has no candidates", usage=usage_of(answer.usage_metadata)
    )


def _finish_reason(
    candidate: Candidate, answer: GenerateContentResponse, calls: Sequence[ToolCall]
) -> str | None:
    reason = candidate.finish_reason
    if reason in _FILTERED:
        return _FILTER
    if reason is None or reason in _FINISH:
        return "tool_calls" if calls and reason == "STOP" else _FINISH.get(reason or "")
    kind = LLMBadRequestError if reason == _REFUSED_REQUEST else LLMBadResponseError
    raise kind(
        f"the provider ended its answer with {reason[:80]}",
        code=reason[:80],
        usage=usage_of(answer.usage_metadata),
        partial_text="".join(part.text for part in candidate.content.parts) or None,
    )


def _tool_calls(parts: Sequence[Part]) -> tuple[ToolCall, ...]:
    asked = [part.function_call for part in parts if part.function_call]
    calls: dict[str, ToolCall] = {}
    for call in asked:
        key = call.id if call.id and call.id not in calls else new_call_id()
        calls[key] = ToolCall(id=key, name=call.name, arguments=call.args or {})
    return tuple(calls.values())


def new_call_id() -> str:
    """Gemini 2 gives its calls no ids; those of several rounds must differ."""
    return f"call_{uuid4().hex[:24]}"


def without_content(value: JsonObject) -> JsonObject:
    """The answer for the row, without what that holds already, and without megabytes."""
    candidates = [_bounded(_stripped(one)) for one in value.get("candidates") or ()]
    return {**value, "candidates": candidates} if candidates else dict(value)


def _stripped(candidate: JsonObject) -> JsonObject:
    content = candidate.get("content")
    if not isinstance(content, Mapping):
        return candidate
    parts = [_without_bytes(part) for part in content.get("parts") or ()]
    return {**candidate, "content": {**content, "parts": parts}}


def _without_bytes(part: JsonObject) -> JsonObject:
    kept = {name: item for name, item in part.items() if name != "text"}
    if isinstance(kept.get("thoughtSignature"), str):
        kept["thoughtSignature"] = _digest(kept["thoughtSignature"])
    if isinstance(kept.get("inlineData"), Mapping):
        blob = kept["inlineData"]
        kept["inlineData"] = {**blob, "data": _digest(str(blob.get("data", "")))}
    return kept


def _digest(text: str) -> JsonObject:
    data = text.encode("utf-8", "replace")
    return {"omitted": True, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _bounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    return value[:_LONGEST_KEPT] if isinstance(value, str) else value


GENERATE = WireFormat(path="generateContent", body=body, reply=reply)

"""A call as the body of ``generateContent``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from mimetypes import guess_type
from typing import Any
from urllib.parse import urlsplit

from modules.llm_services.providers.formats.base import Request, corrections
from modules.llm_services.providers.formats.media import encoded
from modules.llm_services.types import (
    Call,
    ContentPart,
    ImagePart,
    JsonObject,
    LLMMessageDTO,
    MediaPart,
    MessageRole,
    TextPart,
)

from .thoughts import signed

_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_SYSTEM = frozenset({MessageRole.SYSTEM, MessageRole.DEVELOPER})
TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
"""Our words for a service tier in Google's; ``auto`` is to name none."""
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_DETAILS = {"low": "LOW", "high": "HIGH", "original": "ULTRA_HIGH"}
_SAME_TYPE = {"audio/mpeg": "audio/mp3"}

_BY_BUDGET = re.compile(r"gemini-2\.")
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192}
_MOST = 24_576
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_HIGHEST = "XHIGH"
_ALWAYS_THINKS = re.compile(r"gemini-2\.5-pro|gemini-(?![12]\.)")


def body(request: Request) -> JsonObject:
    """The request's JSON. Nothing is stored at the provider unless it is asked to."""
    call = request.call
    wire: JsonObject = {"contents": _contents(request), "store": False, **_tools(call)}
    system = [{"text": message.text} for message in call.messages if message.role in _SYSTEM]
    if system:
        wire["systemInstruction"] = {"parts": system}
    if tier := TIERS.get(request.parameters.get("service_tier", "")):
        wire["serviceTier"] = tier
    config = _config(request)
    return {**wire, "generationConfig": config} if config else wire


def _config(request: Request) -> JsonObject:
    given = request.parameters
    config: JsonObject = {_NAMES[name]: given[name] for name in given if name in _NAMES}
    if stop := given.get("stop"):
        config["stopSequences"] = [stop] if isinstance(stop, str) else list(stop)
    if effort := given.get("reasoning_effort"):
        config["thinkingConfig"] = _thinking(request.call.model, effort)
    if request.schema is not None:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = _schema(request.schema.schema)
    return config


def always_thinks(model: str) -> bool:
    """Whether a model cannot be told not to think."""
    return _ALWAYS_THINKS.match(model) is not None


def _thinking(model: str, effort: str) -> JsonObject:
    """Gemini 2 takes a budget in tokens, later models a level; the lowest budgets are those of
    Google's own table for OpenAI's efforts, and of what 2.5 Flash-Lite takes.
    """
    if _BY_BUDGET.match(model):
        return {"thinkingBudget": _BUDGETS.get(effort, _MOST)}
    return {"thinkingLevel": _LEVELS.get(effort, _HIGHEST)}


def _schema(schema: Any) -> Any:
    """A copy without ``const``, which Google's subset of JSON Schema says as an ``enum`` of one."""
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: _schema(value) for name, value in schema.items() if name != "const"}
    return {**copy, "enum": [schema["const"]]} if "const" in schema else copy


def _tools(call: Call) -> JsonObject:
    if not call.tools:
        return {}
    declared = [
        {
            "name": spec.name,
            **({"description": spec.description} if spec.description else {}),
            "parametersJsonSchema": spec.parameters,
        }
        for spec in call.tools
    ]
    said: JsonObject = {"tools": [{"functionDeclarations": declared}]}
    if call.tool_choice is None:
        return said
    calling: JsonObject = {"mode": _MODES.get(call.tool_choice, "ANY")}
    if call.tool_choice not in _MODES:
        calling["allowedFunctionNames"] = [call.tool_choice]
    return {**said, "toolConfig": {"functionCallingConfig": calling}}


def _contents(request: Request) -> list[JsonObject]:
    """The conversation. Results of tools that were called together go back together."""
    call = request.call
    names = {one.id: one.name for message in call.messages for one in message.tool_calls}
    said = [message for message in call.messages if message.role not in _SYSTEM]
    contents: list[JsonObject] = []
    for is_result, group in groupby(said, lambda message: message.role == MessageRole.TOOL):
        if is_result:
            contents.append({"role": "user", "parts": [_result(one, names) for one in group]})
        else:
            contents += (_content(call, message) for message in group)
    return contents + [
        _turn("model" if one["role"] == "assistant" else "user", one["content"])
        for one in corrections(request.correction)
    ]


def _turn(role: str, text: str) -> JsonObject:
    return {"role": role, "parts": [{"text": text}]}


def _content(call: Call, message: LLMMessageDTO) -> JsonObject:
    if message.role == MessageRole.ASSISTANT:
        return {"role": "model", "parts": list(_answer(message, signed(call, message)))}
    said = [_part(part) for part in message.parts]
    return {"role": "user", "parts": _named(message, said)}


def _named(message: LLMMessageDTO, said: list[JsonObject]) -> list[JsonObject]:
    """Gemini knows no names of speakers; a speaker's name is said in the text."""
    return [{"text": f"{message.name}:"}, *said] if message.name else said


def _answer(message: LLMMessageDTO, signatures: Mapping[int, str]) -> Iterator[JsonObject]:
    """What the model said and asked to have called, each with the signature that it had."""
    if message.text or not message.tool_calls:
        yield _with_signature({"text": message.text}, signatures.get(0))
    for number, call in enumerate(message.tool_calls, 1):
        asked = {"id": call.id, "name": call.name, "args": call.arguments}
        yield _with_signature({"functionCall": asked}, signatures.get(number))


def _with_signature(part: JsonObject, signature: str | None) -> JsonObject:
    return part if signature is None else {**part, "thoughtSignature": signature}


def _result(message: LLMMessageDTO, names: Mapping[str, str]) -> JsonObject:
    key = message.tool_call_id or ""
    said = {"id": key, "name": names[key], "response": {"output": message.text}}
    return {"functionResponse": said}


def _part(part: ContentPart) -> JsonObject:
    if isinstance(part, TextPart):
        return {"text": part.text}
    said = _media(part)
    level = _DETAILS.get(part.detail) if isinstance(part, ImagePart) else None
    return {**said, "mediaResolution": {"level": f"MEDIA_RESOLUTION_{level}"}} if level else said


def _media(part: MediaPart) -> JsonObject:
    if part.url is None:
        return inline(part)
    kind = part.media_type or guess_type(urlsplit(part.url).path)[0]
    return {"fileData": {"fileUri": part.url, **({"mimeType": kind} if kind else {})}}


def inline(part: MediaPart) -> JsonObject:
    """Bytes in a part of their own."""
    kind = part.media_type or ""
    return {"inlineData": {"mimeType": _SAME_TYPE.get(kind, kind), "data": encoded(part)}}


def parts_of(value: Mapping[str, Any]) -> Sequence[JsonObject]:
    """The parts of the first candidate of an answer whose shape was checked."""
    candidates = value.get("candidates") or [{}]
    content = candidates[0].get("content") or {}
    return content.get("parts") or ()

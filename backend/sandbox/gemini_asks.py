"""A `generateContent` request, read into an `Ask`; what Google refuses is refused in its words."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator

from sandbox.asks import Ask, SearchAsk, Tool, Turn
from sandbox.tokens import REASONING
from sandbox.wire import ApiError, Json, dumps
from sandbox.words import listed

_KNOWN = listed("""model verb call contents systemInstruction generationConfig tools toolConfig
    safetySettings cachedContent serviceTier store labels""")
_CONFIG = listed("""temperature topP topK candidateCount maxOutputTokens stopSequences seed
    presencePenalty frequencyPenalty responseMimeType responseSchema responseJsonSchema
    responseModalities thinkingConfig imageConfig mediaResolution responseLogprobs logprobs""")
_FOREIGN = "skip_thought_signature_validator"
_UNSIGNED = re.compile(r"gemini-[12]\.")
_SECRET = b"the sandbox's own"
_SEARCHES = 3


def read_ask(body: Json) -> Ask:
    """The question; raises `ApiError` for what Google refuses."""
    config = body.get("generationConfig") or {}
    _check_known(body, _KNOWN, "")
    _check_known(config, _CONFIG, "generation_config")
    if not body.get("contents"):
        raise ApiError(400, "* GenerateContentRequest.contents: contents is not specified")
    tools = [tool for given in body.get("tools") or [] for tool in _functions(given)]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames") or ()
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    is_json = config.get("responseMimeType") == "application/json"
    return Ask(
        model=str(body["model"]),
        turns=tuple(_turns(body)),
        schema=schema,
        json_object=is_json and schema is None,
        tools=tuple(tools),
        forced=tuple(allowed),
        must_call=mode == "ANY",
        may_call=mode != "NONE",
        search=_search(body),
        limit=config.get("maxOutputTokens"),
        effort=_effort(str(body["model"]), config.get("thinkingConfig") or {}),
        extra_prompt=" ".join(dumps(p) for p in (body.get("tools"), schema) if p),
    )


def _check_known(given: Json, known: frozenset[str], where: str) -> None:
    for name in given:
        if name not in known:
            place = f" at '{where}'" if where else ""
            raise ApiError(
                400,
                f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.',
                param=where or name,
            )


def _effort(model: str, thinking: Json) -> str:
    level, budget = str(thinking.get("thinkingLevel", "")).lower(), thinking.get("thinkingBudget")
    if level and (budget is not None or level not in REASONING or _UNSIGNED.match(model)):
        raise ApiError(400, "Thinking level is not supported for this model.")
    return "none" if budget == 0 else level or "low"


def _functions(given: Json) -> Iterator[Tool]:
    for one in given.get("functionDeclarations") or []:
        schema = one.get("parametersJsonSchema") or one.get("parameters")
        yield Tool(name=str(one["name"]), parameters=schema or {"type": "object"})


def _search(body: Json) -> SearchAsk | None:
    searches = any("googleSearch" in given for given in body.get("tools") or [])
    return SearchAsk(most=_SEARCHES) if searches else None


def _turns(body: Json) -> Iterator[Turn]:
    for part in (body.get("systemInstruction") or {}).get("parts") or ():
        yield Turn(role="system", text=str(part["text"]))
    waiting: list[str] = []
    for content in body["contents"]:
        parts = content["parts"]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        _check_pairs(waiting, [str(one["name"]) for one in results])
        calls = [part for part in parts if "functionCall" in part]
        _check_signed(str(body["model"]), calls)
        waiting = [str(part["functionCall"]["name"]) for part in calls]
        yield from (Turn(role="tool", text=str(one["response"]["output"])) for one in results)
        if not results:
            role = {"user": "user", "model": "assistant"}[content["role"]]
            yield Turn(role=role, text=" ".join(_said(parts)))


def _said(parts: Iterable[Json]) -> Iterator[str]:
    for part in parts:
        call = part.get("functionCall")
        yield f"{call['name']} {dumps(call.get('args'))}" if call else str(part.get("text") or "")


def _check_pairs(calls: list[str], results: list[str]) -> None:
    if calls != results:
        raise ApiError(
            400,
            "Please ensure that the number of function response parts is equal to the number of"
            " function call parts of the function call turn.",
        )


def _check_signed(model: str, calls: list[Json]) -> None:
    """From Gemini 3 on the first of several calls has to bring its signature."""
    if not calls or _UNSIGNED.match(model):
        return
    call = calls[0]["functionCall"]
    given = calls[0].get("thoughtSignature")
    if not given:
        raise ApiError(400, "Function call is missing a thought_signature in functionCall parts.")
    if given not in {_FOREIGN, signature(model, str(call["name"]))}:
        raise ApiError(400, "Thought signature is not valid")


def signature(model: str, what: str) -> str:
    """The signature of a part."""
    return base64.b64encode(
        hmac.digest(_SECRET, f"{model}|{what}".encode(), hashlib.sha256)
    ).decode()


def is_unsigned(model: str) -> bool:
    """Whether a model is from before signatures."""
    return _UNSIGNED.match(model) is not None

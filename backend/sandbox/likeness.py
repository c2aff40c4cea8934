"""How other vendors' Chat Completions differ from OpenAI's: `like=NAME` behind the model's name.

What a vendor refuses is refused in its words; what it says differently comes out differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.wire import ApiError, Json, text_of

THOUGHT_APART = 7
"""Reasoning tokens that `like=xai` reports beside the completion's."""
COST = 0.0125
"""What an answer of `like=perplexity` costs in USD."""


def _openai_error(error: ApiError) -> Json:
    return error.body()


def _flat_error(error: ApiError) -> Json:
    """vLLM's."""
    kind = "BadRequestError" if error.status == 400 else error.kind  # noqa: PLR2004 - an HTTP status
    said = {"message": error.message, "type": kind, "param": None}
    return {"object": "error", **said, "code": error.code or error.status}


def _mistral_error(error: ApiError) -> Json:
    message: object = error.message
    if error.status == 422:  # noqa: PLR2004 - an HTTP status
        where = ["body", error.param]
        message = {"detail": [{"type": "extra_forbidden", "loc": where, "msg": error.message}]}
    return {"object": "error", "message": message, "type": error.kind, "code": error.code}


def _numbered_error(error: ApiError) -> Json:
    """llama.cpp's and OpenRouter's: the code is the HTTP status."""
    kind = {"context_length_exceeded": "exceed_context_size_error"}.get(error.code or "")
    named = error.code if error.code in {"insufficient_quota", "content_policy_violation"} else None
    told = {"message": error.message, "type": kind or named or error.kind}
    return {"error": {**told, "code": error.status}}


def _bare_error(error: ApiError) -> Json:
    """xAI's and LM Studio's: `error` is a text, and the code stands beside it."""
    return {"code": error.code or "Client specified an invalid argument", "error": error.message}


def _nameless_error(error: ApiError) -> Json:
    """DeepSeek's: no parameter is named."""
    told = {"message": error.message, "type": error.kind, "param": None}
    return {"error": {**told, "code": error.code or error.kind}}


def _same(usage: Json) -> Json:
    return usage


def _plain(usage: Json) -> Json:
    return {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def _hits(usage: Json) -> Json:
    hit = usage["prompt_tokens_details"]["cached_tokens"]
    missed = usage["prompt_tokens"] - hit
    cached = {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": missed}
    return {**_plain(usage), **cached}


def _apart(usage: Json) -> Json:
    details = {**usage["completion_tokens_details"], "reasoning_tokens": THOUGHT_APART}
    total = usage["total_tokens"] + THOUGHT_APART
    return {**usage, "total_tokens": total, "completion_tokens_details": details}


def _priced(usage: Json) -> Json:
    return {**_plain(usage), "cost": {"request_cost": 0.01, "total_cost": COST}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """One vendor's way; the default is OpenAI's.

    `refuses` are fields of a request, refused with `status`; `words` its names for OpenAI's
    fields. `usage_place` says where in a stream the usage stands: in a chunk of its own if asked
    for, with the end, in every chunk, or in Groq's own place.
    """

    refuses: frozenset[str] = frozenset()
    status: int = 400
    words: Mapping[str, str] = field(default_factory=dict)
    schemas: bool = True
    developers: bool = True
    speakers: bool = True
    error: Callable[[ApiError], Json] = _openai_error
    usage: Callable[[Json], Json] = _same
    usage_place: Literal["asked", "end", "every", "x_groq"] = "asked"
    done: bool = True
    objects: bool = False
    """Arguments of tools come as an object, not as JSON text."""
    stop: str = "stop"

    def read(self, body: Json) -> Json:
        """A request in OpenAI's words; raises `ApiError` for what the vendor refuses."""
        for name in sorted(self.refuses & body.keys()):
            raise ApiError(self.status, f"{name} is not permitted", param=name)
        self._check_messages(body)
        body = body if self.schemas else _as_told(body)
        return {self.words.get(name, name): value for name, value in body.items()}

    def _check_messages(self, body: Json) -> None:
        for index, message in enumerate(body.get("messages") or ()):
            if message.get("role") == "developer" and not self.developers:
                raise ApiError(400, f"messages[{index}].role: unknown variant `developer`")
            if "name" in message and not self.speakers:
                raise ApiError(400, f"messages[{index}]: property 'name' is unsupported")

    def told(self, whole: Json) -> Json:
        """A completion as the vendor writes it."""
        said = {**whole, "choices": [self._choice(choice) for choice in whole["choices"]]}
        return {**said, "usage": self.usage(whole["usage"])} if "usage" in whole else said

    def whole(self, told: Json) -> Json:
        """A completion that does not come as a stream: arguments may be objects there."""
        for choice in told["choices"] if self.objects else ():
            for call in choice["message"].get("tool_calls") or ():
                call["function"]["arguments"] = _object(call["function"]["arguments"])
        return told

    def _choice(self, choice: Json) -> Json:
        finish = self.stop if choice["finish_reason"] == "stop" else choice["finish_reason"]
        return {**choice, "finish_reason": finish}


def _as_told(body: Json) -> Json:
    """A model that is not held to a schema obeys one that its messages hold."""
    kind = (body.get("response_format") or {}).get("type")
    if kind == "json_schema":
        raise ApiError(400, "This response_format type is unavailable now")
    if kind != "json_object":
        return body
    told = text_of(body["messages"][0].get("content"))
    if "json" not in told.lower():
        raise ApiError(400, "Prompt must contain the word 'json' in some form")
    schema = json.loads(told[told.index("{") :])
    named = {"name": "told", "schema": schema}
    return {**body, "response_format": {"type": "json_schema", "json_schema": named}}


def _object(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


_LOCAL = frozenset({"max_completion_tokens"})
_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
_OPENAI = Likeness()
LIKENESSES: Mapping[str, Likeness] = {
    "ollama": Likeness(refuses=_LOCAL, developers=False, usage=_plain, objects=True),
    "vllm": Likeness(developers=False, error=_flat_error, usage=_plain),
    "llama_cpp": Likeness(developers=False, error=_numbered_error, usage=_plain),
    "lm_studio": Likeness(developers=False, error=_bare_error, usage=_plain),
    "openrouter": Likeness(error=_numbered_error),
    "groq": Likeness(refuses=frozenset({"logit_bias"}), speakers=False, usage_place="x_groq"),
    "mistral": Likeness(
        refuses=_LOCAL | {"seed", "logit_bias", "stream_options", "verbosity", "service_tier"},
        status=422,
        words={"random_seed": "seed"},
        developers=False,
        speakers=False,
        error=_mistral_error,
        usage=_plain,
        usage_place="end",
    ),
    "deepseek": Likeness(schemas=False, developers=False, error=_nameless_error, usage=_hits),
    "xai": Likeness(refuses=_PENALTIES, error=_bare_error, usage=_apart, usage_place="end"),
    "together": Likeness(developers=False, usage=_plain, usage_place="end", stop="eos"),
    "fireworks": Likeness(developers=False, usage=_plain, usage_place="end"),
    "cerebras": Likeness(refuses=_PENALTIES | {"logit_bias", "service_tier"}),
    "perplexity": Likeness(
        refuses=_LOCAL | {"seed", "logit_bias", "stream_options", "tools"},
        developers=False,
        speakers=False,
        usage=_priced,
        usage_place="every",
        done=False,
    ),
    "house": Likeness(schemas=False, error=_nameless_error, usage=_plain),
}
"""By the word behind `like=`; `house` is nobody's, and knows no schemas."""


def likeness(name: str) -> Likeness:
    """The ways of a vendor; OpenAI's without a name."""
    return LIKENESSES[name] if name else _OPENAI

"""Keyword parameters: a closed set, each with its check."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import (
    CacheScope,
    FallbackReason,
    PayloadMode,
    ReasoningEffort,
    ServiceTier,
    Verbosity,
)

from .basics import (
    MAX_COUNT,
    Check,
    check_json,
    guarded,
    items,
    kind,
    label,
    number,
    one_of,
    plain_number,
    sendable_text,
    shown,
    text,
    text_of,
    whole,
)
from .cache import cache
from .tools import tool_choice, tools, yes_or_no

MAX_CONTEXT_BYTES = 8_192
_LONGEST_TIMEOUT = 86_400
_MOST_TOKENS = 10_000
_MOST_FALLBACKS = 8
_MOST_REASONS = 20
_TOKEN_ID = re.compile(r"[0-9]{1,10}")


def _stop(name: str, value: Any) -> str | list[str]:
    words = (value,) if isinstance(value, str) else items(name, value, 4, "texts")
    said = [sendable_text(name, word) for word in words]
    if not all(said):
        raise LLMInputError(f"{name} must hold texts that are not empty")
    return said[0] if isinstance(value, str) else said


def _logit_bias(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping) or len(value) > _MOST_TOKENS:
        raise LLMInputError(
            f"{name} must map at most {_MOST_TOKENS} token ids to whole numbers, not {kind(value)}"
        )
    for token in value:
        if not _TOKEN_ID.fullmatch(text_of(token)):
            raise LLMInputError(f"{name} must map token ids to whole numbers, not {shown(token)}")
    return {str(token): _bias(f"{name}[{token}]", weight) for token, weight in value.items()}


def _bias(name: str, value: Any) -> int:
    """A whole number, as OpenAI's document wants it; 5.0 is one."""
    said = plain_number(value)
    is_whole = isinstance(said, float) and said.is_integer()
    checked: int = whole(-100, 100)(name, int(said) if said is not None and is_whole else value)
    return checked


def _metadata(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 16:  # noqa: PLR2004
        raise LLMInputError(f"{name} must be a mapping of at most 16 texts")
    return {
        text(64)(f"{name}: a key", key): sendable_text(f"{name}[{shown(key)}]", word, 512)
        for key, word in value.items()
    }


def _context(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise LLMInputError(f"{name} must be a mapping, not {kind(value)}")
    said = dict(value)
    check_json(name, said, MAX_CONTEXT_BYTES)
    return deepcopy(said)  # what the caller changes afterwards is no part of this call


def _fallback(name: str, value: Any) -> tuple[str, ...]:
    words = items(name, value, _MOST_FALLBACKS, "models")
    return tuple(label(150)(f"{name}[{index}]", word) for index, word in enumerate(words))


def _reasons(name: str, value: Any) -> frozenset[str]:
    known = one_of(FallbackReason)
    given = list(value) if isinstance(value, set | frozenset) else value
    words = enumerate(items(name, given, _MOST_REASONS, "reasons"))
    return frozenset(known(f"{name}[{index}]", word) for index, word in words)


temperature = number(0, 2)
max_tokens = whole(1, MAX_COUNT)
timeout = number(0, _LONGEST_TIMEOUT, above=True)

OPTIONS: Mapping[str, Check] = {
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "stop": _stop,
    "seed": whole(-(2**63), 2**63 - 1),
    "logit_bias": _logit_bias,
    "reasoning_effort": one_of(ReasoningEffort),
    "verbosity": one_of(Verbosity),
    "service_tier": one_of(ServiceTier),
    "prompt_cache_key": label(64),
    "metadata": _metadata,
    "tools": tools,
    "tool_choice": tool_choice,
    "parallel_tool_calls": yes_or_no,
    "timeout": timeout,
    "max_retries": whole(0, 20),
    "cache": cache,
    "cache_scope": one_of(CacheScope),
    "feature": label(64),
    "tenant": label(64),
    "conversation_id": label(64),
    "context": _context,
    "payload_mode": one_of(PayloadMode),
    "idempotency_key": label(200),
    "fallback": _fallback,
    "fallback_on": _reasons,
}
"""The check of each keyword parameter in `GenerationOptions`, in its order."""


COMMON_OPTIONS: Mapping[str, Check] = {
    name: OPTIONS[name]
    for name in (
        *("timeout", "max_retries"),
        *("feature", "tenant", "conversation_id", "context", "payload_mode"),
        "idempotency_key",
    )
}
"""The keyword parameters that every kind of call takes."""

FALLBACK_OPTIONS: Mapping[str, Check] = {
    name: OPTIONS[name] for name in ("fallback", "fallback_on")
}
"""Those of the kinds of calls that another model may answer."""

CACHE_OPTIONS: Mapping[str, Check] = {name: OPTIONS[name] for name in ("cache", "cache_scope")}
"""Those of the kinds of calls that the cache may answer."""

BATCH_OPTIONS: Mapping[str, Check] = {
    name: check for name, check in COMMON_OPTIONS.items() if name != "idempotency_key"
}
"""Those of ``submit_batch``, whose requests have keys of their own."""

_NAMED = ("messages", "response_model", "user_id", "model", "temperature", "max_tokens")


def options(
    given: Mapping[str, Any], known: Mapping[str, Check] = OPTIONS, named: Sequence[str] = _NAMED
) -> dict[str, Any]:
    """Keyword parameters, each checked; ``None`` counts as not given.

    ``known`` are those of the method, ``named`` its other parameters: a hint may name either.
    """
    for name in given:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, [*named, *known], n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise LLMInputError(f"unknown keyword parameter {name[:60]!r}; {hint}")
    return {
        name: guarded(name, known[name], name, value)
        for name, value in given.items()
        if value is not None
    }

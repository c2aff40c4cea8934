"""What Anthropic's models take, as data: how they think, what of a call they have no word for.

Sources, read in November 2026: platform.claude.com/docs/en/api/migration-2026-10-21 (no sampling
parameters any more), /docs/en/build-with-claude/effort, and for thinking and forced tools the
migration guides of Opus 5, Opus 5.5, Sonnet 5.5 and Haiku 5.5 under /docs/en/models. A model that
is not known is treated as the newest are.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from modules.llm_services.types import Call, JsonObject

DEFAULT_MAX_TOKENS = 32_000
"""The API wants a cap on visible plus reasoning tokens; this one stands where a call has none."""

_NAME = re.compile(r"claude-(?:([a-z]+)-)?(\d+)(?:-(\d{1,2}))?(?=-|$)")
_NEWEST = (99, 0)
_ADAPTIVE_SINCE, _XHIGH_SINCE, _THINKS_SINCE, _UNFORCED_SINCE = (4, 6), (4, 7), (5, 0), (5, 5)
_ALWAYS_THINK = frozenset({"fable", "mythos"})
_LEAST_BUDGET, _LARGEST_BUDGET = 1_024, 24_576
_BUDGETS = {"minimal": _LEAST_BUDGET, "low": 2_048, "medium": 8_192, "high": 16_384}
_TIERS: Mapping[str, JsonObject] = {
    "auto": {"service_tier": "auto"},
    "priority": {"service_tier": "auto"},
    "default": {"service_tier": "standard_only"},
    "fast": {"speed": "fast"},
}
_Said: TypeAlias = tuple[JsonObject, bool]
_NOT_SAID: _Said = ({}, False)


def accepted(call: Call) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is sent of the call's parameters, in Anthropic's words, and the names of those that
    are not sent, or not as they were asked for.
    """
    sent: dict[str, Any] = {}
    dropped = []
    for name, value in call.parameters.items():
        translate = _TRANSLATED.get(name)
        said, meant = translate(value, call) if translate else ({name: value}, True)
        sent.update(said)
        dropped += [] if meant else [name]
    thoughts = (one for message in call.messages for one in message.reasoning)
    if any(one.readable_by(call.provider, call.model) for one in thoughts):
        sent["reasoning"] = True
    return sent, tuple(sorted(dropped))


def can_be_forced(model: str) -> bool:
    """Whether ``tool_choice`` may force a call: not where thinking cannot be switched off."""
    family, version = _named(model)
    return version < _UNFORCED_SINCE and family not in _ALWAYS_THINK


def is_forced(call: Call) -> bool:
    """Whether a tool has to be called."""
    return bool(call.tools) and call.tool_choice not in {None, "auto", "none"}


def _named(model: str) -> tuple[str, tuple[int, int]]:
    found = _NAME.match(model)
    if found is None:
        return "", _NEWEST
    return found[1] or "", (int(found[2]), int(found[3] or 0))


def _dropped(_value: Any, _call: Call) -> _Said:
    return _NOT_SAID


def _effort(effort: str, call: Call) -> _Said:
    """How much to think. No call of a tool can be forced while a model thinks."""
    family, version = _named(call.model)
    if is_forced(call):
        return _without_thinking(family, version)[0], effort == "none"
    if effort == "none":
        return _without_thinking(family, version)
    if version < _ADAPTIVE_SINCE:
        return _budget(effort, call)
    thinking = {"type": "adaptive", "display": "summarized"}
    return {"thinking": thinking, "effort": _level(effort, family, version)}, True


def _without_thinking(family: str, version: tuple[int, int]) -> _Said:
    """Thinking switched off; where it cannot be, as little of it as there is."""
    if version < _THINKS_SINCE and family not in _ALWAYS_THINK:
        return {}, True
    if family == "sonnet" and version >= _UNFORCED_SINCE:
        return {"thinking": {"type": "between_tools"}}, True
    if family == "haiku" or (version < _UNFORCED_SINCE and family not in _ALWAYS_THINK):
        return {"thinking": {"type": "disabled"}}, True
    return {"effort": "low"}, False


def _level(effort: str, family: str, version: tuple[int, int]) -> str:
    """The nearest level that the model has."""
    if effort == "minimal":
        return "low"
    if version < _XHIGH_SINCE and (effort == "xhigh" or family != "opus"):
        return "high" if effort in {"xhigh", "max"} else effort
    return effort


def _budget(effort: str, call: Call) -> _Said:
    """Models before 4.6 have a budget, which has to be less than the cap."""
    room = call.parameters.get("max_tokens", DEFAULT_MAX_TOKENS) - _LEAST_BUDGET
    if room < _LEAST_BUDGET:
        return _NOT_SAID
    budget = min(_BUDGETS.get(effort, _LARGEST_BUDGET), room)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}, True


def _stop(value: Any, _call: Call) -> _Said:
    return {"stop_sequences": [value] if isinstance(value, str) else list(value)}, True


def _tier(value: str, _call: Call) -> _Said:
    said = _TIERS.get(value)
    return _NOT_SAID if said is None else (said, True)


def _metadata(value: Mapping[str, str], _call: Call) -> _Said:
    """The API knows nothing but an opaque id of a user."""
    known = {name: value[name] for name in value if name == "user_id"}
    return ({"metadata": known} if known else {}), len(known) == len(value)


def _cached(_key: str, _call: Call) -> _Said:
    """Prompts are cached where they are marked, by what they say, and need no key."""
    return {"cache_control": {"type": "ephemeral"}}, True


_TRANSLATED: Mapping[str, Callable[[Any, Call], _Said]] = {
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), _dropped),
    **dict.fromkeys(("seed", "verbosity"), _dropped),
    "reasoning_effort": _effort,
    "stop": _stop,
    "service_tier": _tier,
    "metadata": _metadata,
    "prompt_cache_key": _cached,
}

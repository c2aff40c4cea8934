"""What Gemini cannot be asked, known before anything is written or sent."""

from collections.abc import Mapping
from typing import Any

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import Call, ImagePart, MessageRole

from .formats.gemini import TIERS, always_thinks

_LACKS = {
    "logit_bias": "Gemini has no such parameter: leave it out",
    "allowed_domains": "Google's search has no such filter: leave it out, or set LLM_ROLES__SEARCH",
    "mask": "Gemini takes no masks: say in the prompt what may be changed",
    "background": "Gemini has no such parameter: say it in the prompt",
    "output_format": "Gemini chooses the format itself: leave it out",
    "output_compression": "Gemini has no such parameter: leave it out",
    "moderation": "Gemini has no such parameter: leave it out",
    "input_fidelity": "Gemini has no such parameter: say it in the prompt",
}
_LEFT_OUT = frozenset({"context_size", "metadata", "prompt_cache_key", "verbosity"})
"""Parameters that Gemini does not have and whose absence does not change what was asked for."""
_KNOWN_TIERS = frozenset({"auto", *TIERS})


def check_gemini(call: Call) -> None:
    """Raise `LLMInputError` for what Gemini is known not to take."""
    for name in _LACKS.keys() & call.parameters.keys():
        raise LLMInputError(f"{name}: {_LACKS[name]}")
    _check_values(call)
    _check_messages(call)


def accepted(call: Call) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The parameters that are sent, and the names of those that are left out."""
    given = call.parameters
    dropped = tuple(sorted(_LEFT_OUT & given.keys()))
    return {name: given[name] for name in given if name not in dropped}, dropped


def _check_values(call: Call) -> None:
    if call.parallel_tool_calls is False:
        raise LLMInputError("parallel_tool_calls: Gemini has no such switch: leave it out")
    tier = call.parameters.get("service_tier", "auto")
    if tier not in _KNOWN_TIERS:
        known = ", ".join(sorted(_KNOWN_TIERS))
        raise LLMInputError(f"service_tier: Gemini has {known}, not {tier!r}")
    if call.parameters.get("reasoning_effort") == "none" and always_thinks(call.model):
        raise LLMInputError(
            f"reasoning_effort: {call.model} always thinks: give 'low', or leave it out"
        )


def _check_messages(call: Call) -> None:
    """An instruction alone is no conversation to Gemini."""
    roles = {message.role for message in call.messages}
    if call.messages and roles <= {MessageRole.SYSTEM, MessageRole.DEVELOPER}:
        raise LLMInputError("messages: Gemini needs one of the user beside the instructions")
    for index, message in enumerate(call.messages):
        for place, part in enumerate(message.parts):
            if isinstance(part, ImagePart) and part.media_type == "image/gif":
                raise LLMInputError(
                    f"messages[{index}].content[{place}]: Gemini takes no GIF: send png or webp"
                )

"""From what a caller said to a frozen `Call`: checked, resolved, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import arguments
from .ids import uuid7
from .roles import resolve_model
from .types import Attribution, Call, GenerationOptions

if TYPE_CHECKING:
    from .config import LLMConfig

_ATTRIBUTION = frozenset({"feature", "tenant", "conversation_id", "context"})
_POLICY = frozenset({"timeout", "max_retries"})


@dataclass(frozen=True, slots=True)
class CallArguments:
    """What a caller said, as it was said: nothing in it has been checked."""

    messages: object
    user_id: object
    model: object
    temperature: object
    max_tokens: object
    options: GenerationOptions
    output_type: object = None


def build_call(
    operation: str, asked: CallArguments, config: LLMConfig, providers: Set[str]
) -> Call:
    """The call that goes down the road. Raises `LLMInputError` for whatever cannot be meant."""
    given = arguments.options(asked.options)
    choice = resolve_model(config, providers, asked.model)
    structured = operation == "structured"
    return Call(
        id=uuid7(),
        operation=operation,
        provider=choice.provider,
        model=choice.model,
        requested_model=choice.requested,
        messages=arguments.messages(asked.messages),
        parameters=_parameters(asked, given, config),
        timeout=given.get("timeout", config.request_timeout),
        max_retries=given.get("max_retries", config.max_retries),
        output_type=arguments.response_model(asked.output_type) if structured else None,
        attribution=_attribution(asked.user_id, given),
    )


def _parameters(
    asked: CallArguments, given: Mapping[str, Any], config: LLMConfig
) -> Mapping[str, Any]:
    """What is said to the model; options that are ours stay here."""
    said = {name: given[name] for name in given if name not in _ATTRIBUTION | _POLICY}
    temperature = config.temperature if asked.temperature is None else asked.temperature
    if temperature is not None:
        said["temperature"] = arguments.temperature("temperature", temperature)
    max_tokens = config.max_tokens if asked.max_tokens is None else asked.max_tokens
    if max_tokens is not None:
        said["max_tokens"] = arguments.max_tokens("max_tokens", max_tokens)
    return said


def _attribution(user_id: object, given: Mapping[str, Any]) -> Attribution:
    named = {name: given[name] for name in given if name in _ATTRIBUTION}
    user = None if user_id is None else arguments.uuid("user_id", user_id)
    return Attribution(user_id=user, **named)

"""From what a caller said to a frozen `Call`: checked, resolved, defaults filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import arguments
from .arguments.options import BATCH_OPTIONS
from .attribution import attributed
from .exceptions import LLMInputError
from .ids import uuid7
from .roles import ModelChoice, Order, as_written, resolve_model
from .routing import with_fallback
from .tooling.describing import describe
from .types import (
    Attribution,
    BatchOptions,
    BatchPlace,
    BatchRequest,
    CachePolicy,
    Call,
    Candidate,
    GenerationOptions,
    LLMMessageDTO,
    PayloadMode,
    ToolSpec,
    stricter,
)

if TYPE_CHECKING:
    from .config import LLMConfig

_ATTRIBUTION = frozenset({"feature", "tenant", "conversation_id", "context"})
_POLICY = frozenset(
    {
        *("timeout", "max_retries", "payload_mode", "cache", "cache_scope", "idempotency_key"),
        *("fallback", "fallback_on"),
    }
)
_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})


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
    operation: str,
    asked: CallArguments,
    config: LLMConfig,
    providers: Set[str],
    order: Order = as_written,
) -> Call:
    """The call that goes down the road. Raises `LLMInputError` for whatever cannot be meant."""
    given = arguments.options(asked.options)
    attribution = _attribution(asked.user_id, given)
    config = config.for_tenant(attribution.tenant)
    choice = resolve_model(config, providers, asked.model, order)
    structured = operation == "structured"
    call = Call(
        id=uuid7(),
        operation=operation,
        provider=choice.provider,
        model=choice.model,
        requested_model=choice.requested,
        messages=arguments.messages(asked.messages, config.media_dir),
        parameters=_parameters(asked, given, config),
        timeout=given.get("timeout", config.request_timeout),
        max_retries=given.get("max_retries", config.max_retries),
        output_type=arguments.response_model(asked.output_type) if structured else None,
        tools=_tools(asked, given),
        tool_choice=given.get("tool_choice"),
        parallel_tool_calls=given.get("parallel_tool_calls"),
        cache=_cache_of(operation, given, config),
        attribution=attribution,
        payload_mode=_payload_mode(given, config),
        idempotency_key=given.get("idempotency_key"),
    )
    if not choice.others and "fallback" not in given:
        return call
    others = candidates(choice, given, config, providers, order)
    return with_fallback(call, others, given.get("fallback_on"))


def candidates(
    choice: ModelChoice,
    given: Mapping[str, Any],
    config: LLMConfig,
    providers: Set[str],
    order: Order,
) -> tuple[Candidate, ...]:
    """The models that may answer after the first: of its role, then those that the caller names."""
    words = given.get("fallback", ())
    return (*choice.others, *_fallback(words, config, providers, order))


def _fallback(
    words: Sequence[str], config: LLMConfig, providers: Set[str], order: Order
) -> Iterator[Candidate]:
    """The models that the caller's words stand for; of a role's several all, in their order."""
    for index, word in enumerate(words):
        try:
            choice = resolve_model(config, providers, word, order)
        except LLMInputError as error:
            raise LLMInputError(f"fallback[{index}]: {error.message}") from None
        yield Candidate(provider=choice.provider, model=choice.model, named=True)
        yield from (replace(one, named=True) for one in choice.others)


def cache_policy(given: Mapping[str, Any], config: LLMConfig) -> CachePolicy | None:
    """Whether the cache may answer: the caller's word, else the configuration's.

    It never does for calls of which nothing may be kept.
    """
    said = given.get("cache", config.cache_enabled)
    if said is False or _payload_mode(given, config) == "none":
        return None
    seconds = config.cache_ttl if said is True else said
    return CachePolicy(seconds=seconds, scope=given.get("cache_scope", config.cache_scope))


def _cache_of(operation: str, given: Mapping[str, Any], config: LLMConfig) -> CachePolicy | None:
    if operation != "tools":
        return cache_policy(given, config)
    if {"cache", "cache_scope"} & given.keys():
        raise LLMInputError(
            "cache: rounds of run_tools are never cached, for what tools do and find changes; "
            "leave it out"
        )
    return None


def _payload_mode(given: Mapping[str, Any], config: LLMConfig) -> PayloadMode:
    return stricter(config.payload_mode, given.get("payload_mode", "full"))


def _tools(asked: CallArguments, given: Mapping[str, Any]) -> tuple[ToolSpec, ...]:
    """An answer is an object or calls of tools: asking for both leaves open what will come."""
    if asked.output_type is not None and _TOOLS & given.keys():
        named = ", ".join(name for name in given if name in _TOOLS)
        raise LLMInputError(
            f"{named} cannot be combined with a response_model: use generate_response"
        )
    offered = describe(given.get("tools", ()))
    arguments.check_choice(given.get("tool_choice"), offered, given)
    return offered


def _parameters(
    asked: CallArguments, given: Mapping[str, Any], config: LLMConfig
) -> Mapping[str, Any]:
    """What is said to the model; options that are ours stay here."""
    said = {name: given[name] for name in given if name not in _ATTRIBUTION | _POLICY | _TOOLS}
    temperature = config.temperature if asked.temperature is None else asked.temperature
    if temperature is not None:
        said["temperature"] = _checked("temperature", arguments.temperature, temperature)
    max_tokens = config.max_tokens if asked.max_tokens is None else asked.max_tokens
    if max_tokens is not None:
        said["max_tokens"] = _checked("max_tokens", arguments.max_tokens, max_tokens)
    return said


def _checked(name: str, check: arguments.Check, value: object) -> Any:
    return arguments.guarded(name, check, name, value)


def special_call(
    operation: str,
    choice: ModelChoice,
    messages: Sequence[LLMMessageDTO],
    user_id: object,
    given: Mapping[str, Any],
    config: LLMConfig,
    *,
    resend: bool = True,
) -> Call:
    """A call that is no conversation: ``given`` are its parameters and options, all checked.

    ``messages`` are what its row shows of what was asked; for ``resend`` see `Call`.
    """
    return Call(
        id=uuid7(),
        operation=operation,
        provider=choice.provider,
        model=choice.model,
        requested_model=choice.requested,
        messages=tuple(messages),
        parameters={name: given[name] for name in given if name not in _ATTRIBUTION | _POLICY},
        timeout=given.get("timeout", config.request_timeout),
        max_retries=given.get("max_retries", config.max_retries),
        resend=resend,
        attribution=_attribution(user_id, given),
        payload_mode=_payload_mode(given, config),
        idempotency_key=given.get("idempotency_key"),
    )


def _attribution(user_id: object, given: Mapping[str, Any]) -> Attribution:
    """What the call says of itself, and where it is silent, what is said around it."""
    named = {name: given[name] for name in given if name in _ATTRIBUTION}
    if user_id is not None:
        named["user_id"] = _checked("user_id", arguments.uuid, user_id)
    return attributed(named)


def tenant_of(given: Mapping[str, Any]) -> str | None:
    """Whose roles hold: the tenant's that the call names, else of the attribution around it."""
    return attributed({name: given[name] for name in given if name == "tenant"}).tenant


def batch_calls(
    requests: object,
    user_id: object,
    model: object,
    options: BatchOptions,
    config: LLMConfig,
    providers: Set[str],
) -> tuple[Call, tuple[Call, ...]]:
    """A batch's own exchange with the provider, and the calls in it, all checked.

    The exchange's id is the one by which the rows know their batch.
    """
    asked = arguments.batch_requests(requests)
    given = arguments.options(options, BATCH_OPTIONS, ("requests", "user_id", "model"))
    config = config.for_tenant(_attribution(user_id, given).tenant)
    choice = resolve_model(config, providers, model)
    exchange = special_call("batch", choice, (), user_id, given, config)
    calls = tuple(
        _in_batch(exchange, index, key, request, config)
        for index, (key, request) in enumerate(asked)
    )
    return exchange, calls


def _in_batch(batch: Call, index: int, key: str, request: BatchRequest, config: LLMConfig) -> Call:
    try:
        said = arguments.batch_parameters(request.parameters)
        model = request.response_model
        return replace(
            batch,
            id=uuid7(),
            messages=arguments.messages(request.messages, config.media_dir),
            parameters={**_configured(config), **said},
            output_type=None if model is None else arguments.response_model(model),
            batch=BatchPlace(batch_id=batch.id, key=key),
        )
    except LLMInputError as error:
        raise LLMInputError(f"requests[{index}]: {error.message}") from None


def _configured(config: LLMConfig) -> dict[str, Any]:
    """What is said to the model when the caller says nothing."""
    said = {"temperature": config.temperature, "max_tokens": config.max_tokens}
    return {name: value for name, value in said.items() if value is not None}


def batch_call(provider: str, config: LLMConfig, providers: Set[str]) -> Call:
    """An exchange about a batch that was submitted, perhaps long ago and elsewhere."""
    if provider not in providers:
        known = ", ".join(sorted(providers))
        raise LLMInputError(f"batch_id names the provider {provider[:40]!r}; known are {known}")
    choice = ModelChoice(provider=provider, model="")
    return special_call("batch", choice, (), None, {}, config)

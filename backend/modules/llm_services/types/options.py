"""What callers may say about how to answer, as closed sets of keyword parameters."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from .cache import CacheScope
from .call_options import FallbackOptions, KeyedOptions
from .tools import Tool, ToolChoice

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity = Literal["low", "medium", "high"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]


class AnsweringOptions(TypedDict, total=False):
    """How to answer, beyond the parameters that every method names itself."""

    top_p: float
    frequency_penalty: float
    presence_penalty: float
    stop: str | Sequence[str]
    seed: int
    logit_bias: Mapping[str, int]
    reasoning_effort: ReasoningEffort
    verbosity: Verbosity
    service_tier: ServiceTier
    prompt_cache_key: str
    metadata: Mapping[str, str]


class GenerationParameters(AnsweringOptions, total=False):
    """What is said to the model about how to answer, in neutral names (adapters translate)."""

    temperature: float
    max_tokens: int


class ToolRunOptions(AnsweringOptions, KeyedOptions, FallbackOptions, total=False):
    """The keyword parameters of ``run_tools``: those of `GenerationOptions` for each of its rounds,
    without ``tools`` and ``timeout``, which it has as parameters of its own, and without ``cache``:
    what tools do and find changes.
    """

    tool_choice: ToolChoice
    parallel_tool_calls: bool


class GenerationOptions(ToolRunOptions, total=False):
    """The closed set of keyword parameters of ``generate_response`` and its structured twin.

    ``top_p`` .. ``metadata`` go to the model, and so do ``tools`` (functions with type hints,
    Pydantic models or `ToolSpec`), ``tool_choice`` ("auto", "none", "required" or a tool's name)
    and ``parallel_tool_calls`` (whether it may ask for several at once). ``timeout`` (seconds, for
    the whole call with its retries) and ``max_retries`` override the configuration. ``feature``,
    ``tenant``, ``conversation_id`` and ``context`` are written on the row and never sent.
    ``payload_mode`` (see `PayloadMode`) may make the configured one stricter, never looser; every
    kind of call takes it. With ``idempotency_key`` (200 characters at most) the same request of the
    same user and tenant is paid once: made again, in any process, it gets the first one's answer
    and request id; while that is under way it waits for it; one that failed is tried anew.

    ``cache`` says whether the answer to exactly this request may be one that was given before:
    ``True``, ``False``, or the seconds that it may be old, and that this one is kept; without it
    ``LLM_CACHE_ENABLED`` decides. ``cache_scope`` says who shares answers (see `CacheScope`).

    ``fallback`` names up to 8 models (or roles) that are asked in turn when the one before does not
    answer, within the same deadline and in the same row; ``fallback_on`` says for which reasons
    (see `FallbackReason`; without it ``failure``, ``timeout``, ``quota``, ``circuit_open``,
    ``context_length`` and ``refusal``). With ``timeout`` among them, a model that others follow has
    an equal share of the time that is left.
    """

    tools: Sequence[Tool]
    timeout: float
    cache: bool | float
    cache_scope: CacheScope

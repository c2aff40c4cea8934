"""What Anthropic's API refuses, checked as it does it with version 2026-10-21."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from sandbox.wire import ApiError, Json
from sandbox.words import listed

_KNOWN = listed("""cache_control container diagnostics inference_geo max_tokens messages metadata
    model output_config service_tier speed stop_sequences stream system thinking tool_choice
    tools""")
_SAMPLING = frozenset({"temperature", "top_k", "top_p"})
_LIMITS = listed("""exclusiveMaximum exclusiveMinimum maxItems maxLength maximum minLength minimum
    multipleOf pattern uniqueItems""")
_ALWAYS_THINKS = re.compile(r"claude-(opus-5-5|fable|mythos)")
_UNFORCED = re.compile(r"claude-(\w+-5-5|fable|mythos)")
_THINKS_BY_BUDGET = re.compile(r"claude-\w+-(3|4-[0-5])\b")
_LEAST_BUDGET = 1024
_SECRET = b"the sandbox's own"
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


def check_body(body: Json) -> None:
    """Raise 400 for parameters that the API or the model does not take."""
    for name in body:
        if name in _SAMPLING:
            raise _refused(f"{name}: not supported in API version 2026-10-21")
        if name not in _KNOWN:
            raise _refused(f"{name}: Extra inputs are not permitted")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise _refused(f"{name}: Field required")
    _check_thinking(body)
    _check_schemas(body)
    _check_turns(str(body["model"]), body["messages"])


def _refused(message: str) -> ApiError:
    return ApiError(400, message)


def _check_thinking(body: Json) -> None:
    model = str(body["model"])
    thinking = body.get("thinking") or {}
    kind = thinking.get("type")
    by_budget = bool(_THINKS_BY_BUDGET.match(model))
    wrong = {
        "disabled": bool(_ALWAYS_THINKS.match(model)) or model.startswith("claude-sonnet-5-5"),
        "between_tools": not model.startswith("claude-sonnet-5-5"),
        "enabled": not by_budget,
        "adaptive": by_budget,
    }
    if kind is not None and wrong.get(kind, True):
        raise _refused(f'"thinking.type.{kind}" is not supported for this model.')
    if kind == "enabled" and not _LEAST_BUDGET <= thinking["budget_tokens"] < body["max_tokens"]:
        raise _refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if by_budget and "effort" in (body.get("output_config") or {}):
        raise _refused("This model does not support the effort parameter.")
    forced = (body.get("tool_choice") or {}).get("type") in {"any", "tool"}
    if forced and (_UNFORCED.match(model) or kind in {"enabled", "adaptive"}):
        raise _refused("Thinking may not be enabled when tool_choice forces tool use.")


def _check_schemas(body: Json) -> None:
    form = (body.get("output_config") or {}).get("format") or {}
    strict = [tool["input_schema"] for tool in body.get("tools") or [] if tool.get("strict")]
    for schema in [*([form["schema"]] if form else []), *strict]:
        if problem := next(_problems(schema), None):
            raise _refused(f"output_config.format.schema: {problem}")


def _problems(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _problems(one)
    if isinstance(schema, dict):
        yield from _own_problems(schema)
        for name in ("properties", "$defs"):
            yield from _problems(list((schema.get(name) or {}).values()))
        for name in ("items", "anyOf", "allOf"):
            yield from _problems(schema.get(name))


def _own_problems(schema: Json) -> Iterator[str]:
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    yield from (f"property '{name}' is not supported" for name in schema if name in _LIMITS)


def _check_turns(model: str, messages: Sequence[Json]) -> None:
    if not messages:
        raise _refused("messages: at least one message is required")
    for n, message in enumerate(messages):
        if message.get("role") not in {"user", "assistant"}:
            raise _refused(f"messages.{n}.role: Input should be 'user' or 'assistant'")
        if any(b.get("type") == "text" and not b.get("text") for b in blocks_of(message)):
            raise _refused("messages: text content blocks must be non-empty")
        check_thoughts(model, blocks_of(message))
    if messages[-1]["role"] == "assistant":
        raise _refused("This model does not support assistant message prefill.")
    _check_results(messages)


def blocks_of(message: Json) -> list[Json]:
    """A message's content as blocks."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def _check_results(messages: Sequence[Json]) -> None:
    """Every call of a tool has its result in the next turn, and no result is without a call."""
    nobody: Json = {"role": "assistant", "content": []}
    for said, answer in pairwise([nobody, *messages]):
        called = {b["id"] for b in blocks_of(said) if b.get("type") == "tool_use"}
        results = [b for b in blocks_of(answer) if b.get("type") == "tool_result"]
        given = {block["tool_use_id"] for block in results}
        if called - given:
            raise _refused("`tool_use` ids were found without `tool_result` blocks right after")
        if given - called:
            raise _refused("unexpected `tool_use_id` found in `tool_result` blocks")


def check_thoughts(model: str, blocks: Sequence[Json]) -> None:
    """Raise 400 for a thought that is not the model's own, or not as it was."""
    for block in blocks:
        if block.get("type") == "thinking":
            sealed = seal(model, str(block.get("thinking")))
            if not hmac.compare_digest(str(block.get("signature")), sealed):
                raise _refused("Invalid `signature` in `thinking` block")


def seal(model: str, thought: str) -> str:
    """The signature of a thought."""
    return hmac.new(_SECRET, f"{model}|{thought}".encode(), hashlib.sha256).hexdigest()

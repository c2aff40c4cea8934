"""POST /v1/chat/completions: request to `Ask`, answers to a completion."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox import pairing, strict
from sandbox.answering import answer
from sandbox.asks import Answer, Ask, Tool, Turn
from sandbox.chat_stream import stream
from sandbox.faults import Fault
from sandbox.likeness import likeness
from sandbox.models import row, served_as
from sandbox.params import check_known, check_numbers, check_required, effort_of
from sandbox.responses_api import check_tool
from sandbox.tokens import Usage
from sandbox.wire import ApiError, Json, Reply, dumps, new_id, now, text_of

FINGERPRINT = "fp_sandbox"


def complete(body: Json, fault: Fault) -> Reply:
    """Answer one request, plain or as a stream."""
    spoken = likeness(fault.like)
    body = spoken.read(body)
    check_known(body, "chat")
    check_required(body, "model", "messages")
    check_numbers(body)
    ask = read_ask(body)
    answers = [answer(ask, fault, choice) for choice in range(int(body.get("n") or 1))]
    usage = _sum(answers)
    whole = spoken.told(completion_object(body, answers, fault))
    outcome = answers[0].outcome
    if body.get("stream"):
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = tuple(stream(whole, fault, spoken, with_usage=with_usage))
        return Reply(events=events, outcome=outcome, tokens=usage)
    return Reply(content=spoken.whole(whole), outcome=outcome, tokens=usage)


def read_ask(body: Json) -> Ask:
    """The question, out of a Chat request; raises `ApiError` for what OpenAI refuses."""
    model = str(body["model"])
    _check_max_tokens(body, model)
    tools = _functions(body)
    schema, plain_json = _format(body)
    choice = body.get("tool_choice", "auto")
    effort = effort_of(body, body.get("reasoning_effort"), "reasoning_effort")
    return Ask(
        model=model,
        turns=tuple(_turns(body)),
        schema=schema,
        json_object=plain_json,
        tools=tools,
        forced=_forced(choice),
        must_call=choice == "required" and bool(tools),
        may_call=choice != "none",
        parallel=body.get("parallel_tool_calls") is not False,
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        effort=effort,
        extra_prompt=" ".join(dumps(p) for p in (body.get("tools"), schema) if p),
    )


def _check_max_tokens(body: Json, model: str) -> None:
    if row(model).efforts and body.get("max_tokens") is not None:
        raise ApiError(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model."
            " Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )


def _turns(body: Json) -> Iterable[Turn]:
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise ApiError(400, "Invalid type for 'messages'.", param="messages", code="invalid_type")
    pairing.check_messages(messages)
    for message in messages:
        role = str(message.get("role"))
        text = text_of(message.get("content"))
        calls = [c.get("function", {}) for c in message.get("tool_calls") or []]
        said = " ".join([text, *(f"{c.get('name')} {c.get('arguments')}" for c in calls)])
        kind = {"developer": "system", "function": "tool"}.get(role, role)
        yield Turn(role=kind, text=said.strip() if calls else text)


def _functions(body: Json) -> tuple[Tool, ...]:
    out = []
    for i, tool in enumerate(body.get("tools") or []):
        function = tool.get("function")
        if not isinstance(function, dict):
            continue
        made = Tool(
            name=str(function.get("name")),
            parameters=function.get("parameters") or {"type": "object", "properties": {}},
            strict=bool(function.get("strict")),
        )
        check_tool(made, f"tools[{i}].function.parameters")
        out.append(made)
    return tuple(out)


def _format(body: Json) -> tuple[Json | None, bool]:
    form = body.get("response_format") or {}
    if form.get("type") != "json_schema":
        return None, form.get("type") == "json_object"
    named = form.get("json_schema") or {}
    check_required(named, "name")
    schema: Json = named.get("schema") or {}
    if named.get("strict"):
        what = f"response_format '{named['name']}'"
        strict.check(schema, what=what, param="response_format", code="invalid_json_schema")
    return schema, False


def _forced(choice: object) -> tuple[str, ...]:
    if not isinstance(choice, dict):
        return ()
    return (str((choice.get("function") or {}).get("name")),) if "function" in choice else ()


def completion_object(body: Json, answers: list[Answer], fault: Fault) -> Json:
    """The completion, as OpenAI writes it."""
    tier = body.get("service_tier") or "auto"
    whole: Json = {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": now(),
        "model": "sandbox-other-model" if fault.wrong_model else served_as(str(body["model"])),
        "choices": [_choice(i, said) for i, said in enumerate(answers)],
        "usage": usage_object(_sum(answers)),
        "service_tier": {"auto": "default", "fast": "priority"}.get(tier, tier),
        "system_fingerprint": FINGERPRINT,
    }
    if fault.no_usage:
        del whole["usage"]
    return whole


def _choice(index: int, said: Answer) -> Json:
    message: Json = {
        "role": "assistant",
        "content": said.text,
        "refusal": said.refusal,
        "annotations": [],
    }
    if said.calls:
        message["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in said.calls
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": said.finish}


def _sum(answers: list[Answer]) -> Usage:
    return Usage(
        prompt=answers[0].usage.prompt,
        completion=sum(a.usage.completion for a in answers),
        reasoning=sum(a.usage.reasoning for a in answers),
        cached=answers[0].usage.cached,
        cost=answers[0].usage.cost,
    )


def usage_object(usage: Usage) -> Json:
    """Usage as the Chat API writes it."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        **usage.told,
    }

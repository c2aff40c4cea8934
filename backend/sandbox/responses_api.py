"""POST /v1/responses: request to `Ask`, `Answer` to a Response object."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sandbox import pairing, strict, thoughts
from sandbox.answering import answer, count_prompt
from sandbox.asks import Answer, Ask, SearchAsk, Tool, Turn
from sandbox.faults import Fault
from sandbox.models import served_as
from sandbox.params import check_known, check_numbers, check_required, effort_of
from sandbox.responses_stream import stream
from sandbox.tokens import Usage
from sandbox.wire import ApiError, Json, Reply, dumps, new_id, now, text_of

_WEB_SEARCH = ("web_search", "web_search_2025_08_26", "web_search_preview",
               "web_search_preview_2025_03_11")  # fmt: skip
_SEARCHES = 10
_FAILED = {"code": "server_error", "message": "The model failed to answer. (sandbox fault)"}


def respond(body: Json, fault: Fault) -> Reply:
    """Answer one request, plain or as a stream."""
    check_known(body, "responses")
    check_required(body, "model")
    check_numbers(body)
    thoughts.check_include(body)
    ask = read_ask(body)
    said = answer(ask, fault)
    whole = response_object(body, said, fault)
    outcome = "failed" if fault.failed else said.outcome
    if body.get("stream"):
        events = tuple(stream(whole, fault))
        return Reply(events=events, outcome=outcome, tokens=said.usage)
    return Reply(content=whole, outcome=outcome, tokens=said.usage)


def count_input(body: Json, _fault: Fault) -> Reply:
    """POST /v1/responses/input_tokens: what the prompt would cost."""
    check_known(body, "input_tokens")
    prompt = count_prompt(read_ask(body))
    return Reply(content={"object": "response.input_tokens", "input_tokens": prompt})


def read_ask(body: Json) -> Ask:
    """The question, out of a Responses request; raises `ApiError` for what OpenAI refuses."""
    tools = _functions(body)
    schema, plain_json = _format(body)
    choice = body.get("tool_choice", "auto")
    reasoning = body.get("reasoning") or {}
    return Ask(
        model=str(body.get("model", "")),
        turns=tuple(_turns(body)),
        schema=schema,
        json_object=plain_json,
        tools=tools,
        forced=_forced(choice),
        must_call=choice == "required" and bool(tools),
        may_call=choice != "none",
        parallel=body.get("parallel_tool_calls") is not False,
        search=_search(body),
        limit=body.get("max_output_tokens"),
        effort=effort_of(body, reasoning.get("effort"), "reasoning.effort"),
        extra_prompt=_extra(body),
    )


def _turns(body: Json) -> Iterable[Turn]:
    instructions = body.get("instructions")
    if instructions:
        yield Turn(role="system", text=text_of(instructions))
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    if not all(isinstance(item, dict) for item in items):
        raise ApiError(400, "Invalid type for 'input'.", param="input", code="invalid_type")
    thoughts.check_items(body, items)
    if not body.get("previous_response_id"):
        pairing.check_items(items)
    yield from (_turn(item) for item in items if item.get("type") != "reasoning")


def _turn(item: Json) -> Turn:
    if item.get("type") == "function_call_output":
        return Turn(role="tool", text=text_of(item.get("output")))
    if item.get("type") == "function_call":
        return Turn(role="assistant", text=f"{item.get('name')} {item.get('arguments')}")
    role = item.get("role", "assistant")
    return Turn(
        role="system" if role in {"system", "developer"} else str(role),
        text=text_of(item.get("content")),
    )


def _functions(body: Json) -> tuple[Tool, ...]:
    out = []
    for i, tool in enumerate(body.get("tools") or []):
        if tool.get("type") != "function":
            continue
        made = Tool(
            name=str(tool.get("name")),
            parameters=tool.get("parameters") or {"type": "object", "properties": {}},
            strict=bool(tool.get("strict")),
        )
        check_tool(made, f"tools[{i}].parameters")
        out.append(made)
    return tuple(out)


def check_tool(tool: Tool, param: str) -> None:
    """Raise 400 `invalid_function_parameters` for a strict tool whose schema is not."""
    if tool.strict:
        strict.check(
            tool.parameters,
            what=f"function '{tool.name}'",
            param=param,
            code="invalid_function_parameters",
        )


def _format(body: Json) -> tuple[Json | None, bool]:
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") != "json_schema":
        return None, form.get("type") == "json_object"
    check_required(form, "name", "schema")
    schema: Json = form["schema"]
    if form.get("strict"):
        what = f"response_format '{form['name']}'"
        strict.check(schema, what=what, param="text.format.schema", code="invalid_json_schema")
    return schema, False


def _forced(choice: object) -> tuple[str, ...]:
    if not isinstance(choice, dict):
        return ()
    if choice.get("type") == "allowed_tools" and choice.get("mode") == "required":
        return tuple(str(t.get("name")) for t in choice.get("tools", []))[:1]
    return (str(choice["name"]),) if choice.get("type") == "function" else ()


def _search(body: Json) -> SearchAsk | None:
    if not any(t.get("type") in _WEB_SEARCH for t in body.get("tools") or []):
        return None
    sources = "web_search_call.action.sources" in (body.get("include") or [])
    most = body.get("max_tool_calls")
    return SearchAsk(
        most=_SEARCHES if most is None else int(most), sources=sources, domains=_domains(body)
    )


def _domains(body: Json) -> tuple[str, ...]:
    filters = [tool.get("filters") or {} for tool in body.get("tools") or []]
    return tuple(str(d) for f in filters for d in f.get("allowed_domains") or [])


def _extra(body: Json) -> str:
    form = (body.get("text") or {}).get("format") or {}
    parts = [body.get("tools"), form.get("schema")]
    return " ".join(dumps(p) for p in parts if p)


def response_object(body: Json, said: Answer, fault: Fault) -> Json:
    """The Response, as OpenAI writes it."""
    status, incomplete = _status(said, fault)
    whole: Json = {
        "id": new_id("resp"),
        "object": "response",
        "created_at": now(),
        "completed_at": now() if status == "completed" else None,
        "status": status,
        "error": dict(_FAILED) if fault.failed else None,
        "incomplete_details": incomplete,
        "model": "sandbox-other-model" if fault.wrong_model else served_as(str(body["model"])),
        "output": [] if fault.failed else list(_with_reasoning(body, said, status)),
        "usage": None if fault.no_usage else usage_object(said.usage),
        "metadata": {**(body.get("metadata") or {}), "sandbox": "true"},
        **_echoed(body),
    }
    if said.searches:
        whole["tool_usage"] = {"web_search": {"num_requests": len(said.searches)}}
    return whole


def _status(said: Answer, fault: Fault) -> tuple[str, Json | None]:
    if fault.failed:
        return "failed", None
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(said.finish)
    return ("incomplete", {"reason": reason}) if reason else ("completed", None)


def _echoed(body: Json) -> Json:
    reasoning = body.get("reasoning") or {}
    return {
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": {"auto": "default", "fast": "priority"}.get(
            body.get("service_tier") or "auto", body.get("service_tier")
        ),
        "store": body.get("store") is not False,
        "temperature": 1.0 if body.get("temperature") is None else body["temperature"],
        "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "user": body.get("user"),
    }


def usage_object(usage: Usage) -> Json:
    """Usage as the Responses API writes it."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
        **usage.told,
    }


def _with_reasoning(body: Json, said: Answer, status: str) -> Iterable[Json]:
    items = _output(body, said, status)
    return thoughts.led_to(body, items) if said.usage.reasoning else items


def _output(body: Json, said: Answer, status: str) -> Iterable[Json]:
    yield from _search_items(body, said)
    for call in said.calls:
        yield {
            "id": new_id("fc"),
            "type": "function_call",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
    if said.refusal is not None:
        yield _message({"type": "refusal", "refusal": said.refusal}, "completed")
    elif said.text is not None:
        part = {
            "type": "output_text",
            "text": said.text,
            "annotations": list(_annotations(said)),
            "logprobs": [],
        }
        yield _message(part, "completed" if status == "completed" else "incomplete")


def _search_items(body: Json, said: Answer) -> Iterable[Json]:
    wanted = "web_search_call.action.sources" in (body.get("include") or [])
    for query in said.searches:
        action: Json = {"type": "search", "query": query, "queries": [query]}
        if wanted:
            found = [r for r in said.results if r.query == query]
            action["sources"] = [{"type": "url", "url": r.url} for r in found]
        yield {
            "id": new_id("ws"),
            "type": "web_search_call",
            "status": "completed",
            "action": action,
        }


def _annotations(said: Answer) -> Iterable[Json]:
    for cited in said.citations:
        yield {
            "type": "url_citation",
            "start_index": cited.start,
            "end_index": cited.end,
            "title": cited.result.title,
            "url": cited.result.url,
        }


def _message(part: Json, status: str) -> Json:
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }


Handler = Callable[[Json, Fault], Reply]

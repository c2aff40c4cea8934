"""POST /v1/messages, Anthropic's API: request to `Ask`, `Answer` to a message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from sandbox.answering import REFUSAL, answer
from sandbox.asks import Answer, Ask, SearchAsk, Tool, Turn
from sandbox.claude_rules import blocks_of, check_body, seal
from sandbox.claude_stream import stream
from sandbox.faults import Fault
from sandbox.models import served_as
from sandbox.tokens import Usage
from sandbox.wire import Json, Reply, dumps, new_id, text_of

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_SCHEMA = re.compile(r"fits this schema[^{]*(\{.*\})", re.DOTALL)
_THOUGHT = "What was asked is weighed against what the prompt says."


def create_message(body: Json, fault: Fault) -> Reply:
    """Answer one request, plain or as a stream."""
    check_body(body)
    said = answer(read_ask(body), fault)
    whole = _message(body, said, fault)
    if body.get("stream"):
        return Reply(events=tuple(stream(whole, fault)), outcome=said.outcome, tokens=said.usage)
    return Reply(content=whole, outcome=said.outcome, tokens=said.usage)


def read_ask(body: Json) -> Ask:
    """The question, out of a Messages request."""
    tools = tuple(_functions(body))
    choice = body.get("tool_choice") or {}
    schema = _schema(body)
    return Ask(
        model=str(body["model"]),
        turns=tuple(_turns(body)),
        schema=schema,
        tools=tools,
        forced=(str(choice["name"]),) if choice.get("type") == "tool" else (),
        must_call=choice.get("type") == "any" and bool(tools),
        may_call=choice.get("type") != "none",
        parallel=not choice.get("disable_parallel_tool_use"),
        search=_search(body),
        limit=int(body["max_tokens"]),
        effort=_effort(body),
        extra_prompt=" ".join(dumps(p) for p in (body.get("tools"), schema) if p),
    )


def _turns(body: Json) -> Iterator[Turn]:
    if body.get("system"):
        yield Turn(role="system", text=text_of(body["system"]))
    for message in body["messages"]:
        blocks = blocks_of(message)
        results = [text_of(b.get("content")) for b in blocks if b.get("type") == "tool_result"]
        yield from (Turn(role="tool", text=text) for text in results)
        calls = [f"{b['name']} {dumps(b['input'])}" for b in blocks if b.get("type") == "tool_use"]
        text = " ".join([text_of(blocks), *calls]).strip()
        if text or not results:
            yield Turn(role=str(message["role"]), text=text)


def _functions(body: Json) -> Iterator[Tool]:
    for tool in body.get("tools") or []:
        if "input_schema" in tool:
            schema = tool["input_schema"]
            yield Tool(name=str(tool["name"]), parameters=schema, strict=bool(tool.get("strict")))


def _schema(body: Json) -> Json | None:
    """The schema of the answer: the API's own, or one that the prompt asks for in words."""
    form = (body.get("output_config") or {}).get("format") or {}
    if form:
        schema: Json = form["schema"]
        return schema
    told = _SCHEMA.search(text_of(body.get("system")))
    asked: Json | None = json.loads(told[1]) if told else None
    return asked


def _search(body: Json) -> SearchAsk | None:
    for tool in body.get("tools") or []:
        if str(tool.get("type")).startswith("web_search_"):
            domains = tuple(tool.get("allowed_domains") or ())
            return SearchAsk(most=int(tool.get("max_uses") or 1), domains=domains)
    return None


def _effort(body: Json) -> str:
    """How much is thought: not at all, unless thinking or effort is asked for."""
    kind = (body.get("thinking") or {}).get("type")
    if kind in {"disabled", "between_tools"}:
        return "none"
    effort = (body.get("output_config") or {}).get("effort")
    return str(effort) if effort else ("medium" if kind else "none")


def _message(body: Json, said: Answer, fault: Fault) -> Json:
    """The message, as Anthropic writes it."""
    content = list(_content(body, said))
    reason, sequence = _STOPS.get(said.finish, "refusal"), None
    if reason == "end_turn":
        sequence = _stopped(content, body.get("stop_sequences") or [])
    refused = said.refusal is not None or reason == "refusal"
    why = {"type": "refusal", "category": None, "explanation": REFUSAL} if refused else None
    model = "sandbox-other-model" if fault.wrong_model else served_as(str(body["model"]))
    whole: Json = {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "refusal" if refused else "stop_sequence" if sequence else reason,
        "stop_sequence": sequence,
        "stop_details": why,
        "usage": _usage(body, said),
    }
    return {k: v for k, v in whole.items() if not (fault.no_usage and k == "usage")}


def _content(body: Json, said: Answer) -> Iterable[Json]:
    if said.usage.reasoning:
        shown = (body.get("thinking") or {}).get("display") == "summarized"
        thought = _THOUGHT if shown else ""
        sealed = seal(str(body["model"]), thought)
        yield {"type": "thinking", "thinking": thought, "signature": sealed}
    yield from _pages(said)
    if said.text and not said.searches:
        yield {"type": "text", "text": said.text}
    for call in said.calls:
        name, asked = call.name, _decoded(call.arguments)
        yield {"type": "tool_use", "id": call.call_id, "name": name, "input": asked}


def _decoded(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _pages(said: Answer) -> Iterable[Json]:
    """Each search with its pages, then what they say, each block of text with its citation."""
    for query in said.searches:
        key = new_id("srvtoolu")
        found = [r for r in said.results if r.query == query]
        asked = {"query": query}
        yield {"type": "server_tool_use", "id": key, "name": "web_search", "input": asked}
        pages = [
            {"type": "web_search_result", "url": r.url, "title": r.title,
             "encrypted_content": "sealed", "page_age": None}
            for r in found
        ]  # fmt: skip
        yield {"type": "web_search_tool_result", "tool_use_id": key, "content": pages}
    for result in said.results if said.searches else ():
        cited = {
            "type": "web_search_result_location",
            "url": result.url,
            "title": result.title,
            "cited_text": result.snippet,
            "encrypted_index": "sealed",
        }
        yield {"type": "text", "text": result.snippet, "citations": [cited]}
        yield {"type": "text", "text": "\n"}


def _stopped(content: list[Json], sequences: list[str]) -> str | None:
    """Cut the text before the first of the sequences that it holds, and say which it was."""
    for block in content:
        for sequence in sequences:
            text, found, _ = str(block.get("text", "")).partition(sequence)
            if found:
                block["text"] = text
                return sequence
    return None


def _usage(body: Json, said: Answer) -> Json:
    usage: Usage = said.usage
    written = (usage.prompt - usage.cached) // 2 if body.get("cache_control") else 0
    searches = {"web_search_requests": len(said.searches), "web_fetch_requests": 0}
    return {
        "input_tokens": usage.prompt - usage.cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "server_tool_use": searches if said.searches else None,
        "service_tier": "standard",
        "speed": body.get("speed") or "standard",
        **usage.told,
    }

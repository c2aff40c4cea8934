"""From a question to an answer: text, structured text, tool calls or search, and what it costs."""

from __future__ import annotations

from dataclasses import replace

from sandbox import schema_fill, search, tokens
from sandbox.asks import Answer, Ask, SearchResult, Tool, ToolCall
from sandbox.faults import Fault
from sandbox.models import CONTEXT_WINDOW
from sandbox.prose import prose
from sandbox.reading import Reading, read
from sandbox.source import source_of
from sandbox.tokens import Usage
from sandbox.wire import ApiError, dumps, new_id

REFUSAL = "I'm sorry, but I can't help with that request. (sandbox refusal)"
_JSON_OBJECT = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "summary": {"type": "string"},
        "key_points": {"type": "array", "items": {"type": "string"}},
    },
}


def answer(ask: Ask, fault: Fault, choice: int = 0) -> Answer:
    """Answer a question; `choice` turns the selection, for several answers to one question."""
    prompt = count_prompt(ask)
    if prompt > CONTEXT_WINDOW:
        raise ApiError(
            400,
            f"Your input exceeds the context window of this model:"
            f" {prompt} > {CONTEXT_WINDOW} tokens.",
            code="context_length_exceeded",
            param="input",
        )
    said = _said(ask, fault, choice)
    return _measured(ask, _faulty(said, fault), fault, prompt)


def count_prompt(ask: Ask) -> int:
    """Prompt tokens: each message, and the schemas and tools that came along."""
    return tokens.count_messages(t.text for t in ask.turns) + tokens.count(ask.extra_prompt)


def _nothing(prompt: int = 0) -> Usage:
    return Usage(prompt=prompt, completion=0)


def _said(ask: Ask, fault: Fault, choice: int) -> Answer:
    if fault.refuse:
        return Answer(text=None, refusal=REFUSAL, usage=_nothing())
    chosen = _tools_to_call(ask)
    if chosen:
        calls = tuple(_call(ask, tool, fault) for tool in chosen)
        return Answer(text=None, calls=calls, finish="tool_calls", usage=_nothing())
    if ask.search:
        return _searched(ask, fault, choice)
    return Answer(text=_text(ask, fault, choice), usage=_nothing())


def _tools_to_call(ask: Ask) -> list[Tool]:
    """The forced tools; else, unless a result was just given, those that the prompt names."""
    if ask.forced:
        return [t for t in ask.tools if t.name in ask.forced]
    if not ask.may_call or not ask.tools or _result(ask):
        return []
    last = (ask.user[-1] if ask.user else "").lower()
    named = [t for t in ask.tools if _mentions(last, t.name.lower())]
    if ask.must_call:
        named = named or [ask.tools[0]]
    return named if ask.parallel else named[:1]


def _mentions(text: str, name: str) -> bool:
    return name in text or name.replace("_", " ").replace("-", " ") in text


def _result(ask: Ask) -> str:
    """The tool results that the conversation ends with."""
    out: list[str] = []
    for turn in reversed(ask.turns):
        if turn.role != "tool":
            break
        out.append(turn.text)
    return "\n".join(reversed(out))


def _call(ask: Ask, tool: Tool, fault: Fault) -> ToolCall:
    arguments = schema_fill.instance(tool.parameters, _reading(ask), arguments=True)
    text = _misshapen(arguments, tool.parameters, fault) or dumps(arguments)
    return ToolCall(call_id=new_id("call"), name=tool.name, arguments=text)


def _searched(ask: Ask, fault: Fault, choice: int) -> Answer:
    most, domains = (ask.search.most, ask.search.domains) if ask.search else (1, ())
    queries = search.queries_of(ask.user[-1] if ask.user else ask.system)[:most]
    results = tuple(r for q in queries for r in search.results_for(q, domains))
    structured = ask.schema is not None or ask.json_object
    text = _text(ask, fault, choice, results) if structured else search.report(results)
    return Answer(
        text=text,
        searches=tuple(queries),
        results=results,
        citations=tuple(search.citations(text, results)),
        usage=_nothing(),
    )


def _text(ask: Ask, fault: Fault, choice: int, results: tuple[SearchResult, ...] = ()) -> str:
    schema = ask.schema if ask.schema is not None else _JSON_OBJECT if ask.json_object else None
    if schema is None:
        return prose(source_of(_reading(ask)), _reading(ask), _result(ask), choice)
    value = schema_fill.instance(schema, _reading(ask, results), choice=choice, results=results)
    return _misshapen(value, schema, fault) or dumps(value)


def _reading(ask: Ask, results: tuple[SearchResult, ...] = ()) -> Reading:
    reading = read(ask.user, ask.system)
    if results:
        return replace(reading, material="\n".join(r.snippet for r in results), focus="")
    result = _result(ask)
    return replace(reading, material=f"{reading.material}\n\n{result}") if result else reading


def _misshapen(value: object, schema: object, fault: Fault) -> str:
    """Text that is no JSON, or JSON that does not fit; empty when nothing shall be wrong."""
    whole = dumps(value)
    if fault.broken_json:
        return whole[: max(1, len(whole) // 2)]
    if fault.invalid_json:
        wrong = schema_fill.misfit(value, schema)
        return whole[:-1] or "{" if wrong is None else dumps(wrong)
    return ""


def _faulty(said: Answer, fault: Fault) -> Answer:
    if fault.empty:
        return replace(said, text=None, calls=(), searches=(), citations=(), finish="stop")
    if fault.filter or fault.truncate:
        half = (said.text or "")[: len(said.text or "") // 2]
        return replace(said, text=half, citations=(), calls=(),
                       finish="content_filter" if fault.filter else "length")  # fmt: skip
    return said


def _measured(ask: Ask, said: Answer, fault: Fault, prompt: int) -> Answer:
    """The answer cut to its limit, with the usage that it really has."""
    reasoning = 0 if said.refusal else tokens.reasoning_for(ask.effort, ask.limit)
    room = None if ask.limit is None else ask.limit - reasoning
    text, finish = said.text, said.finish
    if text is not None and room is not None and tokens.count(text) > room:
        text, finish = tokens.clip(text, room), "length"
    spoken = tokens.count(text or "") + tokens.count(said.refusal or "")
    spoken += sum(tokens.count(c.arguments) + tokens.count(c.name) for c in said.calls)
    kept = tuple(c for c in said.citations if c.end <= len(text or ""))
    usage = Usage(
        prompt=prompt,
        completion=spoken + reasoning,
        reasoning=reasoning,
        cached=min(fault.cached, prompt),
        cost=fault.cost,
    )
    return replace(said, text=text, finish=finish, citations=kept, usage=usage)

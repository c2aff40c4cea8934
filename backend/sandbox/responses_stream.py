"""A Response as the sequence of events in which the API streams it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sandbox.faults import Fault
from sandbox.sse import ERROR, broken, event
from sandbox.tokens import pieces
from sandbox.wire import Json


def stream(whole: Json, fault: Fault) -> Iterator[str]:
    """All events of a response, numbered; broken where the fault says so."""
    numbered = (
        event({**data, "sequence_number": n}, str(data["type"]))
        for n, data in enumerate(_events(whole))
    )
    error = {"type": "error", **{k: ERROR[k] for k in ("code", "message", "param")}}
    return broken(numbered, fault, error)


def _events(whole: Json) -> Iterator[Json]:
    early = {**whole, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    early |= {"error": None, "incomplete_details": None}
    yield {"type": "response.created", "response": early}
    yield {"type": "response.in_progress", "response": early}
    for index, item in enumerate(whole["output"]):
        yield from _item_events(item, index)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _item_events(item: Json, index: int) -> Iterator[Json]:
    place: Json = {"output_index": index}
    yield {"type": "response.output_item.added", **place, "item": _empty(item)}
    inner: Iterable[Json] = ()
    match item["type"]:
        case "message":
            inner = _message_events(item)
        case "function_call":
            inner = _call_events(item)
        case "web_search_call":
            steps = ("in_progress", "searching", "completed")
            inner = ({"type": f"response.web_search_call.{step}"} for step in steps)
    for data in inner:
        yield {**data, **place, "item_id": item["id"]}
    yield {"type": "response.output_item.done", **place, "item": item}


def _empty(item: Json) -> Json:
    """The item as it is announced: begun, and without its content."""
    match item["type"]:
        case "message":
            return {**item, "status": "in_progress", "content": []}
        case "function_call":
            return {**item, "status": "in_progress", "arguments": ""}
        case "web_search_call":
            return {**item, "status": "in_progress"}
    return item


def _message_events(item: Json) -> Iterator[Json]:
    for index, part in enumerate(item["content"]):
        place = {"content_index": index}
        key, kind = ("refusal", "refusal") if "refusal" in part else ("text", "output_text")
        more: Json = {"logprobs": []} if kind == "output_text" else {}
        begun = {**part, key: ""} | ({"annotations": []} if kind == "output_text" else {})
        yield {"type": "response.content_part.added", **place, "part": begun}
        for piece in pieces(part[key]):
            yield {"type": f"response.{kind}.delta", **place, "delta": piece, **more}
        for n, note in enumerate(part.get("annotations", [])):
            added = {"annotation_index": n, "annotation": note}
            yield {"type": "response.output_text.annotation.added", **place, **added}
        yield {"type": f"response.{kind}.done", **place, key: part[key], **more}
        yield {"type": "response.content_part.done", **place, "part": part}


def _call_events(item: Json) -> Iterator[Json]:
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    done = {"arguments": item["arguments"], "name": item["name"]}
    yield {"type": "response.function_call_arguments.done", **done}

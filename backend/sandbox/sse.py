"""Server-sent events: how one event is written, and the faults that break a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sandbox.faults import Fault
from sandbox.wire import Json, dumps

DONE = "data: [DONE]\n\n"
ERROR: Json = {
    "message": "The server had an error while processing your request. (sandbox fault)",
    "type": "server_error",
    "param": None,
    "code": "server_error",
}


def event(data: Json, name: str = "") -> str:
    """One event; the Responses API names its events, Chat does not."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {dumps(data)}\n\n"


def broken(events: Iterable[str], fault: Fault, error: Json) -> Iterator[str]:
    """The events as far as `cut=`, `sever=` or `stream_error` let them come."""
    listed = list(events)
    stop = next((n for n in (fault.cut, fault.sever) if n is not None), None)
    if fault.stream_error:
        half = len(listed) // 2 if stop is None else stop
        yield from listed[:half]
        # Chat's error has no type of its own; the Responses API's is an event like the others.
        named = error.get("type") == "error"
        yield event({**error, "sequence_number": half} if named else error, "error" * named)
        return
    yield from listed if stop is None else listed[:stop]

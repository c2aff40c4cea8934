"""Calls of tools and their results: each has to have the other, in OpenAI's words for each API."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.wire import ApiError, Json


def check_items(items: Sequence[Json]) -> None:
    """Raise 400 for a Responses input with a result without its call, or the other way round."""
    calls = _ids(items, "function_call")
    results = _ids(items, "function_call_output")
    known: set[str] = set()
    for item in items:
        key = str(item.get("call_id"))
        if item.get("type") == "function_call":
            known.add(key)
        elif item.get("type") == "function_call_output" and key not in known:
            raise _refused(f"No tool call found for function call output with call_id {key}.")
    for key in calls:
        if key not in results:
            raise _refused(f"No tool output found for function call {key}.")


def _ids(items: Sequence[Json], kind: str) -> list[str]:
    return [str(item.get("call_id")) for item in items if item.get("type") == kind]


def _refused(message: str, param: str = "input") -> ApiError:
    return ApiError(400, message, param=param)


def check_messages(messages: Sequence[Json]) -> None:
    """Raise 400 for a Chat conversation whose tool messages don't answer the calls before them."""
    open_calls: list[str] = []
    answering = False
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            _check_result(index, message, open_calls, answering=answering)
            open_calls.remove(str(message.get("tool_call_id")))
            continue
        _check_answered(index, open_calls)
        open_calls = [str(call.get("id")) for call in message.get("tool_calls") or []]
        answering = bool(open_calls)
    _check_answered(len(messages) - 1, open_calls)


def _check_result(index: int, message: Json, open_calls: list[str], *, answering: bool) -> None:
    key = str(message.get("tool_call_id"))
    if not answering:
        raise _refused(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
            " message with 'tool_calls'.",
            f"messages.[{index}].role",
        )
    if key not in open_calls:
        raise _refused(
            f"Invalid parameter: 'tool_call_id' of '{key}' not found in 'tool_calls' of previous"
            " message.",
            f"messages.[{index}].tool_call_id",
        )


def _check_answered(index: int, open_calls: list[str]) -> None:
    if open_calls:
        raise _refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            " to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(open_calls),
            f"messages.[{index}].role",
        )

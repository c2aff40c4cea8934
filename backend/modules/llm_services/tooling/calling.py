"""Runs the tools that a model asked for, side by side, and says what it is to be told."""

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anyio import CapacityLimiter, move_on_after, to_thread
from pydantic import BaseModel
from pydantic_core import to_json

from modules.llm_services.redaction import storable_text, without_secrets
from modules.llm_services.types import ToolCall, ToolResult, ToolSpec

MAX_RESULT = 100_000
"""Characters of a result that a model is told."""
AT_ONCE = 8
_ERROR = 500


class ToolFailure:
    """A call that did not come to a result: what the model is told, and the cause if there is."""

    def __init__(self, told: str, cause: BaseException | None = None) -> None:
        self.told = f"Error: {told}"
        self.cause = cause


async def run_calls(
    calls: Sequence[ToolCall], tools: Sequence[ToolSpec], seconds: float
) -> list[tuple[ToolResult, BaseException | None]]:
    """The results of calls in their order, each with the exception behind a failure.

    At most ``AT_ONCE`` run at a time, all of them at most ``seconds``: what is not done by then is
    cancelled, and its result says so. A function that is not a coroutine runs in a worker thread,
    which cannot be stopped: it is left behind. A cancellation of the caller cancels all.
    """
    functions = {spec.name: spec for spec in tools}
    limiter = CapacityLimiter(AT_ONCE)
    deadline = time.monotonic() + seconds

    async def answer(call: ToolCall) -> tuple[ToolResult, BaseException | None]:
        async with limiter:
            return await _result(call, functions.get(call.name), deadline - time.monotonic())

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answer(call)) for call in calls]
    return [task.result() for task in tasks]


async def _result(
    call: ToolCall, spec: ToolSpec | None, seconds: float
) -> tuple[ToolResult, BaseException | None]:
    started = time.monotonic()
    said: str | ToolFailure = ToolFailure("the time for tools is over; this one was stopped")
    with move_on_after(max(seconds, 0)):
        said = await _said(call, spec)
    failed = isinstance(said, ToolFailure)
    result = ToolResult(
        call=call,
        content=_bounded(said.told if isinstance(said, ToolFailure) else said),
        failed=failed,
        execution_time_ms=round((time.monotonic() - started) * 1000),
    )
    return result, said.cause if isinstance(said, ToolFailure) else None


async def _said(call: ToolCall, spec: ToolSpec | None) -> str | ToolFailure:
    if call.error is not None:
        return ToolFailure(call.error)
    if spec is None or spec.function is None:
        return ToolFailure(f"there is no tool {call.name!r}")
    try:
        return _written(await _returned(spec.function, call))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return ToolFailure("the tool was cancelled", error)
    except Exception as error:  # noqa: BLE001 - a caller's function may raise anything
        reason = without_secrets(str(error))[:_ERROR]
        return ToolFailure(f"{type(error).__name__}: {reason}".removesuffix(": "), error)


async def _returned(function: Callable[..., Any], call: ToolCall) -> Any:
    keywords = _keywords(call)
    if inspect.iscoroutinefunction(function):
        return await function(**keywords)
    returned = await to_thread.run_sync(
        partial(function, **keywords), abandon_on_cancel=True, limiter=CapacityLimiter(1)
    )
    return await returned if inspect.isawaitable(returned) else returned


def _keywords(call: ToolCall) -> dict[str, Any]:
    """The arguments as the function's parameters want them: dates are dates, models models."""
    parsed = call.parsed
    if parsed is None:
        return call.arguments
    fields = type(parsed).model_fields
    return {field.alias or name: getattr(parsed, name) for name, field in fields.items()}


def _written(value: Any) -> str:
    """What a function returned, as text: text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return to_json(value).decode()


def _bounded(text: str) -> str:
    """Text that can be sent, not longer than a model should read."""
    said = storable_text(text)
    if len(said) <= MAX_RESULT:
        return said
    return f"{said[:MAX_RESULT]}\n[cut here: the first {MAX_RESULT} of {len(said)} characters]"

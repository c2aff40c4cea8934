"""Who and what a call is for, said once around a block of code instead of in every call.

What is said lives in a context variable: it reaches tasks, worker threads and everything awaited
inside the block, and nothing outside it. Two facts need not be said at all: the calling module's
name is the feature, and the ids of the trace are those of OpenTelemetry's current span.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exceptions import LLMInputError
from .types import Attribution

if TYPE_CHECKING:
    from uuid import UUID

    from .types import JsonValue

_SAID: ContextVar[Mapping[str, Any]] = ContextVar("llm_services_attribution")
_NOTHING: Mapping[str, Any] = {}
# https://www.w3.org/TR/trace-context/#traceparent-header: ids of zeros and version ff are invalid,
# and later versions may append more.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace_id>(?!0{32})[0-9a-f]{32})-(?P<span_id>(?!0{16})[0-9a-f]{16})"
    r"-[0-9a-f]{2}(-.*)?"
)
_OURS, _, _ = __name__.rpartition(".")
_WITHIN_OURS = f"{_OURS}."
_SIBLINGS = _OURS.rpartition(".")[0] + "."
_LONGEST_FEATURE = 64
# They run what others wrote: a coroutine that such a frame starts was called by nobody in sight.
_RUNNERS = frozenset({"anyio", "fastapi", "starlette", "uvloop"})


@contextmanager
def attribution(
    *,
    user_id: UUID | str | None = None,
    feature: str | None = None,
    tenant: str | None = None,
    conversation_id: str | None = None,
    context: Mapping[str, JsonValue] | None = None,
    traceparent: str | None = None,
) -> Iterator[None]:
    """Say for whom and for what the calls inside are made: it is written on their rows.

    Blocks nest: the inner one wins, ``context`` is merged key by key, and so it is with what a
    call itself says. ``None`` counts as not said. ``traceparent`` is the W3C header of the
    request that is being served; OpenTelemetry's current span goes before it.

    Raises:
        LLMInputError: at the ``with``, naming the argument.

    """
    from . import arguments

    said = {
        "feature": feature,
        "tenant": tenant,
        "conversation_id": conversation_id,
        "context": context,
    }
    checked = arguments.options(said)
    if user_id is not None:
        checked["user_id"] = arguments.uuid("user_id", user_id)
    if traceparent is not None:
        checked |= _checked_trace(traceparent)
    token = _SAID.set(_merged(_SAID.get(_NOTHING), checked))
    try:
        yield
    finally:
        # An abandoned generator is closed in a context of its own: there is nothing to take back.
        with suppress(ValueError):
            _SAID.reset(token)


def attributed(said: Mapping[str, Any]) -> Attribution:
    """What is known of a call that says ``said`` (checked) of itself."""
    known = {**_merged(_SAID.get(_NOTHING), said), **_current_span()}
    if "feature" not in known:
        known["feature"] = calling_module()
    return Attribution(**known)


def current_feature() -> str | None:
    """The feature that a call made here would have if it named none."""
    return _SAID.get(_NOTHING).get("feature") or calling_module()


def trace_ids(traceparent: str) -> dict[str, str]:
    """The trace and the span that a ``traceparent`` header names; nothing if it is malformed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return {"trace_id": found["trace_id"], "span_id": found["span_id"]} if found else {}


def calling_module() -> str | None:
    """The nearest caller outside this package: a sibling module's name, else the top-level one.

    ``None`` for a coroutine that was handed to an event loop as it is: nobody is left to name.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to ask who calls
    module = frame.f_globals.get("__name__", "")
    while frame.f_back and (module == "contextlib" or module.startswith(_WITHIN_OURS)):
        frame = frame.f_back
        module = frame.f_globals.get("__name__", "")
    return _feature_of(module)


@lru_cache(1_024)
def _feature_of(module: str) -> str | None:
    if module == "__main__":
        script = getattr(sys.modules["__main__"], "__file__", None)
        return Path(script).stem[:_LONGEST_FEATURE] if script else None
    top = module.removeprefix(_SIBLINGS).partition(".")[0]
    is_a_runner = top in sys.stdlib_module_names or top in _RUNNERS
    return None if is_a_runner else top[:_LONGEST_FEATURE] or None


def _checked_trace(traceparent: object) -> dict[str, str]:
    ids = trace_ids(traceparent) if isinstance(traceparent, str) else {}
    if not ids:
        raise LLMInputError("traceparent must be a W3C header such as 00-<32 hex>-<16 hex>-01")
    return ids


def _merged(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    both = {**outer, **inner}
    if "context" in outer and "context" in inner:
        from . import arguments

        together = {**outer["context"], **inner["context"]}
        both |= arguments.options({"context": together})
    return both


def _current_span() -> dict[str, str]:
    """Only a program that uses OpenTelemetry has loaded it; to load it takes 150 ms."""
    current = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    if current is None:
        return {}
    span = current().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}

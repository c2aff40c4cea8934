"""One call as OpenTelemetry sees it: a span that is open as long as its row."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opentelemetry import context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from modules.llm_services.exceptions import LLMError, LLMIdempotencyError

from . import names
from .attributes import answered_by, asked, attempted, operation_of, settled, whose
from .content import answer, prompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context

    from modules.llm_services.types import Attribution, Call

    from .attributes import Row, Server
    from .signals import Signals

_NANOSECONDS = 1_000_000_000


class Observation:
    """Enter it before the row is opened, tell it the rows, and leave it when the call is over."""

    def __init__(
        self, signals: Signals, call: Call, server: Server | None, *, content: bool
    ) -> None:
        self._signals, self._call, self._content = signals, call, content
        self._whose = whose(call, server)
        self._started = time.monotonic()
        self._row: Row | None = None
        self._token: Token[Context] | None = None
        self._over = False
        self._span = signals.tracer.start_span(
            f"{operation_of(call)} {call.model}",
            context=_parent(call.attribution),
            kind=SpanKind.CLIENT,
            attributes=asked(call, server),
        )

    @property
    def call(self) -> Call:
        """The call with the ids of its own span, by which its row is found from a trace."""
        ids = self._span.get_span_context()
        if not ids.is_valid:
            return self._call
        named = replace(
            self._call.attribution,
            trace_id=f"{ids.trace_id:032x}",
            span_id=f"{ids.span_id:016x}",
        )
        return replace(self._call, attribution=named)

    def __enter__(self) -> None:
        """Spans of HTTP clients lie inside ours. A stream's does not become the current one: what
        runs meanwhile is the caller's.
        """
        if not self._call.stream:
            self._token = context.attach(set_span_in_context(self._span))

    def opened(self, row: Row) -> None:
        """The row as it is stored before anything is sent."""
        if self._content:
            self._span.set_attributes(prompt(row))

    def settled(self, row: Row) -> None:
        """The outcome as it is stored. What is told after the end comes too late."""
        if self._over:
            return
        self._row = row
        self._whose |= answered_by(row)
        self._span.set_attributes(settled(row))
        if self._content:
            self._span.set_attributes(answer(row))
        self._trace_attempts(row["attempts"] or ())
        if row["error_type"]:
            self._span.set_status(Status(StatusCode.ERROR, row["error_type"]))

    def _trace_attempts(self, attempts: Sequence[Row]) -> None:
        """A call of one request is that request; of several, each has a span."""
        if len(attempts) < 2 or not self._span.is_recording():  # noqa: PLR2004 - said above
            return
        for attempt in attempts:
            began = datetime.fromisoformat(attempt["started_at"])
            span = self._signals.tracer.start_span(
                f"attempt {attempt['n']}",
                context=set_span_in_context(self._span),
                kind=SpanKind.CLIENT,
                attributes=attempted(attempt),
                start_time=_nanoseconds(began),
            )
            if attempt["outcome"] != "answered":
                span.set_status(Status(StatusCode.ERROR, attempt["outcome"]))
            span.end(_nanoseconds(began + timedelta(milliseconds=attempt["ms"] or 0)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the span. A call whose key another row has has no row and no span: theirs has."""
        self._over = True
        if self._token is not None:
            context.detach(self._token)
        if self._row is not None:
            self._signals.measure_time(self._whose, self._row)
            self._signals.count_use(self._whose, self._call.attribution.feature, self._row)
        elif isinstance(error, LLMIdempotencyError):
            return
        else:
            self._refused(error)
        self._span.end()

    def _refused(self, error: BaseException | None) -> None:
        """The call came to have no row, for neither the database nor the spool took it."""
        said = error.error_type if isinstance(error, LLMError) else "Cancelled"
        self._span.set_attributes({names.ERROR_TYPE: said, names.STATUS: "failed"})
        self._span.set_status(Status(StatusCode.ERROR, said))
        self._signals.count_refused(self._whose, time.monotonic() - self._started, said)


def _parent(attribution: Attribution) -> Context | None:
    """The current span; without one, that of the ``traceparent`` which the caller named."""
    known = attribution.trace_id is not None and attribution.span_id is not None
    if get_current_span().get_span_context().is_valid or not known:
        return None
    remote = SpanContext(
        int(str(attribution.trace_id), 16),
        int(str(attribution.span_id), 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(remote))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * _NANOSECONDS)

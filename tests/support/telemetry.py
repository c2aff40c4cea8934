"""A real OpenTelemetry SDK that keeps what it is told in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Heard:
    """What a program's SDK was told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.traces = TracerProvider(shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Spans that have ended, in the order of their ends."""
        return list(self._exporter.get_finished_spans())

    def points(self, metric: str) -> list[Any]:
        """The data points of a metric."""
        data = self._reader.get_metrics_data()
        scopes = [s for r in data.resource_metrics for s in r.scope_metrics] if data else []
        found = [m for scope in scopes for m in scope.metrics if m.name == metric]
        return [point for one in found for point in one.data.data_points]

    def text(self) -> str:
        """Everything, as an exporter writes it."""
        data = self._reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans), data.to_json() if data else ""])


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """An SDK that the program has set up. The API lets a process set it once, and a test no more
    than that; hence the API's own variables.
    """
    heard = Heard()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", heard.traces)
    monkeypatch.setattr(metrics, "_METER_PROVIDER", heard.meters)
    try:
        yield heard
    finally:
        heard.traces.shutdown()
        heard.meters.shutdown()

"""OpenTelemetry's tracer and instruments, made once the program has set up an SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from . import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .attributes import Attributes, Row


class Signals:
    """Where spans and numbers go."""

    def __init__(self) -> None:
        self.tracer = trace.get_tracer(names.SCOPE, schema_url=names.SCHEMA_URL)
        meter = metrics.get_meter(names.SCOPE, schema_url=names.SCHEMA_URL)
        self._duration = meter.create_histogram(
            names.OPERATION_DURATION,
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=names.SECONDS,
        )
        self._tokens = meter.create_histogram(
            names.TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=names.TOKENS,
        )
        self._first_chunk = meter.create_histogram(
            names.FIRST_CHUNK,
            unit="s",
            description="Time until the first piece of a streamed answer.",
            explicit_bucket_boundaries_advisory=names.FIRST_CHUNK_SECONDS,
        )
        self._cost = meter.create_counter(names.COST_TOTAL, "{USD}", "What calls have cost.")
        self._saved = meter.create_counter(
            names.SAVED_TOTAL, "{USD}", "What answers from the cache would have cost."
        )
        self._retries = meter.create_counter(
            names.RETRIES, "{request}", "HTTP requests that repeat another one."
        )
        self._unpriced = meter.create_counter(
            names.UNPRICED, "{call}", "Calls that took tokens whose price is not known."
        )

    def measure_time(self, whose: Attributes, row: Row) -> None:
        """How long a call took, and how it ended; of a stream, when its first piece came."""
        ended = {**whose, names.STATUS: row["status"].value, names.CACHED: row["cached"]}
        if row["error_type"]:
            ended[names.ERROR_TYPE] = row["error_type"]
        self._duration.record(row["execution_time_ms"] / 1000, ended)
        if row["time_to_first_token_ms"] is not None and not row["cached"]:
            self._first_chunk.record(row["time_to_first_token_ms"] / 1000, whose)

    def count_refused(self, whose: Attributes, seconds: float, error_type: str) -> None:
        """A call that came to have no row."""
        ended: Attributes = {names.STATUS: "failed", names.CACHED: False}
        ended[names.ERROR_TYPE] = error_type
        self._duration.record(seconds, {**whose, **ended})

    def count_use(self, whose: Attributes, feature: str | None, row: Row) -> None:
        """What a call took. An answer from the cache took nothing; an estimate is no count."""
        by = whose if feature is None else {**whose, names.FEATURE: feature}
        if row["saved_cost"]:
            self._saved.add(row["saved_cost"], by)
        if row["usage_source"] == "reported":
            self._count_tokens(whose, row)
        if row["cost_estimate"]:
            self._cost.add(row["cost_estimate"], by)
        if row["cost_source"] == "unknown":
            self._unpriced.add(1, whose)
        retries = _retries(row["attempts"] or ())
        if retries:
            self._retries.add(retries, whose)

    def _count_tokens(self, whose: Attributes, row: Row) -> None:
        if row["response_model"]:
            whose = {**whose, names.RESPONSE_MODEL: row["response_model"]}
        for kind, column in (("input", "prompt_tokens"), ("output", "completion_tokens")):
            if row[column] is not None:
                self._tokens.record(row[column], {**whose, names.TOKEN_TYPE: kind})


def _retries(attempts: Sequence[Row]) -> int:
    """Requests after the first, of each part of a call in parts."""
    return len(attempts) - len({attempt.get("part") for attempt in attempts})


def listened_to() -> bool:
    """Whether the program has an SDK: the API's own providers throw everything away."""
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    return any(not _is_the_apis(provider) for provider in providers)


def _is_the_apis(provider: object) -> bool:
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))

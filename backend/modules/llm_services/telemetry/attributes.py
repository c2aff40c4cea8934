"""Rows as attributes. Whatever a signal says is a fact of the row, so that both say the same."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from modules.llm_services.types import Call

from . import names

Value: TypeAlias = str | bool | int | float | list[str]
Attributes: TypeAlias = dict[str, Value]
Server: TypeAlias = tuple[str, int]
Row: TypeAlias = Mapping[str, Any]


def asked(call: Call, server: Server | None) -> Attributes:
    """What is known before anything is sent."""
    of = call.attribution
    said: dict[str, Value | None] = {
        **whose(call, server),
        names.REQUEST_ID: str(call.id),
        names.KIND: call.operation,
        names.OUTPUT_TYPE: names.OUTPUT_TYPES.get(call.operation),
        names.REQUEST_STREAM: call.stream or None,
        names.CONVERSATION_ID: of.conversation_id,
        names.FEATURE: of.feature,
        names.TENANT: of.tenant,
        **{name: call.parameters.get(ours) for ours, name in names.PARAMETERS.items()},
    }
    return _known(said)


def whose(call: Call, server: Server | None) -> Attributes:
    """What every signal of a call says: operation, provider, model, and where that is."""
    said: Attributes = {
        names.OPERATION_NAME: operation_of(call),
        names.PROVIDER_NAME: names.PROVIDERS.get(call.provider, call.provider),
        names.REQUEST_MODEL: call.model,
    }
    if server is not None:
        said[names.SERVER_ADDRESS], said[names.SERVER_PORT] = server
    return said


def answered_by(row: Row) -> Attributes:
    """Provider and model where others answered than those that were asked first."""
    provider, model = row["provider"], row["model"]
    named = names.PROVIDERS.get(provider, provider)
    return _known({names.PROVIDER_NAME: named, names.REQUEST_MODEL: model})


def operation_of(call: Call) -> str:
    """The call's kind in the conventions' words; a kind that they lack has ours."""
    return names.OPERATIONS.get(call.operation, call.operation)


def settled(row: Row) -> Attributes:
    """What became of the call."""
    first, reason, source = (
        row[name] for name in ("time_to_first_token_ms", "finish_reason", "cached_from_id")
    )
    return _known(
        {
            **{name: row[column] for column, name in names.OUTCOME.items()},
            names.TIME_TO_FIRST_CHUNK: None if first is None else first / 1000,
            names.FINISH_REASONS: [reason] if reason else None,
            names.CACHED_FROM: str(source) if source else None,
        }
    )


def attempted(attempt: Row) -> Attributes:
    """One HTTP request of several."""
    outcome = attempt["outcome"]
    return _known(
        {
            names.ATTEMPT_NUMBER: attempt["n"],
            names.ATTEMPT_PART: attempt.get("part"),
            names.STATUS_CODE: attempt["http_status"],
            names.ERROR_TYPE: None if outcome == "answered" else outcome,
            names.MAYBE_PAID: attempt["maybe_paid"],
        }
    )


def _known(said: Mapping[str, Value | None]) -> Attributes:
    """A fact that nobody knows has no attribute: it is not 0."""
    return {
        name: str(value) if isinstance(value, str) else value
        for name, value in said.items()
        if value is not None
    }

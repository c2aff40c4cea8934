"""One request as it goes down the road."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict
from uuid import UUID

from pydantic import BaseModel

from .basic import JsonValue
from .batch import BatchPlace
from .cache import CachePolicy
from .idempotency import KeyClaim
from .messages import LLMMessageDTO
from .payload import PayloadMode
from .routing import Candidate, FallbackReason
from .tools import ToolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """For whom and for what a call is made: written on the row, never sent to a provider."""

    user_id: UUID | None = None
    feature: str | None = None
    tenant: str | None = None
    conversation_id: str | None = None
    context: Mapping[str, JsonValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None


class AttributionValues(TypedDict, total=False):
    """The arguments of `attribution`, as a web application reads them off a request."""

    user_id: UUID | str | None
    feature: str | None
    tenant: str | None
    conversation_id: str | None
    context: Mapping[str, JsonValue] | None
    traceparent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it goes down the road: checked, resolved, frozen.

    ``timeout`` is the deadline of the whole call in seconds, ``max_retries`` the HTTP requests
    allowed after the first (retries and re-asks together). Without ``resend`` a request that may
    have been answered, and charged, is not sent again. Without ``cache`` its answer is neither
    taken from the cache nor kept there. ``claim`` is what its row says of the
    ``idempotency_key``, ``material`` what it is about and does not show in its messages.
    ``fallback`` are the models to be asked after this one, for the reasons in ``fallback_on``.
    """

    id: UUID
    operation: str
    provider: str
    model: str
    requested_model: str | None
    messages: tuple[LLMMessageDTO, ...]
    parameters: Mapping[str, Any]
    timeout: float
    max_retries: int
    output_type: type[BaseModel] | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    stream: bool = False
    resend: bool = True
    batch: BatchPlace | None = None
    cache: CachePolicy | None = None
    attribution: Attribution = field(default_factory=Attribution)
    payload_mode: PayloadMode = "full"
    idempotency_key: str | None = None
    claim: KeyClaim | None = None
    material: tuple[str, ...] = ()
    fallback: tuple[Candidate, ...] = ()
    fallback_on: frozenset[FallbackReason] = frozenset()
    replay_of: UUID | None = None

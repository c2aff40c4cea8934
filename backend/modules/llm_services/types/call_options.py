"""Keyword parameters that many kinds of call have in common, which `GenerationOptions` explains."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypedDict

from .basic import JsonValue
from .payload import PayloadMode
from .routing import FallbackReason


class RecordedOptions(TypedDict, total=False):
    """What is written on the row and never sent, and how often a request is repeated."""

    max_retries: int
    feature: str
    tenant: str
    conversation_id: str
    context: Mapping[str, JsonValue]
    payload_mode: PayloadMode


class KeyedOptions(RecordedOptions, total=False):
    """Those of a call that may have a key, so that it is paid for once."""

    idempotency_key: str


class CallOptions(KeyedOptions, total=False):
    """Those of a call with one deadline for all of it, in seconds."""

    timeout: float


class FallbackOptions(TypedDict, total=False):
    """Who else may answer, and for which reasons."""

    fallback: Sequence[str]
    fallback_on: Sequence[FallbackReason] | AbstractSet[FallbackReason]

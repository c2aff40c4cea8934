"""What is kept of an answer: bytes that say whose they are, and whether they are whole."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

from modules.llm_services.types import JsonObject

ENTRY_VERSION = 1
"""To be raised when an entry of before can no longer be read as it was meant."""
_CHECKED = 16  # bytes of BLAKE2b behind the body
HEAD = 4_096
"""Bytes of an entry that surely hold its labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Of which call an entry is, and for whom it was. ``stored_at``: seconds since 1970."""

    provider: str
    model: str
    feature: str | None
    user: str | None
    tenant: str | None
    stored_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An answer with the id of the row that paid for it, and what it cost, in USD."""

    labels: Labels
    source_id: UUID
    cost: str | None
    replies: list[JsonObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries are meant; what is not given does not matter.

    ``model`` may be ``provider:model``. ``stored_before`` is in seconds since 1970.
    """

    model: str | None = None
    feature: str | None = None
    user: str | None = None
    tenant: str | None = None
    stored_before: float | None = None

    def matches(self, labels: Labels) -> bool:
        """Whether an entry with these labels is meant."""
        return (
            self.model in {None, labels.model, f"{labels.provider}:{labels.model}"}
            and self.feature in {None, labels.feature}
            and self.user in {None, labels.user}
            and self.tenant in {None, labels.tenant}
            and (self.stored_before is None or labels.stored_at < self.stored_before)
        )


def pack(key: str, entry: Entry) -> bytes:
    """An entry as bytes: a line of labels, the answer, and a checksum of both and of the key."""
    labels = json.dumps([ENTRY_VERSION, *asdict(entry.labels).values()]).encode()
    answer = {"source": str(entry.source_id), "cost": entry.cost, "replies": entry.replies}
    body = labels + b"\n" + json.dumps(answer, separators=(",", ":")).encode()
    return body + _checksum(key, body)


def unpack(key: str, packed: bytes) -> Entry | None:
    """The entry, or ``None`` when the bytes are not whole, of another version or of another key:
    a store that mixes things up gives nobody another's answer.
    """
    body, checksum = packed[:-_CHECKED], packed[-_CHECKED:]
    labels = labels_of(body) if _checksum(key, body) == checksum else None
    if labels is None:
        return None
    answer = json.loads(body[body.index(b"\n") + 1 :])
    return Entry(
        labels=labels,
        source_id=UUID(answer["source"]),
        cost=answer["cost"],
        replies=answer["replies"],
    )


def labels_of(head: bytes) -> Labels | None:
    """The labels of an entry that begins like this, or ``None`` when it is none of ours."""
    try:
        version, *values = json.loads(head[:HEAD].partition(b"\n")[0])
        return labels_from(values) if version == ENTRY_VERSION else None
    except (ValueError, TypeError):
        return None


def labels_from(values: Sequence[Any]) -> Labels:
    """Labels from their fields, in order."""
    return Labels(**dict(zip(_LABELS, values, strict=True)))


_LABELS = tuple(field.name for field in fields(Labels))


def _checksum(key: str, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKED, key=key[:64].encode()).digest()

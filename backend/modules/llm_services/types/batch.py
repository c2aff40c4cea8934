"""Many requests handed over at once and answered within a day, for half the price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from .call_options import RecordedOptions
from .messages import LLMMessageDTO
from .options import GenerationParameters
from .results import LLMResponseDTO

BatchState = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """One request of a batch.

    ``key`` names it among the others and comes back with its result (its position by default).
    With a ``response_model`` the answer is an instance of that class. ``parameters`` are those of
    `generate_response` that go to the model, in neutral names; a batch has no ``service_tier``.
    """

    messages: Sequence[LLMMessageDTO]
    key: str | None = None
    response_model: type[BaseModel] | None = None
    parameters: GenerationParameters = field(default_factory=GenerationParameters)


class BatchOptions(RecordedOptions, total=False):
    """The keyword parameters of ``submit_batch``.

    ``timeout`` (seconds) holds for each of its two steps, the upload and the order;
    ``max_retries`` too. ``feature``, ``tenant``, ``conversation_id`` and ``context`` are written
    on every row and never sent.
    """

    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDTO:
    """A batch that was handed over. ``id`` is what `batch_status` and `collect_batch` take, in this
    process or another; ``request_ids`` are the rows, by the requests' keys.
    """

    id: str
    request_ids: Mapping[str, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatusDTO:
    """How far a batch is. Times are aware, in UTC; requests that failed count as ``failed``."""

    id: str
    status: BatchState
    total: int
    completed: int
    failed: int
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether the vendor is through with it, so that it can be collected."""
        return self.status in {"completed", "failed", "expired", "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The end of one request of a batch: a ``response``, or an ``error`` (an ``LLMError``).

    ``parsed`` is the instance of the request's ``response_model``, if it had one. ``request_id``
    is its row.
    """

    key: str
    request_id: UUID
    response: LLMResponseDTO | None = None
    parsed: BaseModel | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """Where a call stands in a batch of ours: the batch's own id, and the call's key in it."""

    batch_id: UUID
    key: str

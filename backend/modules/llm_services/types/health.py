"""How the module is doing, for a readiness probe and for whoever is called at night."""

from datetime import date, datetime
from typing import Literal, TypeAlias

from pydantic import ConfigDict

from .frozen import Frozen

HealthStatus: TypeAlias = Literal["ok", "degraded", "down"]


class _Part(Frozen):
    model_config = ConfigDict(from_attributes=True)


class DatabaseHealth(_Part):
    """Whether the ledger's database ``answers``, and in how many ``milliseconds``.

    ``problem`` is the class of what it said instead.
    """

    answers: bool
    milliseconds: int | None = None
    problem: str | None = None


class SpoolHealth(_Part):
    """Where rows wait while the database is ``away``: ``unwritten`` ones in memory, ``spooled``
    ones on the disk since ``oldest``. ``torn`` lines could not be read, ``rejected`` rows fitted
    no column.
    """

    mode: Literal["normal", "away"]
    unwritten: int
    spooled: int
    oldest: datetime | None
    torn: int
    rejected: int


class CircuitHealth(_Part):
    """A model that has failed lately: ``failures`` in a row, ``seconds`` until it is tried."""

    model: str
    state: Literal["closed", "open", "half-open"]
    failures: int
    seconds: float


class ProbeHealth(_Part):
    """What a model said when it was asked: nothing but that it ``answers``, or the error's type."""

    model: str
    answers: bool
    error_type: str | None = None


class ProviderHealth(_Part):
    """A provider that a role names or that has been asked.

    ``problem`` says what it lacks; ``last_success`` is when it last answered this process, and
    ``None`` until it has.
    """

    name: str
    problem: str | None = None
    last_success: datetime | None = None
    circuits: tuple[CircuitHealth, ...] = ()
    probes: tuple[ProbeHealth, ...] = ()


class RetiringModel(_Part):
    """A model that a role stands for and that stops answering on ``day``; ``days_left`` are
    negative once it has. ``tenant`` has a role of its own.
    """

    role: str
    provider: str
    model: str
    day: date
    days_left: int
    instead: str | None = None
    tenant: str | None = None


class HealthReport(_Part):
    """How the module is doing.

    ``down``: a call would fail, for neither database nor spool takes its row, or the provider of
    calls that name no model lacks its key. ``degraded``: calls are answered, but rows wait for the
    database, or a model's circuit is open, or a probe failed. Models that retire change nothing.
    """

    status: HealthStatus
    database: DatabaseHealth
    spool: SpoolHealth
    providers: tuple[ProviderHealth, ...]
    retiring: tuple[RetiringModel, ...]

    @property
    def ready(self) -> bool:
        """Whether calls would be answered."""
        return self.status != "down"

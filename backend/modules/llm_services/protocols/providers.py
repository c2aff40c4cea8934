"""All that the module offers, put together of the small Protocols."""

from typing import Protocol

from .audio import GeneratesAudio, TranscribesAudio
from .batch import RunsBatches
from .budgets import TellsBudgets
from .cache import KeepsCache
from .embeddings import GeneratesEmbeddings
from .health import TellsHealth
from .images import GeneratesImages
from .ledger import EstimatesCost, ReadsLedger
from .money import AuditsCosts
from .overview import OverviewsLedger, ReportsUsage
from .replays import ReplaysRequests
from .retention import PurgesLedger
from .search import SearchesWeb
from .streams import StreamsStructured, StreamsText
from .text import GeneratesStructured, GeneratesText
from .tools import RunsTools


class LLMServicesProvider(
    GeneratesText,
    GeneratesStructured,
    RunsTools,
    StreamsText,
    StreamsStructured,
    GeneratesImages,
    GeneratesEmbeddings,
    GeneratesAudio,
    TranscribesAudio,
    SearchesWeb,
    RunsBatches,
    ReadsLedger,
    EstimatesCost,
    TellsBudgets,
    ReplaysRequests,
    TellsHealth,
    Protocol,
):
    """All that the module offers."""


class LLMServicesAdminProvider(
    OverviewsLedger,
    PurgesLedger,
    ReportsUsage,
    AuditsCosts,
    KeepsCache,
    ReplaysRequests,
    Protocol,
):
    """What operators do with the whole ledger, across users."""

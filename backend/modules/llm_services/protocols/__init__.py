"""What the module offers, as small Protocols: a sibling asks for as little as it needs."""

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
from .providers import LLMServicesAdminProvider, LLMServicesProvider
from .replays import ReplaysRequests
from .retention import PurgesLedger
from .search import SearchesWeb
from .streams import ObjectStream, StreamsStructured, StreamsText, TextStream
from .text import GeneratesStructured, GeneratesText
from .tools import RunsTools

__all__ = [
    "AuditsCosts",
    "EstimatesCost",
    "GeneratesAudio",
    "GeneratesEmbeddings",
    "GeneratesImages",
    "GeneratesStructured",
    "GeneratesText",
    "KeepsCache",
    "LLMServicesAdminProvider",
    "LLMServicesProvider",
    "ObjectStream",
    "OverviewsLedger",
    "PurgesLedger",
    "ReadsLedger",
    "ReplaysRequests",
    "ReportsUsage",
    "RunsBatches",
    "RunsTools",
    "SearchesWeb",
    "StreamsStructured",
    "StreamsText",
    "TellsBudgets",
    "TellsHealth",
    "TextStream",
    "TranscribesAudio",
]

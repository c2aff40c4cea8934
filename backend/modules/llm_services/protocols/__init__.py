"""What the module offers, as small Protocols: a sibling asks for as little as it needs."""

from .ledger import EstimatesCost, ReadsLedger
from .streams import ObjectStream, StreamsStructured, StreamsText, TextStream
from .text import GeneratesStructured, GeneratesText

__all__ = [
    "EstimatesCost",
    "GeneratesStructured",
    "GeneratesText",
    "ObjectStream",
    "ReadsLedger",
    "StreamsStructured",
    "StreamsText",
    "TextStream",
]

"""What the package offers, all of it; the package itself loads it late."""

from .cassettes import cassette_from
from .fake import FakeLLMServices
from .recorded import RecordedCall
from .script import UnscriptedError

__all__ = ["FakeLLMServices", "RecordedCall", "UnscriptedError", "cassette_from"]

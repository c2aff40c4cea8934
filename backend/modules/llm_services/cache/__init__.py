"""Answers that are given again: exact requests only, never somebody else's.

``key`` says when two requests are the same, ``entry`` what is kept of an answer; ``memory``,
``disk`` and ``remote`` keep it; ``flights`` lets calls under way share one request.
"""

from .disk import DiskStore
from .entry import Entry, Labels, Selection, pack, unpack
from .flights import Flights
from .key import cache_key
from .memory import MemoryStore
from .remote import RedisStore
from .store import CacheStore

__all__ = [
    "CacheStore",
    "DiskStore",
    "Entry",
    "Flights",
    "Labels",
    "MemoryStore",
    "RedisStore",
    "Selection",
    "cache_key",
    "pack",
    "unpack",
]

"""Answers on their way into the cache and out of it.

``once`` takes an answer from the cache, or from another call that is getting it, or has it asked
for; ``replies`` writes a reply as JSON and reads it as strictly as one that comes from a vendor.
"""

from .once import Remembering

__all__ = ["Remembering"]

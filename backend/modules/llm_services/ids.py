"""Ids of rows: UUID version 7, so that new rows lie together in the primary key's index."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A UUID of RFC 9562 version 7: milliseconds since 1970, then 74 random bits.

    ``uuid.uuid7`` of Python 3.14 does the same.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10))
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76  # the version
    value = value & ~(0x3 << 62) | 0x2 << 62  # the variant
    return UUID(int=value)

"""Content that needs no cleaning, which nearly all of it is: one look instead of one at each text.

As JSON a row's whole content is one text that is made and searched in C. What is found there only
says that the texts must be looked at one by one: a false alarm costs time, never a secret.
"""

from collections.abc import Iterable

from pydantic_core import to_json

from .binaries import may_hold_a_file
from .secrets import marks_of_keys

_NUL = b"\\u0000"


def traces_of(keys: Iterable[str]) -> tuple[bytes, ...]:
    """What stands in JSON that may hold a key, one of the given or of a known form, or a NUL."""
    return (_NUL, *(to_json(mark)[1:-1] for mark in marks_of_keys(keys)))


def is_plain(content: object, longest: int, traces: Iterable[bytes]) -> bool:
    """Whether no text in it is over ``longest`` characters, encodes a file, may hold a key, or
    could not be stored.
    """
    try:
        text = to_json(content)
    except ValueError:  # a lone surrogate, a circle, or no JSON at all
        return False
    if len(text) > longest:
        return False
    for trace in traces:
        if trace in text:
            return False
    return not may_hold_a_file(text.decode())

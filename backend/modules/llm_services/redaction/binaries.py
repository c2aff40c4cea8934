"""Files that somebody wrote into a text as base64: they are kept by type, size and hash."""

import hashlib
import re

_STEP = 256
_SHORTEST = 512  # characters of what is taken for a file
_LETTERS = re.compile(r"[A-Za-z0-9+/_-]*")
_RUN = re.compile(
    r"(?:data:([\w.+/-]{1,80})(?:;[\w.=-]{1,40}){0,3};base64,)?([A-Za-z0-9+/_-]{512,}=*)"
)
_UNBROKEN = re.compile(r"[A-Za-z0-9+/_=.,:;-]*")  # what may be part of a file's text
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])")


def without_encoded_files(text: str) -> str:
    """The text with every run of base64 of 512 characters or more replaced by what it was.

    Plain words, genomes and rows of one letter stay: encoded files mix cases and digits.
    """
    return _RUN.sub(_described, text) if may_hold_a_file(text) else text


def beginning_without_files(text: str, wanted: int) -> str:
    """The same for as much of a text as gives ``wanted`` characters, and at least that many where
    there are. What comes after is not looked at: it may be megabytes.
    """
    if len(text) <= wanted:
        return without_encoded_files(text)
    pieces, size, start = [], 0, 0
    while start < len(text) and size < wanted:
        end = _end_of_word(text, start + wanted)
        pieces.append(without_encoded_files(text[start:end]))
        size, start = size + len(pieces[-1]), end
    return "".join(pieces)


def _end_of_word(text: str, start: int) -> int:
    """So that no file is cut in two."""
    word = _UNBROKEN.match(text, start)
    return word.end() if word else len(text)


def may_hold_a_file(text: str) -> bool:
    """Whether there are 512 letters in a row. Whoever looks at every 256th does not miss them."""
    if len(text) < _SHORTEST:
        return False
    for start in range(0, len(text) - _STEP + 1, _STEP):
        if _LETTERS.fullmatch(text, start, start + _STEP):
            return True
    return False


def _described(run: re.Match[str]) -> str:
    encoded = run[2]
    if not _MIXED.match(encoded[:_STEP]):
        return run[0]
    digest = hashlib.sha256(encoded.encode()).hexdigest()
    size = len(encoded.rstrip("=")) * 3 // 4
    return f"[omitted: {run[1] or 'base64'}, {size} bytes, sha256 of the text {digest}]"

"""Files that somebody wrote into a text as base64: they are kept by type, size and hash."""

import hashlib
import re
from collections.abc import Iterator

_STEP = 256
_SHORTEST = 512  # characters of what is taken for a file
_PIECE = 2**18  # characters that are looked at in one go: a search holds up all other threads
_LETTERS = "A-Za-z0-9+/_-"
_NO_LETTER = re.compile(f"[^{_LETTERS}]")
_HEAD = re.compile(r"data:([\w.+/-]{1,80})(?:;[\w.=-]{1,40}){0,3};base64,\Z")
_LONGEST_HEAD = 216
_NO_PADDING = re.compile("[^=]")
_BREAK = re.compile(f"[^=.,:;{_LETTERS}]")  # what cannot be part of a file's text
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])")


def without_encoded_files(text: str) -> str:
    """The text with every run of base64 of 512 characters or more replaced by what it was.

    Plain words, genomes and rows of one letter stay: encoded files mix cases and digits.
    """
    pieces: list[str] = []
    done = floor = 0
    for start, end in _runs(text):
        head = _HEAD.search(text, max(start - _LONGEST_HEAD, floor), start)
        floor = _first(_NO_PADDING, text, end)
        if _MIXED.match(text, start, start + _STEP):
            pieces += text[done : head.start() if head else start], _told(head, text[start:floor])
            done = floor
    return "".join([*pieces, text[done:]]) if pieces else text


def beginning_without_files(text: str, wanted: int) -> str:
    """The same for as much of a text as gives ``wanted`` characters, and at least that many where
    there are. What comes after is not looked at: it may be megabytes.
    """
    if len(text) <= wanted:
        return without_encoded_files(text)
    pieces, size, start = [], 0, 0
    while start < len(text) and size < wanted:
        end = _first(_BREAK, text, start + wanted)  # no file is cut in two
        pieces.append(without_encoded_files(text[start:end]))
        size, start = size + len(pieces[-1]), end
    return "".join(pieces)


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Where 512 letters or more stand in a row."""
    end = 0
    for probe in range(0, len(text) - _STEP + 1, _STEP):
        if probe < end or _NO_LETTER.search(text, probe, probe + _STEP):
            continue
        others = _NO_LETTER.finditer(text, max(probe - _STEP, 0), probe)
        start = max((other.end() for other in others), default=0)
        end = _first(_NO_LETTER, text, probe)
        if end - start >= _SHORTEST:
            yield start, end


def may_hold_a_file(text: str) -> bool:
    """Whether there are 512 letters in a row. Whoever looks at every 256th does not miss them."""
    if len(text) < _SHORTEST:
        return False
    for start in range(0, len(text) - _STEP + 1, _STEP):
        if not _NO_LETTER.search(text, start, start + _STEP):
            return True
    return False


def _first(sought: re.Pattern[str], text: str, start: int) -> int:
    """Where a character is found from ``start`` on, else where the text ends."""
    for piece in range(start, len(text), _PIECE):
        if found := sought.search(text, piece, piece + _PIECE):
            return found.start()
    return len(text)


def _told(head: re.Match[str] | None, encoded: str) -> str:
    digest = hashlib.sha256(encoded.encode()).hexdigest()
    kind, size = head[1] if head else "base64", len(encoded.rstrip("=")) * 3 // 4
    return f"[omitted: {kind}, {size} bytes, sha256 of the text {digest}]"

"""Megabytes without holding up the event loop: in a thread, and piece by piece.

A thread alone does not help: base64 and JSON hold the interpreter for as long as one call of
theirs lasts. What is small is done at once, for a hop to a thread costs more than the work.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any, ParamSpec, TypeVar

from pydantic_core import from_json, to_json

from .types import LLMMessageDTO, MediaPart, TextPart

LARGE = 256 * 1024
"""Bytes or characters from which on work is worth a thread: about a millisecond of it."""
_MANY = 500  # messages: checked and written one by one, they take some microseconds each
_BYTES = 768 * 1024  # a multiple of 3, so that pieces of base64 fit together
_CHARACTERS = 1024 * 1024  # a multiple of 4, for the way back
_JSON = 2 * 1024 * 1024  # bytes that are read at once: up to 30 ms
_BACKSLASH = ord("\\")
# Where JSON's text may be cut: before an escape that is no second half of a pair, or before a
# character that has no escape near it.
_CUT = re.compile(rb"(?<!\\)\\(?!u[dD][c-fC-F])|(?<=[^\\]{12})[^\x80-\xbf]")

P = ParamSpec("P")
T = TypeVar("T")


async def off_loop(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``work`` gives: from a worker thread when ``size`` is large, else at once."""
    if size < LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def weight(messages: object) -> int:
    """Roughly the bytes of a conversation, of which nothing needs to have been checked.

    A file weighs as much as a large one: reading it is what takes time.
    """
    if not isinstance(messages, list | tuple):
        return 0
    if len(messages) > _MANY:
        return LARGE
    size = 0
    for message in messages:  # it is asked for several times a call
        if isinstance(message, LLMMessageDTO):
            said = getattr(message, "content", None)  # model_construct sets only what it is given
            size += str.__len__(said) if isinstance(said, str) else _parts(said)
    return size


def _parts(content: object) -> int:
    return sum(map(_part, content)) if isinstance(content, list | tuple) else 0


def _part(part: object) -> int:
    if not isinstance(part, MediaPart | TextPart):
        return 0
    held = (getattr(part, name, None) for name in ("text", "data", "url"))
    return sum(_held(value) for value in held if isinstance(value, str | bytes | bytearray))


def _held(value: str | bytes | bytearray) -> int:
    is_file = isinstance(value, str) and value[:5].lower() == "file:"
    return LARGE if is_file else len(value)


def encoded(data: bytes) -> str:
    """The bytes in base64."""
    pieces = (data[n : n + _BYTES] for n in range(0, len(data), _BYTES))
    return b"".join(map(base64.b64encode, pieces)).decode("ascii")


def decoded(text: str, start: int = 0) -> bytes:
    """The bytes that stand in base64 from ``start`` on. Raises `ValueError` for anything else."""
    places = range(start, len(text), _CHARACTERS)
    pieces = [base64.b64decode(text[n : n + _CHARACTERS], validate=True) for n in places]
    if any(len(piece) < _CHARACTERS // 4 * 3 for piece in pieces[:-1]):
        raise binascii.Error("padding in the middle")
    return b"".join(pieces)


def identity(text: str) -> str | list[object]:
    """What stands for a text where only equality matters: itself, or of a long one its hash, made
    piece by piece. No list of parts of a message looks like it.
    """
    if len(text) <= _CHARACTERS:
        return text
    digest = hashlib.sha256()
    for n in range(0, len(text), _CHARACTERS):
        digest.update(text[n : n + _CHARACTERS].encode("utf-8", "surrogatepass"))
    return ["long text", len(text), digest.hexdigest()]


def lone_surrogate(text: str) -> int:
    """Where a text holds half a character, which UTF-8 cannot carry; -1 where there is none."""
    for n in range(0, 0 if text.isascii() else len(text), _CHARACTERS):
        try:
            text[n : n + _CHARACTERS].encode()
        except UnicodeEncodeError as error:
            return n + error.start
    return -1


def parsed_json(body: bytes) -> object:
    """What JSON says, without NaN and Infinity. Raises `ValueError` for what is none, and
    `RecursionError`.

    Of megabytes, long texts are read first, piece by piece, and the rest by a parser that calls
    functions of Python's for objects and numbers: there, others have their turn.
    """
    if len(body) >= _JSON:
        try:
            return _parsed_in_turns(body)
        except ValueError:
            pass  # the other parser knows better what is wrong
    return from_json(body, allow_inf_nan=False)


def _parsed_in_turns(body: bytes) -> object:
    rest, texts, done = [], [], 0
    for start, end in _long_texts(body):
        rest.append(body[done:start])
        texts.append(_unescaped(body, start + 1, end))
        done = end + 1
    texts.reverse()

    def text(word: str) -> str:
        """The text in whose place there is a word that JSON does not have."""
        if not texts:
            raise ValueError(f"{word} is not JSON")
        return texts.pop()

    return json.loads(
        b"NaN".join([*rest, body[done:]]).decode(),
        parse_constant=text,
        object_hook=lambda value: value,
        parse_float=lambda digits: float(digits),  # noqa: PLW0108 - a function of Python's
        parse_int=lambda digits: int(digits),  # noqa: PLW0108
    )


def _long_texts(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the quotes of long texts are. What a quote is depends on all quotes before it."""
    start = body.find(b'"') if _may_hold_long_text(body) else -1
    while start >= 0 and (end := _closing_quote(body, start + 1)) > 0:
        if end - start > _CHARACTERS:
            yield start, end
        start = body.find(b'"', end + 1)


def _may_hold_long_text(body: bytes) -> bool:
    """Whether there is a long piece in which each quote seems to be escaped."""
    step = _CHARACTERS // 2
    return any(
        body.count(b'"', n, n + step) == body.count(b'\\"', max(n - 1, 0), n + step)
        for n in range(0, len(body), step)
    )


def _closing_quote(body: bytes, start: int) -> int:
    """Where a text ends; -1 if nowhere."""
    quote = body.find(b'"', start)
    while quote > 0 and _is_escaped(body, quote):
        quote = body.find(b'"', quote + 1)
    return quote


def _is_escaped(body: bytes, quote: int) -> bool:
    before = quote
    while body[before - 1] == _BACKSLASH:
        before -= 1
    return (quote - before) % 2 == 1


def _unescaped(body: bytes, start: int, end: int) -> str:
    """The text between two quotes."""
    pieces = []
    while start < end:
        cut = _CUT.search(body, start + _CHARACTERS, end)
        until = cut.start() if cut else end
        pieces.append(json.loads(f'"{body[start:until].decode()}"'))
        start = until
    return "".join(pieces)


def json_pieces(value: Mapping[str, Any]) -> list[bytes]:
    """A large object's JSON as it goes over the wire, in pieces of about `LARGE` bytes."""
    pieces, small = [], bytearray()
    for piece in _json(value):
        small += piece
        if len(small) >= LARGE:
            pieces.append(bytes(small))
            small.clear()
    return [*pieces, bytes(small)]


def _json(value: Any) -> Iterator[bytes]:
    """JSON bit by bit, none of which takes long: text is escaped character by character."""
    if isinstance(value, str) and len(value) > _CHARACTERS:
        yield b'"'
        for n in range(0, len(value), _CHARACTERS):
            yield to_json(value[n : n + _CHARACTERS])[1:-1]
        yield b'"'
    elif isinstance(value, Mapping) and value:
        for mark, (key, item) in zip(_marks(b"{"), value.items(), strict=False):
            yield mark + to_json(key) + b":"
            yield from _json(item)
        yield b"}"
    elif isinstance(value, list | tuple) and value:
        for mark, item in zip(_marks(b"["), value, strict=False):
            yield mark
            yield from _json(item)
        yield b"]"
    else:
        yield to_json(value)


def _marks(opening: bytes) -> Iterator[bytes]:
    """What stands before each item."""
    return chain((opening,), repeat(b","))


async def sent_singly(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A body of which each piece is encrypted and sent before the next: others have their turn."""
    for piece in pieces:
        yield piece

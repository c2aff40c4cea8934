"""What may be stored: text that every database takes, and no secret in an error message.

PostgreSQL refuses NUL in text and lone surrogates anywhere; SQLite stores both. What the caller
gets is never changed, only what is written down.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

MESSAGE_LIMIT = 4_000
PREVIEW_LIMIT = 200
_LONGEST_WORD = 100
_OF_NUMBERS = "0123456789 ()./+-"
_SECRET = re.compile(
    r"\b(?:sk|pk|rk|key|api)[-_][A-Za-z0-9_\-*]{6,}|\bBearer\s+[^\s'\"]+|\bAIza[0-9A-Za-z_\-]{20,}",
    re.IGNORECASE,
)
_SECRET_MARKS = ("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "key-", "key_", "api-", "api_")
_ENCODED = re.compile(r"[A-Za-z0-9+/_\\-]{256,}=*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def storable_text(text: str) -> str:
    """The text without what a database would refuse; the same object when nothing is wrong."""
    if text.isascii():
        return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if "\x00" in text else text


def storable_json(value: object) -> str:
    """Compact JSON that every database takes: no NUL, no lone surrogate, no NaN."""
    try:
        text = _dumps(value)
    except ValueError:
        text = _dumps(_without_nan(value))
    if "\\u0000" in text:  # an odd backslash before it: else it is plain text
        text = _ESCAPED_NUL.sub("\\1\N{REPLACEMENT CHARACTER}", text)
    return storable_text(text)


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(item) for item in value]
    return value


def safe_error_text(text: str) -> str:
    """An error message as it may be stored and logged: one bounded text without keys or escapes."""
    return shortened(_CONTROL.sub(" ", storable_text(without_secrets(text))), MESSAGE_LIMIT)


def without_secrets(text: str) -> str:
    """The text with everything that looks like a key masked."""
    lower = text.lower()  # looking for the marks first is ten times faster
    if any(mark in lower for mark in (*_SECRET_MARKS, "bearer", "aiza")):
        return _SECRET.sub("***", text)
    return text


def without_binaries(text: str) -> str:
    """The text with pictures and sound left out that were written into it as base64."""
    return _ENCODED.sub(lambda run: f"[{len(run[0])} characters omitted]", text)


def shortened(text: str, limit: int) -> str:
    """The first ``limit`` characters at most, cut between words where there are any: no redactor
    finds half an address or half a key.
    """
    if len(text) <= limit:
        return text
    sure = max(limit - _LONGEST_WORD, 0)
    words = text[sure:limit].rstrip(_OF_NUMBERS).rsplit(None, 1)
    return text[:sure] + (words[0] if words else "")


def preview(text: str) -> str | None:
    """The first characters of a text, for lists; ``None`` for an empty one."""
    return storable_text(text[:PREVIEW_LIMIT]) or None

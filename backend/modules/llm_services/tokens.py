"""How many tokens a prompt has, before it is sent: counted by o200k, else estimated.

Counting needs the encoding's 3.6 MB of ranks: the ``tokens`` extra (bpe-openai) carries them, and
a tiktoken that already has them on disk serves as well. Nothing here ever downloads anything.
Without either, classes of characters are weighed.
"""

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import ceil
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Literal, TypeAlias

from .attachments import probable_tokens
from .types import LLMMessageDTO, MediaPart

_Encode: TypeAlias = Callable[[str], Sequence[int]]

# OpenAI's rule of thumb for chats: per message, per name, and for the start of the answer.
_PER_MESSAGE, _PER_NAME, _PRIMING = 3, 1, 3
_TYPICAL_OUTPUT = 500

_LATIN = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_CYRILLIC = "\u0400-\u052f"
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_ALPHABETS = "\u0370-\u03ff\u0530-\u1dff\u1f00-\u1fff"
_SIGNS = r"\x00-\x08!-/:-@\[-`{-\x7f"
# Tokens of o200k per match, fitted to it: 6 % mean error over English, German, French, Spanish,
# Russian, Chinese, Japanese, Korean, code and JSON, most texts within 15 %. A lone space is part
# of the word behind it and costs nothing; a word costs again for every six letters that it goes
# on after.
_WEIGHTS = (
    (0.56, re.compile(f"[{_LATIN}]+")),
    (1.97, re.compile(f"[{_LATIN}]{{6}}(?=[{_LATIN}])")),
    (1.69, re.compile("[0-9]{1,3}")),
    (0.83, re.compile(f"[{_SIGNS}]+")),
    (0.49, re.compile(r"[\r\n]+")),  # in one pattern with the next, they take twice the time
    (0.49, re.compile(r"[ \t]{2,}")),
)
_WEIGHTS_BEYOND_ASCII = (
    (0.29, re.compile(f"[{_CYRILLIC}]")),
    (0.68, re.compile(f"[{_CJK}]")),
    # Greek, Arabic, Hindi, Thai and the like: fitted apart, to the messages of Debian's programs.
    (0.40, re.compile(f"[{_ALPHABETS}]")),
    (1.53, re.compile(rf"[^{_LATIN}{_CYRILLIC}{_CJK}{_ALPHABETS}0-9{_SIGNS}\s]")),
)
# Long, unbroken, of mixed case and with digits: bytes of a picture or a key, not words.
_BYTE = "[A-Za-z0-9+/_-]"
_BASE64 = re.compile(
    rf"(?<!{_BYTE})(?={_BYTE}{{64}})(?={_BYTE}*[0-9])(?={_BYTE}*[a-z])(?={_BYTE}*[A-Z]){_BYTE}+"
)
_BASE64_PER_TOKEN = 1.4

# Tokens of another vendor's model per token of o200k, to start with: `calibration_factor` knows
# better after a few answers. Reported by users, but for DeepSeek-V3, measured by script.
_VENDOR_FACTORS = (
    (re.compile("claude"), 1.35),
    (re.compile("gemini|gemma|llama|qwen|qwq"), 1.15),
    (re.compile("mistral|ministral|magistral|codestral|devstral|mixtral|pixtral"), 1.15),
)
_DEEPSEEK_FACTOR = 1.05
_DEEPSEEK_SCRIPTS = ((re.compile(f"[{_CYRILLIC}]"), 1.10), (re.compile(f"[{_CJK}]"), 0.94))

_ENCODING = "o200k_base"
# tiktoken's name for it in its cache (sha1 of the URL) and the hash that tiktoken expects.
_RANKS_FILE = "fb374d419588a4632f3f557e76b4b70aebbca790"
_RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
# bpe-openai refuses more than 200,000 tokens at once, and a character has four at most.
_PIECE = 50_000
_LOADING = Lock()


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Tokens of a prompt and how they were found.

    "o200k" is exact for the text of OpenAI's models and scaled for other vendors'; "heuristic"
    is about 6 % off that on average.
    """

    tokens: int
    method: Literal["o200k", "heuristic"]


def count_messages(messages: Sequence[LLMMessageDTO], model: str) -> TokenEstimate:
    """Tokens of a conversation as ``model`` will count them, with what surrounds its messages.

    The first call loads the encoding where there is one (about 1 s): see `warm`.
    """
    encode = _encoding()
    method: Literal["o200k", "heuristic"] = "heuristic" if encode is None else "o200k"
    tokens = _PRIMING
    for message in messages:
        tokens += _PER_MESSAGE + _text_tokens(_said(message), model, encode)
        tokens += sum(probable_tokens(p) for p in message.parts if isinstance(p, MediaPart))
        if message.name:
            tokens += _PER_NAME + _text_tokens(message.name, model, encode)
    return TokenEstimate(tokens, method)


def _said(message: LLMMessageDTO) -> str:
    """The text of a message with the calls of tools in it."""
    calls = [f"{call.name} {call.arguments}" for call in message.tool_calls]
    return "\n".join([message.text, *calls])


def token_ratio(model: str, other: str) -> float:
    """Tokens of a text on the ``other`` model for each that it has on this one, roughly."""
    return _vendor_factor(other.lower(), "") / _vendor_factor(model.lower(), "")


def estimate_text_tokens(text: str) -> int:
    """Estimate a text's o200k tokens without the encoding: about 0.25 ms per 2 kB."""
    return sum(map(_estimated_tokens, _pieces(text)))


def _pieces(text: str) -> Iterable[str]:
    """A long text piece by piece: whoever counts it at once holds up all other threads."""
    if len(text) <= _PIECE:
        return (text,)
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def _estimated_tokens(text: str) -> int:
    runs = _BASE64.findall(text)
    words = _BASE64.sub(" ", text) if runs else text
    weights = _WEIGHTS if words.isascii() else _WEIGHTS + _WEIGHTS_BEYOND_ASCII
    tokens = sum(weight * len(pattern.findall(words)) for weight, pattern in weights)
    return ceil(tokens + sum(map(len, runs)) / _BASE64_PER_TOKEN)


def calibration_factor(pairs: Iterable[tuple[int, int]], weight: float = 0.2) -> float:
    """What to multiply estimates with, learnt from (estimated, reported) pairs, oldest first.

    A moving average of reported / estimated in which each newer pair counts for ``weight``. It
    stays within 0.5 and 2.0, and so does each pair's part in it; 1.0 without data.
    """
    average: float | None = None
    for estimated, reported in pairs:
        if estimated > 0 and reported > 0:
            ratio = min(max(reported / estimated, 0.5), 2.0)
            average = ratio if average is None else average + weight * (ratio - average)
    return 1.0 if average is None else average


def expected_output_tokens(history: Sequence[int], cap: int | None) -> int:
    """The median of recent answers' completion tokens (500 without any), and never above ``cap``.

    It is the answer's length, not the counting of the prompt, that an estimated cost depends on.
    """
    expected = ceil(median(history)) if history else _TYPICAL_OUTPUT
    return expected if cap is None else min(expected, cap)


def warm() -> None:
    """Load the encoding, where there is one (about 1 s): in a worker thread, before the first."""
    _encoding()


def is_warm() -> bool:
    """Whether counting needs to load nothing any more."""
    return _load_encoding.cache_info().currsize > 0


def _text_tokens(text: str, model: str, encode: _Encode | None) -> int:
    if encode is None:
        tokens = estimate_text_tokens(text)
    else:
        tokens = sum(len(encode(piece)) for piece in _pieces(text))
    return ceil(tokens * _vendor_factor(model.lower(), text))


def _vendor_factor(model: str, text: str) -> float:
    for names, factor in _VENDOR_FACTORS:
        if names.search(model):
            return factor
    if "deepseek" not in model:
        return 1.0
    for script, factor in _DEEPSEEK_SCRIPTS:
        if len(script.findall(text[:_PIECE])) > min(len(text), _PIECE) / 2:
            return factor
    return _DEEPSEEK_FACTOR


def _encoding() -> _Encode | None:
    with _LOADING:  # so that a call during the warm-up waits for it instead of loading again
        return _load_encoding()


@cache
def _load_encoding() -> _Encode | None:
    return _encoding_of("bpe_openai") or (_encoding_of("tiktoken") if _has_ranks() else None)


def _encoding_of(library: str) -> _Encode | None:
    with warnings.catch_warnings():
        # bpe-openai 0.1.4 opens its ranks by an outdated function of importlib.resources, which
        # would raise where warnings are errors. Can go when a release uses `files`.
        warnings.filterwarnings("ignore", "open_binary is deprecated", DeprecationWarning)
        try:
            encode: _Encode = import_module(library).get_encoding(_ENCODING).encode_ordinary
        except ImportError:
            return None
    return encode


def _has_ranks() -> bool:
    """Whether tiktoken finds its file: else, or if it is damaged, tiktoken would download it."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    try:
        ranks = (Path(folder) / _RANKS_FILE).read_bytes() if folder else b""
    except OSError:
        return False
    return hashlib.sha256(ranks).hexdigest() == _RANKS_SHA256

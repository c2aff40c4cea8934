"""A long text in pieces that can be spoken one by one: cut where a speaker would breathe."""

import re

from modules.llm_services.exceptions import LLMInputError

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_BREAKS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[”’」』）]*|\n"),
    re.compile(r"[,;:–—][\"'”’»)\]]*(?=\s)|[，、；：]"),
    re.compile(r"\s"),
    re.compile(rf"[{_IDEOGRAPHS}]"),
)
"""Best first: paragraphs, sentences, clauses, words; and scripts that put no space between them."""
_ENOUGH = 0.5
"""Of a piece: a paragraph that ends earlier would make many short pieces."""


def pieces(text: str, longest: int) -> list[str]:
    """The text in pieces of at most ``longest`` characters; none is blank, no word is cut.

    Raises `LLMInputError` for a word that is longer than that.
    """
    made = []
    rest = text.strip()
    while len(rest) > longest:
        cut = _cut(rest, longest)
        made.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*made, rest]


def _cut(text: str, longest: int) -> int:
    """Where the first piece ends: at the last of the best breaks that are late enough."""
    window = text[: longest + 1]  # one more, to see that a sentence's end is followed by a space
    last = [_last_end(pattern, window, longest) for pattern in _BREAKS]
    late = next((end for end in last if end >= longest * _ENOUGH), 0)
    cut = late or max(last)
    if not cut:
        raise LLMInputError(
            f"text has a word of more than {longest} characters: {text[:20]!r}… cannot be spoken"
        )
    return cut


def _last_end(pattern: re.Pattern[str], window: str, longest: int) -> int:
    return max((m.end() for m in pattern.finditer(window) if m.end() <= longest), default=0)

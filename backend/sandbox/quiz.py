"""A multiple-choice question from a sentence: one key term blanked, others to choose from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.source import Sentence, Source
from sandbox.words import capital, stems, words

_BLANK = "____"
_FILLERS = ("none of these", "all of these", "it is not known", "something else", "any of these")
_WINDOW = 12
_ROOT = 6
"""Letters that decide whether two words are of one family: volcano, volcanic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiz:
    """One question; `options[correct]` is `answer`, `explanation` the sentence it came from."""

    question: str
    options: tuple[str, ...]
    correct: int
    answer: str
    explanation: str


def quiz(source: Source, whole: Source, index: int, choices: int) -> Quiz:
    """Question `index` on `source`, with `choices` options drawn from the `whole` text's terms."""
    sentence, term = _pick(source, index)
    wrong = _distractors(sentence, term, whole.terms, choices - 1)
    place = _arbitrary(sentence.text + term) % max(choices, 1)
    options = [*wrong[:place], term, *wrong[place:]]
    return Quiz(
        question=f"Which term completes the sentence? “{_blanked(sentence.text, term)}”",
        options=tuple(capital(o) for o in options),
        correct=options.index(term),
        answer=capital(term),
        explanation=sentence.text,
    )


def _pick(source: Source, index: int) -> tuple[Sentence, str]:
    """A sentence and a term in it; each index another sentence, and another term if it can."""
    pairs: list[tuple[Sentence, str]] = []
    asked: set[str] = set()
    ranked = sorted(source.sentences, key=lambda s: -source.score(s))
    for sentence in ranked:
        term = _term_in(sentence, [t for t in source.terms if t not in asked])
        term = term or _term_in(sentence, list(source.terms)) or _last_word(sentence)
        asked.add(term)
        pairs.append((sentence, term))
    return pairs[index % len(pairs)]


def _term_in(sentence: Sentence, terms: Sequence[str]) -> str:
    return next((t for t in terms if re.search(_word(t), sentence.text, re.IGNORECASE)), "")


def _last_word(sentence: Sentence) -> str:
    return max(words(sentence.text), key=len)


def _word(term: str) -> str:
    return rf"(?<!\w){re.escape(term)}(?!\w)"


def _blanked(text: str, term: str) -> str:
    return re.sub(_word(term), _BLANK, text, count=0, flags=re.IGNORECASE)


def _distractors(sentence: Sentence, term: str, terms: Sequence[str], n: int) -> list[str]:
    """Other terms that the sentence does not hold; those built like the right one come first."""
    taken = {x[:_ROOT] for x in (*stems(term), *sentence.stems)}
    free = [t for t in terms[: _WINDOW * 3] if not {x[:_ROOT] for x in stems(t)} & taken]
    shape = _shape(term)
    ranked = sorted(free, key=lambda t: _shape(t) != shape)[: max(_WINDOW, n)]
    start = _arbitrary(term + sentence.text) % max(1, len(ranked) - n + 1) if len(ranked) > n else 0
    chosen = ranked[start : start + n]
    return [*chosen, *(f for f in _extras(n - len(chosen)))]


def _extras(n: int) -> list[str]:
    return [_FILLERS[i] if i < len(_FILLERS) else f"answer {i + 1}" for i in range(max(0, n))]


def _shape(term: str) -> tuple[int, bool]:
    return len(term.split()), term.endswith("s")


def _arbitrary(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:4], "big")

"""Key terms of a text: words and pairs of words that it speaks *about*.

There is no grammar here, only evidence: what follows an article is a thing, what follows `to` or
`can` is an action, what a heading names matters.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sandbox.words import WORD, carries, listed, stem, stems

_BEFORE_NOUN = listed(
    "the a an of this these that each every many some several both its their our no and or in"
)
_BEFORE_VERB = listed(
    "to can may will would could might must should they it he she we you who not cannot that which"
)
_ADVERB = re.compile(r"(?i)\w{3,}ly$")
_VERBAL = re.compile(r"(?i)\w{2,}(?:ed|ing)$")
_CLAUSE = re.compile(r"[^\w\s'’-]+")
_PAIR_FACTOR, _MIN_PAIRS = 1.3, 2
_OPENING = 2
"""What a text speaks of stands at the head of its first sentence."""
LIMIT = 60


def rank_terms(sentences: Iterable[str], weights: Mapping[str, float]) -> list[str]:
    """Key phrases, strongest first, written as the text writes them most often; at most `LIMIT`."""
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    shown: dict[object, Counter[str]] = defaultdict(Counter)
    listed_sentences = list(sentences)
    for sentence in listed_sentences:
        for clause in _CLAUSE.split(sentence):
            _note(WORD.findall(clause), single, pairs, shown)
    opening = set(stems(listed_sentences[0])[:2]) if listed_sentences else set()
    scores: dict[object, float] = {
        x: (evidence / 2 + weights.get(x, 0) + (_OPENING if x in opening else 0))
        / (2 if _VERBAL.search(x) else 1)
        for x, evidence in single.items()
        if evidence > 0
    }
    for pair, times in pairs.items():
        if times >= _MIN_PAIRS:
            scores[pair] = _PAIR_FACTOR * times + min(scores.get(x, 0) for x in pair) / 2
            for x in pair:
                # A word that mostly lives inside the pair would only repeat it.
                if x in scores and weights.get(x, 0) <= times + 1:
                    del scores[x]
    ranked = sorted(scores, key=lambda key: -scores[key])[:LIMIT]
    return [_display(shown[key]) for key in ranked]


def _note(
    found: list[str],
    single: Counter[str],
    pairs: Counter[tuple[str, str]],
    shown: dict[object, Counter[str]],
) -> None:
    for i, word in enumerate(found):
        if not _candidate(word):
            continue
        before = found[i - 1] if i else ""
        single[stem(word)] += _evidence(word, before)
        shown[stem(word)][word if i else _lower_first(word)] += 1
        if before and _candidate(before):
            key = (stem(before), stem(word))
            pairs[key] += 1
            shown[key][f"{before if i > 1 else _lower_first(before)} {word}"] += 1


def _candidate(word: str) -> bool:
    return carries(word) and not _ADVERB.search(word)


def _evidence(word: str, before: str) -> int:
    low = before.lower()
    if before and word[0].isupper():
        return 2
    if low in _BEFORE_VERB:
        return -1
    return 2 if low in _BEFORE_NOUN or not before else 0


def _lower_first(word: str) -> str:
    """At a sentence's start the capital says nothing; words all in capitals keep them."""
    return word if word[1:].lower() != word[1:] else word.lower()


def _display(forms: Counter[str]) -> str:
    return min(forms, key=lambda form: (-forms[form], len(form), form))

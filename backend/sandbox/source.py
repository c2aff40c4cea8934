"""A source text, analysed: its sentences, what each weighs, its key terms and headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from sandbox.reading import Reading, split_sentences
from sandbox.terms import rank_terms
from sandbox.words import TASK_WORDS, WORD, capital, carries, stems, title_case, words

_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,3}[.)])\s+")
_MARKS = re.compile(r"\*\*|__|`|^>\s*")
_HEADING = re.compile(r"^\s*#{1,6}\s+(.+?)\s*#*\s*$")
_MIN_WORDS, _MAX_SENTENCE, _HEADING_LENGTH = 4, 420, 80

_WITHOUT_SOURCE = (
    "The topic of this text is {topic}.",
    "A first look at {topic} names its main parts and how they work together.",
    "Everyday examples make it easier to remember what {topic} means.",
    "Whoever studies {topic} asks what causes it and what follows from it.",
    "Careful observation is the basis of what is known about {topic}.",
    "A good question about {topic} begins with how or why.",
    "Different places and times show {topic} in different forms.",
    "The words that matter most for {topic} deserve a definition of their own.",
    "A summary of {topic} keeps the causes, the course and the effects.",
    "What is learned about {topic} also helps with neighbouring subjects.",
)

_WITHOUT_TOPIC = (
    "Hello from the sandbox, which answers without a model.",
    "It takes its answers from the words of the prompt, and this prompt holds few of them.",
    "Send it a text, and the sentences that say most come back as the answer.",
    "Ask it for structured output, and every field is filled from the same text.",
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence with the heading it stands under and its meaningful stems."""

    text: str
    heading: str
    stems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What answers are taken from. `terms` are ranked key phrases, as the text writes them."""

    sentences: tuple[Sentence, ...]
    weights: Mapping[str, float]
    terms: tuple[str, ...]
    heading: str = ""
    """The text's own title, or the title of this part of it."""

    @property
    def headings(self) -> list[str]:
        """The headings in order, each once."""
        return list(dict.fromkeys(s.heading for s in self.sentences if s.heading))

    def score(self, sentence: Sentence) -> float:
        """How much a sentence says: the weight of its words, long sentences damped."""
        total = sum(self.weights.get(s, 0.0) for s in set(sentence.stems))
        return total / float((len(sentence.stems) + 3) ** 0.6)

    def best(self, n: int, skip: int = 0) -> list[Sentence]:
        """The `n` sentences that say most, after the `skip` best ones, in the text's order."""
        order = sorted(range(len(self.sentences)), key=lambda i: -self.score(self.sentences[i]))
        start = skip % len(order) if order else 0
        return [self.sentences[i] for i in sorted((order[start:] + order[:start])[:n])]

    def about(self, phrase: str) -> Source:
        """The part that fits a phrase best: the text under its heading, else matching sentences."""
        wanted = set(stems(phrase))
        if not wanted:
            return self
        under = [s for s in self.sentences if wanted <= set(stems(s.heading))]
        chosen = under or self._matching(wanted)
        return self.part(chosen, heading=phrase) if chosen else replace(self, heading=phrase)

    def slice(self, index: int, total: int) -> Source:
        """Part `index` of `total`: by headings where there are enough, else in equal runs."""
        heads = self.headings
        if len(heads) >= total > 1:
            head = heads[index % len(heads)]
            return self.part([s for s in self.sentences if s.heading == head], heading=head)
        count = len(self.sentences)
        if total <= 1 or not count:
            return self
        lo = min(index * count // total, count - 1) if index < total else index % count
        hi = max((index + 1) * count // total, lo + 1)
        return self.part(self.sentences[lo:hi])

    def part(self, sentences: Iterable[Sentence], heading: str = "") -> Source:
        """A source of only these sentences, its terms those that occur in them."""
        chosen = tuple(sentences)
        present = {x for s in chosen for x in s.stems}
        terms = tuple(t for t in self.terms if set(stems(t)) <= present)
        return replace(self, sentences=chosen, terms=terms or self.terms[:3], heading=heading)

    def title(self) -> str:
        """A short title: the heading where there is one, else the two leading terms."""
        if self.heading:
            return title_case(self.heading)
        lead = [title_case(t) for t in self.terms[:2]]
        return " and ".join(lead) or "Sandbox Answer"

    def sentence_with(self, term: str) -> Sentence | None:
        """The sentence that explains a term best: one that defines it, else the weightiest."""
        wanted = set(stems(term))
        having = [s for s in self.sentences if wanted <= set(s.stems)]
        defining = [s for s in having if _defines(s.text, term)]
        return max(defining or having, key=self.score, default=None)

    def _matching(self, wanted: set[str]) -> list[Sentence]:
        scored = [len(wanted & set(s.stems)) + (0.5 if wanted & set(stems(s.heading)) else 0)
                  for s in self.sentences]  # fmt: skip
        top = max(scored, default=0)
        return [s for s, n in zip(self.sentences, scored, strict=True) if n and n * 2 > top]


def _defines(text: str, term: str) -> bool:
    name = re.escape(term)
    subject = (
        rf"^(?:(?:the|an?|der|die|das|le|la)\s+)?{name}\w*\b.{{0,40}}?\b(?:is|are|was|means?)\b"
    )
    naming = rf"\b(?:called|known as|named)\s+(?:an?\s+|the\s+)?{name}"
    return bool(re.search(rf"{subject}|{naming}", text, re.IGNORECASE))


@lru_cache(maxsize=128)
def source_of(reading: Reading) -> Source:
    """Analyse what was read; without a source, plain sentences about the topic stand in for it."""
    parsed, title = _parse(reading.material)
    if not parsed:
        topic = reading.focus or reading.topic
        parsed, title = _made_up(topic), topic or "Sandbox"
        return _named(_analyse(parsed, title), topic)
    source = _analyse(parsed, title)
    return source.about(reading.focus) if reading.focus else source


def _made_up(topic: str) -> list[tuple[str, str]]:
    if not topic:
        return [(text, "") for text in _WITHOUT_TOPIC]
    return [(capital(t.format(topic=topic)), "") for t in _WITHOUT_SOURCE]


def _named(source: Source, topic: str) -> Source:
    """What was made up has one sure term, its topic; words about texts are none."""
    terms = [t for t in source.terms if t not in TASK_WORDS and t != topic.lower()]
    return replace(source, terms=(topic, *terms) if topic else tuple(terms))


def _analyse(parsed: list[tuple[str, str]], title: str) -> Source:
    sentences = tuple(Sentence(t, h, tuple(stems(t))) for t, h in parsed)
    weights = dict(Counter(x for s in sentences for x in s.stems))
    for x in stems(title) + [x for h in {h for _, h in parsed} for x in stems(h)]:
        weights[x] = weights.get(x, 0) + 2
    terms = tuple(rank_terms([s.text for s in sentences], weights))
    return Source(sentences=sentences, weights=weights, terms=terms, heading=title)


def _parse(material: str) -> tuple[list[tuple[str, str]], str]:
    """The sentences with their headings, each once, and the title of the whole."""
    found: dict[str, str] = {}
    heads: list[str] = []
    first = ""
    lines = material.splitlines()
    for i, line in enumerate(lines):
        head = _heading(line, lines[i + 1] if i + 1 < len(lines) else "", alone=_alone(lines, i))
        if head:
            heads.append(head)
            first = first or ("" if found else head)
            continue
        for text in split_sentences(_MARKS.sub("", _BULLET.sub("", line))):
            if _is_sentence(text):
                found.setdefault(text, heads[-1] if heads else "")
    title = first if first not in set(found.values()) or len(set(heads)) == 1 else ""
    return list(found.items()), title


def _alone(lines: list[str], i: int) -> bool:
    before = not i or not lines[i - 1].strip()
    return before and i + 1 < len(lines)


def _heading(line: str, following: str, *, alone: bool) -> str:
    marked = _HEADING.match(line)
    if marked:
        return marked[1].strip("*_ ")
    text = line.strip().strip("*_")
    short = 0 < len(text) <= _HEADING_LENGTH and not _BULLET.match(line)
    plain = short and text[-1].isalnum() and text[0].isupper() and bool(WORD.search(text))
    followed = len(following.strip()) > len(text) or not following.strip()
    return text if alone and plain and followed else ""


def _is_sentence(text: str) -> bool:
    found = words(text)
    return len(found) >= _MIN_WORDS and len(text) <= _MAX_SENTENCE and any(map(carries, found))

"""Which text a string field gets: its name and description say what kind of text it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sandbox.asks import SearchResult
from sandbox.quiz import Quiz
from sandbox.reading import Reading
from sandbox.source import Source
from sandbox.words import capital, slug, title_case

_KINDS: Mapping[str, str] = {
    "title": "title heading headline name header label subject topic caption",
    "term": "term word concept keyword tag vocabulary phrase entity skill category theme",
    "definition": "definition meaning gloss",
    "question": "question stem problem front",
    "answer": "answer solution correct back",
    "option": "option choice distractor alternative",
    "objective": "objective goal outcome aim",
    "explanation": "explanation rationale reason feedback justification why evidence",
    "summary": "summary abstract overview description intro introduction teaser blurb conclusion"
    " recap",
    "sentence": "sentence fact point takeaway quote snippet example hint note statement claim"
    " bullet highlight insight tip step activity item excerpt line",
    "body": "content body text paragraph markdown article essay passage story script html narrative"
    " message response output result prose",
    "url": "url link href uri website",
    "language": "language lang locale",
    "level": "level difficulty audience",
    "slug": "id slug key code identifier",
    "person": "author by creator editor",
    "query": "query search q",
}  # fmt: skip
_KIND_OF = {word: kind for kind, listed in _KINDS.items() for word in listed.split()}
_LEVELS = re.compile(
    r"(?i)\b(beginner|elementary|intermediate|advanced|easy|medium|hard|(?:grade|year) \d{1,2})s?\b"
)
_OPTION_TEXT = frozenset({"option", "body", "title", "sentence", "answer", "term"})
_LETTER = "ABCDEFGHIJ"
_OBJECTIVES = (
    "Explain {t}",
    "Describe {t}",
    "Give an example of {t}",
    "Say why {t} matters",
    "Compare {t} with other terms",
)
_ALSO = ("In short: ", "Also: ", "Remember: ", "Note: ", "Again: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a field stands: the part of the source it speaks of, its list item, its siblings."""

    reading: Reading
    whole: Source
    source: Source
    name: str = ""
    hint: str = ""
    index: int = 0
    variant: int = 0
    quiz: Quiz | None = None
    result: SearchResult | None = None
    term: str = ""
    option: int | None = None
    """Which of the quiz's options an item of its list is."""


def snake(name: str) -> list[str]:
    """`correctAnswer` and `correct-answer` as `["correct", "answer"]`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [p for p in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if p]


def kind_of(name: str, hint: str = "") -> str:
    """The kind of text a field holds: its name's last telling word, else its description."""
    for word in reversed(snake(name)):
        for form in (word, word.removesuffix("s"), word.removesuffix("es")):
            if form in _KIND_OF:
                return _KIND_OF[form]
    words = (w.removesuffix("s") for w in snake(hint))
    return next((_KIND_OF[w] for w in words if w in _KIND_OF), "sentence")


def text_for(scope: Scope) -> str:
    """The text of one string field."""
    if scope.quiz and scope.option is not None and kind_of(scope.name) in _OPTION_TEXT:
        return _option(replace(scope, index=scope.option))
    return _WRITERS[kind_of(scope.name, scope.hint)](scope)


def _at(scope: Scope) -> int:
    return scope.index + scope.variant


def _term(scope: Scope) -> str:
    if scope.term and not scope.variant:
        return scope.term
    terms = scope.source.terms if len(scope.source.terms) > _at(scope) else scope.whole.terms
    return terms[_at(scope) % len(terms)] if terms else scope.whole.title()


def _title(scope: Scope) -> str:
    if scope.result:
        return scope.result.title
    if scope.term:
        return title_case(scope.term)
    if scope.source is scope.whole and _at(scope):
        return title_case(_term(scope))
    return scope.source.title() if not scope.variant else title_case(_term(scope))


def _sentence(scope: Scope) -> str:
    """Another sentence for each place in a list; a repetition is marked as one."""
    if scope.result:
        return scope.result.snippet
    if scope.term and not scope.variant:
        return _definition(scope)
    count = len(scope.source.sentences)
    ranked = scope.source.best(count)
    if scope.source is scope.whole:
        ranked = sorted(ranked, key=lambda s: -scope.source.score(s))
    around, at = divmod(_at(scope), max(1, count))
    return _again(around) + ranked[at].text


def _again(around: int) -> str:
    if not around:
        return ""
    return _ALSO[around - 1] if around <= len(_ALSO) else f"Point {around}: "


def _sentences(n: int) -> Callable[[Scope], str]:
    def write(scope: Scope) -> str:
        if scope.result:
            return scope.result.snippet
        if scope.quiz or scope.term:
            return _explanation(scope)
        return " ".join(s.text for s in scope.source.best(n, skip=scope.variant))

    return write


def _definition(scope: Scope) -> str:
    found = scope.whole.sentence_with(_term(scope))
    return found.text if found else f"{capital(_term(scope))} is a key term of this text."


def _explanation(scope: Scope) -> str:
    return scope.quiz.explanation if scope.quiz else _definition(scope)


def _question(scope: Scope) -> str:
    if scope.quiz:
        return scope.quiz.question
    return f"What does the text say about {_term(scope)}?"


def _answer(scope: Scope) -> str:
    if not scope.quiz:
        return _definition(scope)
    if re.search(r"(?i)\bletter\b", scope.hint):
        return _LETTER[scope.quiz.correct % len(_LETTER)]
    return scope.quiz.answer


def _option(scope: Scope) -> str:
    if not scope.quiz:
        return capital(_term(scope))
    options = scope.quiz.options
    return options[_at(scope)] if _at(scope) < len(options) else f"Answer {_at(scope) + 1}"


def _objective(scope: Scope) -> str:
    return _OBJECTIVES[_at(scope) % len(_OBJECTIVES)].format(t=_term(scope))


def _url(scope: Scope) -> str:
    if scope.result:
        return scope.result.url
    number = f"/{_at(scope)}" if _at(scope) else ""
    return f"https://sandbox.invalid/{slug(scope.source.title())}{number}"


def _level(scope: Scope) -> str:
    found = _LEVELS.search(scope.reading.orders)
    return found[1].lower() if found else "beginner"


def _slug(scope: Scope) -> str:
    base = slug(_title(scope))
    return f"{base}-{_at(scope) + 1}" if _at(scope) else base


def _query(scope: Scope) -> str:
    return scope.reading.focus or scope.reading.topic or scope.whole.title()


_WRITERS: Mapping[str, Callable[[Scope], str]] = {
    "title": _title,
    "term": _term,
    "definition": _definition,
    "question": _question,
    "answer": _answer,
    "option": _option,
    "objective": _objective,
    "explanation": _explanation,
    "summary": _sentences(2),
    "sentence": _sentence,
    "body": _sentences(4),
    "url": _url,
    "language": lambda _s: "en",
    "level": _level,
    "slug": _slug,
    "person": lambda _s: "Sandbox",
    "query": _query,
}

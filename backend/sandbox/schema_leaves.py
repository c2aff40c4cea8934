"""The values that hold no others: constants, choices, strings, numbers."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox import pattern as patterns
from sandbox.lesson import quiz_value
from sandbox.schema_check import fits
from sandbox.schema_text import Scope, text_for
from sandbox.schema_values import formatted, numbers
from sandbox.wire import Json
from sandbox.words import shorten

# What a leaf is not judged by: the filler looks at these afterwards, with another try at hand.
_LEFT_TO_FILLER = frozenset({"not", "if", "oneOf", "anyOf", "allOf"})
_ADDRESSES = frozenset({"uri", "url", "iri"})


class UnfillableError(Exception):
    """Nothing that was tried fits."""


def leaf(kind: str, schema: Json, scope: Scope) -> object:
    """A value of a type that holds no others; null for `null`."""
    if kind == "string":
        return _first_fitting(_strings(schema, scope), schema)
    if kind in {"integer", "number"}:
        typed = {**schema, "type": kind}
        return _first_fitting(_numbers(typed, scope), typed)
    return quiz_value("boolean", schema, scope) if kind == "boolean" else None


def _first_fitting(candidates: Iterator[object], schema: Json) -> object:
    rule = {k: v for k, v in schema.items() if k not in _LEFT_TO_FILLER}
    for candidate in candidates:
        if fits(candidate, rule, rule):
            return candidate
    raise UnfillableError


def _numbers(schema: Json, scope: Scope) -> Iterator[object]:
    told = quiz_value("index", schema, scope)
    if isinstance(told, int):
        yield told
    yield from numbers(
        schema,
        name=scope.name,
        index=scope.index,
        variant=scope.variant,
        material=scope.reading.material,
    )


def _strings(schema: Json, scope: Scope) -> Iterator[object]:
    for text in _texts(schema, scope):
        yield _sized(text, schema, scope)


def _texts(schema: Json, scope: Scope) -> Iterator[str]:
    """The most sensible text first; for a pattern, at last the texts made for it."""
    text = text_for(scope)
    kind = str(schema.get("format", ""))
    if kind in _ADDRESSES and text.startswith("https://"):
        yield text
    base = scope.term or scope.source.title()
    if (made := formatted(kind, base, scope.index, scope.variant)) is not None:
        yield made
    yield text
    yield from scope.source.terms[scope.index % 7 :]
    if isinstance(rule := schema.get("pattern"), str):
        yield from patterns.candidates(rule, scope.index + scope.variant)
        yield from patterns.candidates(rule)


def _sized(text: str, schema: Json, scope: Scope) -> str:
    """The text brought to the length that is asked for, in whole words where possible."""
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if len(text) < low and "pattern" not in schema:
        more = " ".join(s.text for s in scope.whole.sentences) or "sandbox"
        text = " ".join([text, *[more] * (low // max(1, len(more)) + 1)])
        text = text if high is not None else _cut_after(text, low)
    return text if high is None or len(text) <= high else _cut(text, low, high)


def _cut_after(text: str, low: int) -> str:
    end = text.find(". ", max(0, low - 1))
    return text if end < 0 else text[: end + 1]


def _cut(text: str, low: int, high: int) -> str:
    short = shorten(text, high)
    return short if len(short) >= low else text[:high]

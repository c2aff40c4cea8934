"""What the items of a lesson are: sections, glossary entries, questions; and how many of them."""

from __future__ import annotations

import re
from dataclasses import replace

from sandbox.prose import asked_for
from sandbox.quiz import quiz
from sandbox.schema_shape import options_of
from sandbox.schema_text import Scope, kind_of, snake
from sandbox.wire import Json

_USUAL, _STRINGS, _NESTED, _CHOICES, _MOST = 3, 4, 2, 4, 40
_CORRECT = re.compile(r"correct|answer|right|solution")
_PARTS = frozenset({"section", "part", "chapter", "module", "unit", "slide"})
_LETTERS = "ABCDEFGHIJ"


def _properties(schema: object) -> Json:
    found = schema.get("properties", {}) if isinstance(schema, dict) else {}
    return found if isinstance(found, dict) else {}


def _kinds(schema: object) -> set[str]:
    return {kind_of(name) for name in _properties(schema)}


def _is_question(schema: object) -> bool:
    kinds = _kinds(schema)
    return "question" in kinds and bool(kinds & {"option", "answer", "explanation"})


def _is_entry(schema: object) -> bool:
    """A glossary entry, a flash card, a key term: something named and something said about it."""
    kinds = _kinds(schema)
    return "definition" in kinds or kinds == {"term", "explanation"}


def object_scope(schema: Json, scope: Scope) -> Scope:
    """The scope of an object's fields: a question gets its quiz, a glossary entry its term."""
    if scope.quiz is None and _is_question(schema):
        made = quiz(scope.source, scope.whole, scope.index + scope.variant, _choices(schema))
        return replace(scope, quiz=made, variant=0)
    if not scope.term and _is_entry(schema):
        terms = scope.source.terms if len(scope.source.terms) > scope.index else scope.whole.terms
        if terms:
            return replace(scope, term=terms[(scope.index + scope.variant) % len(terms)])
    return scope


def _choices(schema: Json) -> int:
    """How many options a question offers: as many as its list demands, four if it is free."""
    for name, inner in _properties(schema).items():
        if kind_of(name) == "option" and isinstance(inner, dict):
            low, high = inner.get("minItems", 0), inner.get("maxItems", _MOST)
            if isinstance(inner.get("prefixItems"), list):
                return len(inner["prefixItems"])
            return int(min(max(_CHOICES, low), high))
    return _CHOICES


def item_scope(schema: object, scope: Scope, index: int, total: int) -> Scope:
    """The scope of one item: its number, and for a section its part of the source."""
    moved = replace(scope, index=index, name=_item_name(schema, scope.name))
    if scope.quiz and kind_of(scope.name) == "option":
        moved = replace(moved, option=index)
    if not isinstance(schema, dict) or not _holds_text(schema) or scope.result:
        return moved
    if _is_question(schema) or _is_entry(schema) or scope.quiz or total <= 1:
        return moved
    return replace(moved, source=scope.source.slice(index, total))


def _holds_text(schema: Json) -> bool:
    """Objects, and unions, which mostly are of objects, speak of a part of the source."""
    return bool(schema.get("type") == "object" or "properties" in schema or options_of(schema))


def _item_name(schema: object, name: str) -> str:
    """A list of plain texts called `sections` is a list of their titles."""
    listed = isinstance(schema, dict) and schema.get("type") == "string"
    single = _singular(name)
    return f"{single}_title" if listed and single in _PARTS else single


def option_letters(scope: Scope) -> str:
    """The names of a question's options where these are a dictionary: `ABCD`."""
    offered = scope.quiz is not None and kind_of(scope.name) == "option"
    return _LETTERS[: len(scope.quiz.options)] if scope.quiz and offered else ""


def _singular(name: str) -> str:
    return re.sub(r"ies$", "y", name) if name.endswith("ies") else name.removesuffix("s")


def list_length(schema: Json, scope: Scope, prefix: int, *, lean: bool, closed: bool) -> int:
    """How many items: what the schema demands, else what the orders ask for, else a few."""
    low, high = schema.get("minItems", 0), schema.get("maxItems", _MOST)
    low = max(low, schema.get("minContains", 1) if "contains" in schema else 0, prefix)
    if closed:
        return int(min(max(low, prefix), prefix, high))
    if lean:
        return int(min(low, high))
    return int(min(max(_wished(schema, scope), low), max(high, 0)))


def _wished(schema: Json, scope: Scope) -> int:
    if scope.quiz and kind_of(scope.name) == "option":
        return len(scope.quiz.options)
    last = snake(scope.name)[-1:] or [""]
    told = asked_for(scope.reading.orders, _singular(last[0])) if last[0] else None
    if told is not None:
        return told
    if _is_section_list(schema, scope):
        return len(scope.source.headings)
    if scope.source is not scope.whole:
        return _NESTED
    items = schema.get("items")
    return _STRINGS if isinstance(items, dict) and items.get("type") == "string" else _USUAL


def _is_section_list(schema: Json, scope: Scope) -> bool:
    items = schema.get("items")
    plain = not (_is_question(items) or _is_entry(items))
    return plain and bool(_properties(items)) and 1 < len(scope.source.headings) <= _MOST


def quiz_value(what: str, schema: Json, scope: Scope) -> object:
    """A question's `correct_index`, `is_correct` or lettered answer; else a plain choice."""
    if what == "enum":
        return _enum(list(schema["enum"]), scope)
    if what == "boolean":
        if scope.quiz and _CORRECT.search(scope.name.lower()):
            return (scope.index == scope.quiz.correct) != bool(scope.variant % 2)
        return scope.index % 2 == scope.variant % 2
    if scope.quiz and _CORRECT.search(scope.name.lower()):
        return scope.quiz.correct + (1 if schema.get("minimum") == 1 else 0)
    return None


def _enum(values: list[object], scope: Scope) -> object:
    if not values:
        return None
    if scope.quiz and _CORRECT.search(scope.name.lower()) and not scope.variant:
        letters = [v for v in values if isinstance(v, str) and v.upper() in _LETTERS]
        if len(letters) == len(values):
            return values[scope.quiz.correct % len(values)]
    orders = scope.reading.orders.lower()
    named = [v for v in values if isinstance(v, str) and v and v.lower() in orders]
    usable = [v for v in values if v is not None] or values
    first = not scope.index or kind_of(scope.name) == "level"
    pool = named if len(named) == 1 and first and not scope.variant else usable
    if scope.variant >= len(usable):
        pool = values
    return pool[(scope.index + scope.variant) % len(pool)]

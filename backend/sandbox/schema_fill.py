"""A valid instance of any JSON Schema, its texts taken from the source that the prompt holds.

The filler tries, looks with `schema_check.fits`, and tries another variant. Recursion is bounded:
deep down, optional things are left out and the plainest alternative is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sandbox.asks import SearchResult
from sandbox.lesson import (
    item_scope,
    list_length,
    object_scope,
    option_letters,
    quiz_value,
)
from sandbox.reading import Reading
from sandbox.schema_check import fits
from sandbox.schema_leaves import UnfillableError, leaf
from sandbox.schema_refs import merge, merge_all, resolve
from sandbox.schema_shape import flat_type, lean_first, options_of, touches
from sandbox.schema_text import Scope, text_for
from sandbox.source import source_of
from sandbox.wire import ApiError, Json

_VARIANTS = 8
_LEAN_DEPTH, _DEEPEST, _NODES, _LEAN_NODES = 9, 40, 15_000, 4_000
_REFS_BEFORE_LEAN = 2


def instance(
    schema: Json,
    reading: Reading,
    *,
    choice: int = 0,
    results: tuple[SearchResult, ...] = (),
    arguments: bool = False,
) -> object:
    """A value that fits `schema`; `ApiError` 400 when none can be found.

    Args:
        schema: the JSON Schema.
        reading: the prompt, whose words become the texts.
        choice: another number gives other texts.
        results: search results, whose titles and addresses list items get.
        arguments: for a tool call; texts are short then, as arguments are.
    """
    source = source_of(reading)
    scope = Scope(reading=reading, whole=source, source=source, index=choice)
    if arguments:
        scope = replace(scope, term=reading.focus or reading.topic or source.title())
    try:
        return _Filler(schema, results).fill(schema, scope)
    except (UnfillableError, RecursionError):
        message = "The sandbox found no value that fits this JSON schema."
        raise ApiError(400, message, param="schema", code="invalid_json_schema") from None


def misfit(value: object, schema: object) -> object:
    """Valid JSON like `value` that does not fit the schema; None where everything fits."""
    root = schema if isinstance(schema, dict) else {}
    wrong: list[object] = [{"sandbox": "this does not fit"}, ["sandbox"], "sandbox"]
    if isinstance(value, dict):
        wrong.insert(0, {k: {"sandbox": "wrong type"} for k in value})
    return next((w for w in wrong if not fits(w, schema, root)), None)


class _Filler:
    """One filling of one schema; it counts its steps."""

    def __init__(self, root: Json, results: tuple[SearchResult, ...]) -> None:
        self.root, self.results = root, results
        self.nodes = 0

    def fill(
        self, schema: object, scope: Scope, depth: int = 0, refs: tuple[str, ...] = ()
    ) -> object:
        """A value for `schema`, in the place that `scope` describes."""
        self.nodes += 1
        if schema is False or depth > _DEEPEST or self.nodes > _NODES:
            raise UnfillableError
        if not isinstance(schema, dict):
            return text_for(scope)
        flat, refs = self._flat(schema, refs)
        for variant in range(_VARIANTS):
            for value in self._tries(flat, scope, depth, refs, variant):
                if fits(value, flat, self.root):
                    return value
        raise UnfillableError

    def _flat(self, schema: Json, refs: tuple[str, ...]) -> tuple[Json, tuple[str, ...]]:
        """The schema with its `$ref` and `allOf` written out, and the refs passed on the way."""
        for _ in range(_DEEPEST):
            ref = schema.get("$ref")
            if not isinstance(ref, str):
                break
            found = resolve(ref, self.root)
            if found is False:
                raise UnfillableError
            rest = {k: v for k, v in schema.items() if k != "$ref"}
            schema = merge(found, rest) if isinstance(found, dict) else rest
            refs = (*refs, ref)
        parts = schema.get("allOf")
        if not isinstance(parts, list):
            return schema, refs
        if False in parts:
            raise UnfillableError
        rest = {k: v for k, v in schema.items() if k != "allOf"}
        flats = [self._flat(p, refs) for p in parts if isinstance(p, dict)]
        refs = max((r for _, r in flats), key=len, default=refs)
        return merge_all([rest, *(f for f, _ in flats)]), refs

    def _tries(
        self, schema: Json, scope: Scope, depth: int, refs: tuple[str, ...], variant: int
    ) -> Iterator[object]:
        lean = self._is_lean(depth, refs)
        scope = replace(scope, variant=scope.variant + variant)
        if "description" in schema:
            scope = replace(scope, hint=str(schema["description"]))
        for option in self._alternatives(schema, refs, lean=lean, variant=variant):
            try:
                yield self._value(option, scope, depth, refs, lean=lean)
            except UnfillableError:
                continue

    def _is_lean(self, depth: int, refs: tuple[str, ...]) -> bool:
        repeated = any(refs.count(r) > _REFS_BEFORE_LEAN for r in set(refs))
        return depth > _LEAN_DEPTH or repeated or self.nodes > _LEAN_NODES

    def _alternatives(
        self, schema: Json, refs: tuple[str, ...], *, lean: bool, variant: int
    ) -> Iterator[Json]:
        """The schema itself, or with each of its alternatives and branches merged in."""
        options = options_of(schema)
        if not options:
            yield schema
            return
        resolved = [self._flat_or_none(o, refs) for o in options]
        plain = [o for o in resolved if o is not None]
        if lean:
            plain = lean_first(plain)
        shift = variant % len(plain) if plain else 0
        yield from plain[shift:] + plain[:shift]

    def _flat_or_none(self, option: Json, refs: tuple[str, ...]) -> Json | None:
        ref = option.get("$ref")
        # A reference is left standing while it is filled, so that repeated ones are counted.
        if isinstance(ref, str) and ref in refs:
            return option
        try:
            return self._flat(option, refs)[0]
        except UnfillableError:
            return None

    def _value(
        self, schema: Json, scope: Scope, depth: int, refs: tuple[str, ...], *, lean: bool
    ) -> object:
        if "$ref" in schema or options_of(schema):
            return self.fill(schema, scope, depth + 1, refs)
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else quiz_value("enum", schema, scope)
        kind = flat_type(schema, scope.variant, lean=lean)
        if kind == "object":
            return self._object(schema, object_scope(schema, scope), depth, refs, lean=lean)
        if kind == "array":
            return self._array(schema, scope, depth, refs, lean=lean)
        return leaf(kind, schema, scope)

    def _object(
        self, schema: Json, scope: Scope, depth: int, refs: tuple[str, ...], *, lean: bool
    ) -> Json:
        required = [r for r in schema.get("required", []) if isinstance(r, str)]
        known: Json = schema.get("properties", {})
        out: Json = {}
        for name in [*known, *(r for r in required if r not in known)]:
            needed = name in required
            if (lean or scope.variant % 2) and not needed:
                continue
            inner = touches(schema, name)
            try:
                child = replace(scope, name=name, hint="", variant=scope.variant // 2)
                out[name] = self.fill(inner, child, depth + 1, refs)
            except UnfillableError:
                if needed:
                    raise
        self._more_properties(schema, scope, depth, refs, out, lean=lean)
        return _within(out, schema, required)

    def _more_properties(
        self,
        schema: Json,
        scope: Scope,
        depth: int,
        refs: tuple[str, ...],
        out: Json,
        *,
        lean: bool,
    ) -> None:
        """Entries of a dictionary: two where the schema speaks of them, else what it demands."""
        inner = schema.get("additionalProperties")
        by_pattern: Json = schema.get("patternProperties", {})
        open_map = not schema.get("properties") and (isinstance(inner, dict) or by_pattern)
        wanted = max(schema.get("minProperties", 0), 2 if open_map and not lean else 0)
        letters = option_letters(scope)
        wanted = max(wanted, len(letters)) if open_map else wanted
        wanted = min(wanted, schema.get("maxProperties", wanted))
        for i in range(4 * wanted):
            if len(out) >= wanted:
                return
            name = letters[i] if i < len(letters) else self._name(schema, scope, i, refs)
            if name not in out:
                child = replace(scope, name=name, index=i, option=i if letters else None)
                child = replace(child, name="option") if letters else child
                out[name] = self.fill(touches(schema, name), child, depth + 1, refs)

    def _name(self, schema: Json, scope: Scope, i: int, refs: tuple[str, ...]) -> str:
        names = schema.get("propertyNames")
        by_pattern = next(iter(schema.get("patternProperties", {})), None)
        rule: Json = merge({"type": "string"}, names if isinstance(names, dict) else {})
        if by_pattern and not isinstance(schema.get("additionalProperties"), dict):
            rule = merge(rule, {"pattern": by_pattern})
        return str(self.fill(rule, replace(scope, name="term", hint="", index=i, term=""), 1, refs))

    def _array(
        self, schema: Json, scope: Scope, depth: int, refs: tuple[str, ...], *, lean: bool
    ) -> list[object]:
        prefix, rest = _item_schemas(schema)
        shape = self._shape(rest, refs)
        length = list_length(
            {**schema, "items": shape}, scope, len(prefix), lean=lean, closed=rest is False
        )
        if self.results and scope.result is None and depth <= 1:
            length = min(max(length, len(self.results)), schema.get("maxItems", len(self.results)))
        contains = schema.get("contains")
        out: list[object] = []
        for i in range(length):
            inner = prefix[i] if i < len(prefix) else rest
            if isinstance(contains, dict) and i < schema.get("minContains", 1):
                inner = merge(inner, contains) if isinstance(inner, dict) else contains
            child = item_scope(shape if inner is rest else inner, scope, i, length)
            if self.results and scope.result is None:
                child = replace(child, result=self.results[i % len(self.results)])
            out.append(
                self._another(inner, child, out, depth, refs, unique="uniqueItems" in schema)
            )
        return out

    def _shape(self, schema: object, refs: tuple[str, ...]) -> object:
        """What items look like, behind a reference; for judging what a list is about."""
        return self._flat(schema, refs)[0] if isinstance(schema, dict) else schema

    def _another(
        self, schema: object, scope: Scope, seen: list[object], depth: int, refs: tuple[str, ...],
        *, unique: bool,
    ) -> object:  # fmt: skip
        """The next item; with `unique`, one that the list does not hold yet."""
        for shift in range(64 if unique else 1):
            moved = replace(scope, index=scope.index + shift)
            value = self.fill(schema, moved, depth + 1, refs)
            if not unique or value not in seen:
                return value
        raise UnfillableError


def _within(out: Json, schema: Json, required: list[str]) -> Json:
    """Without the optional properties that are one too many."""
    most = schema.get("maxProperties", len(out))
    optional = [k for k in out if k not in required]
    dropped = set(optional[max(0, most - (len(out) - len(optional))) :])
    return {k: v for k, v in out.items() if k not in dropped} if len(out) > most else out


def _item_schemas(schema: Json) -> tuple[list[object], object]:
    """The schemas of the first items and of all further ones."""
    items = schema.get("items", True)
    if isinstance(items, list):  # draft 7's tuples
        return items, schema.get("additionalItems", True)
    prefix = schema.get("prefixItems", [])
    return list(prefix), items

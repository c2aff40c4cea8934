"""Numbers and formatted strings that a schema allows, near what its field's name suggests."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from sandbox.wire import Json
from sandbox.words import listed, slug

_YEAR = re.compile(r"\b(1[0-9]{3}|20[0-9]{2})\b")
_SHARES = listed("score confidence probability ratio weight relevance rating percent percentage")
_BY_NAME: Mapping[str, float] = {
    "minute": 10, "minutes": 10, "duration": 10, "time": 10, "hours": 1, "seconds": 60, "count": 3,
    "age": 12, "price": 10, "cost": 10, "total": 3, "version": 1, "points": 1, "grade": 6,
}  # fmt: skip
_TRIES = 400


def numbers(schema: Json, *, name: str, index: int, variant: int, material: str) -> Iterator[float]:
    """Candidates for a number, the most sensible first; the caller takes the first that fits."""
    whole = _is_whole(schema)
    low, high = _bounds(schema, whole=whole)
    wanted = _wanted(name, index, low, high, material) + variant
    if wanted > high and math.isfinite(low):
        # Around again, so that a list of different numbers finds them all.
        wanted = low + (wanted - low) % (high - low + 1)
    wanted = min(max(wanted, low), high)
    step = schema.get("multipleOf") or (1 if whole else None)
    if not step:
        yield from _loose(wanted, low, high)
        return
    yield from _stepped(Fraction(str(step)), wanted, low, whole=whole)


def _is_whole(schema: Json) -> bool:
    kinds = schema.get("type")
    return kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds)


def _bounds(schema: Json, *, whole: bool) -> tuple[float, float]:
    gap = 1 if whole else 0
    lows = [schema.get("minimum"), _shifted(schema.get("exclusiveMinimum"), gap)]
    highs = [schema.get("maximum"), _shifted(schema.get("exclusiveMaximum"), -gap)]
    low = max((x for x in lows if x is not None), default=-math.inf)
    return low, min((x for x in highs if x is not None), default=math.inf)


def _shifted(limit: object, gap: int) -> float | None:
    # Draft 4 wrote `exclusiveMinimum: true`; what is no number sets no limit.
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        return None
    return (math.floor(limit) + gap if gap > 0 else math.ceil(limit) + gap) if gap else limit


def _wanted(name: str, index: int, low: float, high: float, material: str) -> float:
    parts = name.lower().split("_")
    if _SHARES & set(parts) and math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * 0.75
    if "year" in parts:
        found = _YEAR.findall(material)
        return float(found[index % len(found)]) if found else 2026
    return next((float(_BY_NAME[p]) for p in reversed(parts) if p in _BY_NAME), index + 1)


def _loose(wanted: float, low: float, high: float) -> Iterator[float]:
    yield int(wanted) if wanted == int(wanted) else wanted
    if math.isfinite(low) and math.isfinite(high):
        yield (low + high) / 2
        yield low + (high - low) / 3
    yield low + 0.5 if math.isfinite(low) else high - 0.5


def _stepped(step: Fraction, wanted: float, low: float, *, whole: bool) -> Iterator[float]:
    first = math.ceil(Fraction(low) / step) if math.isfinite(low) else None
    middle = round(Fraction(wanted) / step)
    starts = [middle, *(middle + d * s for d in range(1, _TRIES) for s in (1, -1))]
    for k in starts:
        if first is None or k >= first:
            value = k * step
            if value.denominator == 1:
                yield int(value)
            elif not whole:
                yield float(value)


def formatted(kind: str, text: str, index: int, variant: int) -> str | None:
    """A string of a known `format`, made from `text` and different for each `index`."""
    make = _FORMATS.get(kind)
    return make(slug(text)[:40].strip("-") or "sandbox", index + variant) if make else None


def _day(n: int) -> int:
    return n % 28 + 1


_FORMATS: Mapping[str, Callable[[str, int], str]] = {
    "date": lambda _t, n: f"2026-01-{_day(n):02}",
    "date-time": lambda _t, n: f"2026-01-{_day(n):02}T09:00:00Z",
    "time": lambda _t, n: f"09:{n % 60:02}:00Z",
    "duration": lambda _t, n: f"PT{10 + n}M",
    "email": lambda t, n: f"{t}{n or ''}@sandbox.invalid",
    "idn-email": lambda t, n: f"{t}{n or ''}@sandbox.invalid",
    "hostname": lambda t, n: f"{t}{n or ''}.sandbox.invalid",
    "idn-hostname": lambda t, n: f"{t}{n or ''}.sandbox.invalid",
    "ipv4": lambda _t, n: f"192.0.2.{n % 254 + 1}",
    "ipv6": lambda _t, n: f"2001:db8::{n % 65535 + 1:x}",
    "uuid": lambda t, n: str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{t}:{n}")),
    "uri": lambda t, n: f"https://sandbox.invalid/{t}{f'/{n}' if n else ''}",
    "uri-reference": lambda t, n: f"/{t}{f'/{n}' if n else ''}",
    "iri": lambda t, n: f"https://sandbox.invalid/{t}{f'/{n}' if n else ''}",
    "url": lambda t, n: f"https://sandbox.invalid/{t}{f'/{n}' if n else ''}",
    "json-pointer": lambda t, n: f"/{t}/{n}",
    "regex": lambda t, n: f"^{t}{n}$",
    "byte": lambda _t, _n: "c2FuZGJveA==",
    "binary": lambda _t, _n: "c2FuZGJveA==",
}

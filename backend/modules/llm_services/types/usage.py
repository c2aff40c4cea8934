"""Tokens and other units as providers count them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them, by the subset rule.

    ``prompt_tokens`` includes cached and written ones and those of images and audio,
    ``completion_tokens`` includes reasoning and those of images and audio. ``web_searches`` are
    the billable ones, ``characters`` are of text that was spoken, ``audio_seconds`` of audio that
    was heard. ``reported_cost`` is USD by the provider's own word, which goes before every price
    list. ``None`` means "not reported", which is not the same as a reported zero.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    web_searches: int | None = None
    characters: int | None = None
    audio_seconds: float | None = None
    reported_cost: Decimal | None = None

    @property
    def total_tokens(self) -> int | None:
        """Prompt plus completion; ``None`` when neither was reported."""
        return _sum(self.prompt_tokens, self.completion_tokens)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: _sum(getattr(self, name), getattr(other, name)) for name in _UNITS})

    def as_dict(self) -> dict[str, Any]:
        """The reported units only, as the row's ``attempts`` keep them: JSON, money as text."""
        counts = zip(_UNITS, _counts(self), strict=True)
        known = {name: count for name, count in counts if count is not None}
        if self.reported_cost is not None:
            known["reported_cost"] = f"{self.reported_cost:f}"
        return known

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Usage":
        """The counterpart of `as_dict`; units that are not known here are left out."""
        known = {name: stored[name] for name in _UNITS if name in stored}
        if "reported_cost" in known:
            known["reported_cost"] = Decimal(known["reported_cost"])
        return cls(**known)


_UNITS = tuple(field.name for field in fields(Usage))
_counts = attrgetter(*_UNITS)
_Count = TypeVar("_Count", int, float, Decimal)


def _sum(left: _Count | None, right: _Count | None) -> _Count | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right

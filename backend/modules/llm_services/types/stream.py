"""What arrives piece by piece while a model answers."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """Some more of the summary of what the model thinks."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """Some more of a call of a tool. ``index`` tells calls apart; ``id`` and ``name`` come with the
    first piece, ``arguments`` is JSON text to be joined.
    """

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


StreamEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta

"""What a model says in a conversation: text, pieces of it, an object, calls of tools."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel

from modules.llm_services.types import Call, ToolCall, ToolSpec
from modules.llm_services.types.stream import StreamEvent, TextDelta, ToolCallDelta

from .recorded import RecordedCall
from .samples import sample, sample_json

Said: TypeAlias = (
    str | Sequence[str] | BaseModel | Mapping[str, Any] | ToolCall | Sequence[ToolCall]
)
_WORDS = re.compile(r"\S+\s*|\s+")
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An answer: the pieces of its text as a stream brings them, and calls of tools."""

    pieces: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def text(self) -> str:
        """All pieces together."""
        return "".join(self.pieces)

    def events(self) -> list[StreamEvent]:
        """The answer as a stream brings it."""
        words: list[StreamEvent] = [TextDelta(piece) for piece in self.pieces]
        calls = [
            ToolCallDelta(index=n, id=call.id, name=call.name, arguments=json.dumps(call.arguments))
            for n, call in enumerate(self.tool_calls)
        ]
        return [*words, *calls]


def spoken(said: Any) -> Spoken:
    """An answer as a test may put it. Raises ``TypeError`` for anything else."""
    if isinstance(said, Spoken):
        return said
    if isinstance(said, ToolCall):
        return Spoken(tool_calls=(said,))
    if isinstance(said, BaseModel):
        return _words(said.model_dump_json(by_alias=True))
    if isinstance(said, Mapping):
        return _words(json.dumps(said))
    if isinstance(said, str):
        return _words(said)
    return _listed(said)


def _listed(said: Any) -> Spoken:
    items = tuple(said) if isinstance(said, list | tuple) else ()
    if items and all(isinstance(item, str) for item in items):
        return Spoken(pieces=items)
    if items and all(isinstance(item, ToolCall) for item in items):
        return Spoken(tool_calls=items)
    raise TypeError(
        "an answer is text, a list of pieces of it, an object, a dict, a ToolCall, a list of "
        f"these, or a function that makes one of the call; not {type(said).__name__}"
    )


def _words(text: str) -> Spoken:
    return Spoken(pieces=tuple(_WORDS.findall(text)))


def unscripted(call: Call, asked: RecordedCall) -> Spoken:
    """What is said where no rule says it: a tool that has to be called, an object, or words."""
    forced = _forced(call)
    if forced is not None:
        made = ToolCall(id=f"call_{call.id}", name=forced.name, arguments=sample(forced.parameters))
        return Spoken(tool_calls=(made,))
    if call.output_type is not None:
        return _words(sample_json(call.output_type))
    return _words(f"Fake answer to: {asked.prompt[:_SHOWN]}")


def _forced(call: Call) -> ToolSpec | None:
    if call.tool_choice in {None, "auto", "none"}:
        return None
    named = (spec for spec in call.tools if spec.name == call.tool_choice)
    return next(named, call.tools[0])

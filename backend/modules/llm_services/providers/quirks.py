"""Where those that speak Chat Completions differ from OpenAI, as data.

What only answers differ in needs no data: the readers take every spelling that we know of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What a vendor is asked in other words, or not at all.

    ``names`` are its words for parameters of ours; what it ``refuses`` is left out and recorded
    where that does not change the question, else refused before anything is sent. ``schemas`` says
    whether an answer can be held to a JSON schema: surely (``True``), never (``False``: an object
    is asked for in words), or perhaps, which its refusal tells. ``usage_option`` says that a stream
    may be asked for its tokens, ``developers`` and ``speakers`` that messages may be a developer's
    and may name who speaks.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    schemas: bool | None = None
    usage_option: bool = True
    developers: bool = True
    speakers: bool = True


NO_QUIRKS = Quirks(schemas=True)

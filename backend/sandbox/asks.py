"""A question and its answer, the same for both APIs: what Responses and Chat are read into."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.tokens import Usage
from sandbox.wire import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message; `role` is system, user, assistant or tool."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that may be called."""

    name: str
    parameters: Json
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAsk:
    """Web search as asked for: how many searches at most, and whether it is forced."""

    most: int
    sources: bool = False
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one request wants."""

    model: str
    turns: tuple[Turn, ...]
    schema: Json | None = None
    json_object: bool = False
    tools: tuple[Tool, ...] = ()
    forced: tuple[str, ...] = ()
    """Names of tools that must be called; with `must_call` alone the sandbox picks one."""
    must_call: bool = False
    may_call: bool = True
    parallel: bool = True
    search: SearchAsk | None = None
    limit: int | None = None
    """Tokens the answer may have, reasoning included."""
    effort: str = "none"
    extra_prompt: str = ""
    """Text that costs prompt tokens without being a message: schemas and tools."""

    @property
    def system(self) -> str:
        """The instructions."""
        return "\n".join(t.text for t in self.turns if t.role == "system")

    @property
    def user(self) -> tuple[str, ...]:
        """The user's messages."""
        return tuple(t.text for t in self.turns if t.role == "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a function; `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One page that a search found."""

    query: str
    title: str
    url: str
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where a page is named in the text: `text[start:end]`."""

    start: int
    end: int
    result: SearchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the sandbox says; `finish` is stop, length, content_filter or tool_calls."""

    text: str | None
    usage: Usage
    finish: str = "stop"
    refusal: str | None = None
    calls: tuple[ToolCall, ...] = ()
    searches: tuple[str, ...] = ()
    results: tuple[SearchResult, ...] = ()
    citations: tuple[Citation, ...] = field(default=())

    @property
    def outcome(self) -> str:
        """One word for the journal."""
        if self.refusal is not None:
            return "refused"
        return {"length": "incomplete", "content_filter": "filtered"}.get(self.finish, "completed")

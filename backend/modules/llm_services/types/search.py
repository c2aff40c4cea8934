"""Searching the web: what may be asked for, and what was found."""

from collections.abc import Sequence
from typing import Literal, TypedDict

from .basic import JsonObject
from .call_options import CallOptions, FallbackOptions
from .frozen import Frozen

SearchRecency = Literal["day", "week", "month", "year"]
SearchContextSize = Literal["low", "medium", "high"]
SearchSource = Literal["citation", "consulted"]


class SearchLocation(TypedDict, total=False):
    """Roughly where the searcher is: ``country`` as two letters (ISO 3166), ``timezone`` as an
    IANA name such as ``Europe/Vienna``, ``city`` and ``region`` as free text.
    """

    country: str
    city: str
    region: str
    timezone: str


class SearchOptions(CallOptions, FallbackOptions, total=False):
    """The closed set of keyword parameters of ``search_web`` and ``search_answers``.

    ``model`` is a role, ``provider:model`` or a model's name; by default the role ``search``.
    ``allowed_domains`` limits results to these domains and their subdomains (at most 100, without
    ``https://``). ``location`` says where the searcher is; without it none is assumed.
    ``recency`` is how old pages may be; vendors have no such filter, so it is said in the prompt
    and holds as far as the model can tell a page's age. ``context_size`` is how much of the pages
    the model reads (``WEB_SEARCH_CONTEXT_SIZE`` by default). With ``resend`` a request that may
    have been answered, and charged, is sent again after a failure. ``timeout`` (seconds, for the
    whole call) and ``max_retries`` (for each query) override the configuration; ``feature`` ..
    ``context`` are written on the row and never sent.

    ``fallback`` and ``fallback_on`` are those of `GenerationOptions`.
    """

    model: str
    allowed_domains: Sequence[str]
    location: SearchLocation
    recency: SearchRecency
    context_size: SearchContextSize
    resend: bool


class SearchCitation(Frozen):
    """Where an answer names a page: ``answer.text[start:end]``."""

    start: int
    end: int
    url: str
    title: str


class SearchResult(Frozen):
    """A page that a search found. Title and snippet are plain text, written by others: escape them
    where you show them as HTML.

    ``position`` counts from 1 for each query. ``source`` is "citation" for a page that the answer
    cites, whose ``snippet`` is what the answer says on its authority (500 characters at most);
    "consulted" for one that was only read, whose ``title`` is its host and whose ``snippet`` is
    empty, since vendors tell no more. ``url`` is http or https.
    """

    query: str
    position: int
    url: str
    title: str
    snippet: str
    source: SearchSource

    def as_dict(self) -> JsonObject:
        """As ``search_web`` returns it."""
        return self.model_dump()


class SearchAnswer(Frozen):
    """What a search for one query brought: the model's report, where it cites what, and the pages.

    ``text`` is the report as it came. ``searches`` are those that the vendor charges for;
    ``finish_reason`` is "length" for a report that was cut off by ``MAX_TOKENS``. A search
    that failed beside others that did not has no text and no results: ``error_type`` is the
    ledger's word for why, and ``error`` says it.
    """

    query: str
    text: str
    citations: tuple[SearchCitation, ...] = ()
    results: tuple[SearchResult, ...] = ()
    searches: int | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    error: str | None = None

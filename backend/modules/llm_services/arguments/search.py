"""What is searched for, and how."""

import re
from collections.abc import Mapping
from typing import Any

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import SearchContextSize, SearchLocation, SearchRecency

from .basics import Check, guarded, items, one_of, plain_text, shown, text, whole
from .options import COMMON_OPTIONS, FALLBACK_OPTIONS
from .tools import yes_or_no

MAX_QUERIES = 100
MAX_QUERY = 2_000
MAX_RESULTS = 100
MAX_DOMAINS = 100
_DOMAIN = re.compile(
    r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
    re.IGNORECASE,
)
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_TIMEZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")

max_results = whole(1, MAX_RESULTS)


def queries(value: object) -> tuple[str, ...]:
    """What to search for, each once, in the caller's order."""
    if isinstance(value, str):
        raise LLMInputError("queries must be a list of str, not str; put the one query into a list")
    return guarded("queries", _distinct, value)


def _distinct(value: object) -> tuple[str, ...]:
    query, said = text(MAX_QUERY), items("queries", value, MAX_QUERIES, "str")
    checked = [query(f"queries[{index}]", item) for index, item in enumerate(said)]
    first: dict[str, str] = {}
    for item in checked:
        first.setdefault(item.strip(), item)
    return tuple(first.values())


def _domains(name: str, value: Any) -> list[str]:
    domains = items(name, value, MAX_DOMAINS, "domains")
    for index, domain in enumerate(domains):
        if not _DOMAIN.fullmatch(plain_text(domain) or ""):
            raise LLMInputError(
                f"{name}[{index}] must be a domain such as example.org (without https://, in "
                f"ASCII), not {shown(domain)}"
            )
    return [str.lower(domain) for domain in domains]


def _country(name: str, value: Any) -> str:
    said = plain_text(value)
    if said is None or not _COUNTRY.fullmatch(said):
        raise LLMInputError(f"{name} must be two letters such as AT, not {shown(value)}")
    return said.upper()


def _timezone(name: str, value: Any) -> str:
    said = plain_text(value)
    if said is None or not _TIMEZONE.fullmatch(said):
        raise LLMInputError(f"{name} must be a name such as Europe/Vienna, not {shown(value)}")
    return said


_PLACE: Mapping[str, Check] = {
    "country": _country,
    "city": text(100),
    "region": text(100),
    "timezone": _timezone,
}


def _location(name: str, value: Any) -> SearchLocation:
    known = ", ".join(_PLACE)
    if not isinstance(value, Mapping) or not value:
        raise LLMInputError(f"{name} must map some of {known} to text, not {shown(value)}")
    for key in value:
        if key not in _PLACE:
            raise LLMInputError(f"{name} has the unknown key {shown(key)}; known are {known}")
    said: Any = {key: _PLACE[key](f"{name}[{key!r}]", word) for key, word in value.items()}
    place: SearchLocation = said
    return place


def _any_model(_name: str, value: Any) -> Any:
    return value  # what a model's name means is for `roles` to say


SEARCH_OPTIONS: Mapping[str, Check] = {
    "model": _any_model,
    "allowed_domains": _domains,
    "location": _location,
    "recency": one_of(SearchRecency),
    "context_size": one_of(SearchContextSize),
    "resend": yes_or_no,
    **COMMON_OPTIONS,
    **FALLBACK_OPTIONS,
}
"""The check of each keyword parameter in `SearchOptions`."""

SAID_TO_SEARCH_MODELS = ("allowed_domains", "location", "recency", "context_size")
"""The options among them that go to the model."""

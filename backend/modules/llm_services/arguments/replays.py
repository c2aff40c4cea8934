"""Which logged requests are meant, and on which models."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types.paging import RequestFilter

from .basics import Check, items, label, shown, uuid, whole
from .options import OPTIONS
from .overview import request_filter

MAX_MODELS = 10
MAX_REPLAYS = 200
MAX_ESTIMATES = 100_000
_USUAL = 20

REPLAY_OPTIONS: Mapping[str, Check] = {
    name: OPTIONS[name] for name in ("tools", "timeout", "max_retries", "payload_mode")
}
"""The keyword parameters of ``replay`` and ``compare``."""


def models(value: object) -> tuple[str, ...]:
    """The models to compare, each once."""
    words = items("models", value, MAX_MODELS, "models")
    return tuple(dict.fromkeys(label(150)(f"models[{n}]", word) for n, word in enumerate(words)))


def limit(value: object, *, estimate_only: bool) -> int:
    """How many requests are looked at."""
    most = MAX_ESTIMATES if estimate_only else MAX_REPLAYS
    if value is None:
        return most if estimate_only else _USUAL
    return int(whole(1, most)("limit", value))


def requests(value: object, most: int) -> Sequence[UUID] | RequestFilter:
    """A filter, or ids, each once."""
    if isinstance(value, RequestFilter):
        return request_filter(value, "requests")
    if isinstance(value, UUID | str) or not isinstance(value, Sequence):
        raise LLMInputError(
            f"requests must be a list of request ids or a RequestFilter, not {shown(value)}"
        )
    found = items("requests", value, most, "request ids")
    return tuple(dict.fromkeys(uuid(f"requests[{n}]", one) for n, one in enumerate(found)))

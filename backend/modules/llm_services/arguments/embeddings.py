"""Texts to be embedded, and how many numbers each shall become."""

from collections.abc import Mapping

from modules.llm_services.exceptions import LLMInputError

from .basics import Check, guarded, items, kind, sendable_text, whole
from .messages import MAX_CHARACTERS
from .options import CACHE_OPTIONS, COMMON_OPTIONS, FALLBACK_OPTIONS

MAX_TEXTS = 20_000
MAX_DIMENSIONS = 65_536
_DIMENSIONS: Mapping[str, int] = {
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
}
_FIXED: Mapping[str, int] = {"text-embedding-ada-002": 1_536}


EMBEDDING_OPTIONS: Mapping[str, Check] = {
    **COMMON_OPTIONS,
    **CACHE_OPTIONS,
    **FALLBACK_OPTIONS,
}
"""The check of each keyword parameter in `EmbeddingOptions`."""


def texts(value: object) -> list[str]:
    """At least one text, none of them blank."""
    return guarded("texts", _texts, value)


def _texts(value: object) -> list[str]:
    checked: list[str] = []
    left = MAX_CHARACTERS
    for index, item in enumerate(items("texts", value, MAX_TEXTS, "str")):
        checked.append(_text(f"texts[{index}]", item))
        left -= len(checked[-1])
        if left < 0:  # before the others are looked at
            raise LLMInputError(
                f"texts hold more than {MAX_CHARACTERS} characters, the most that is taken"
            )
    return checked


def _text(name: str, value: object) -> str:
    said = sendable_text(name, value, MAX_CHARACTERS)
    if not said.strip():
        raise LLMInputError(f"{name} is blank: give it some text, or leave it out")
    return said


def dimensions(model: str, value: object) -> int:
    """Numbers per vector, as far as the model can shorten its vectors."""
    if model in _FIXED:
        raise LLMInputError(f"dimensions: {model} always gives {_FIXED[model]}; leave it out")
    return int(whole(1, _DIMENSIONS.get(model, MAX_DIMENSIONS))("dimensions", value))


def as_array(value: object) -> bool:
    """Whether NumPy is asked for; if so, it is loaded now, before anything is paid."""
    if not isinstance(value, bool):
        raise LLMInputError(f"as_array must be True or False, not {kind(value)}")
    if value:
        _load_numpy()
    return value


def _load_numpy() -> None:
    try:
        import numpy  # noqa: F401 - only whether it is there
    except ImportError:
        raise LLMInputError(
            "as_array=True needs NumPy: install llm-services[arrays], or numpy"
        ) from None

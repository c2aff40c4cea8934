"""Texts to be embedded, and how many numbers each shall become."""

from collections.abc import Mapping, Sequence

from modules.llm_services.exceptions import LLMInputError

from .basics import Check, kind, sendable_text, whole
from .messages import MAX_CHARACTERS
from .options import CACHE_OPTIONS, COMMON_OPTIONS

MAX_TEXTS = 20_000
MAX_DIMENSIONS = 65_536
_DIMENSIONS: Mapping[str, int] = {
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
}
_FIXED: Mapping[str, int] = {"text-embedding-ada-002": 1_536}


EMBEDDING_OPTIONS: Mapping[str, Check] = {**COMMON_OPTIONS, **CACHE_OPTIONS}
"""The check of each keyword parameter in `EmbeddingOptions`."""


def texts(value: object) -> list[str]:
    """At least one text, none of them blank."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise LLMInputError(f"texts must be a list of str, not {kind(value)}")
    if not value:
        raise LLMInputError("texts is empty: give at least one text")
    if len(value) > MAX_TEXTS:
        raise LLMInputError(f"texts has {len(value)} entries; at most {MAX_TEXTS} are taken")
    checked = [_text(f"texts[{index}]", item) for index, item in enumerate(value)]
    characters = sum(map(len, checked))
    if characters > MAX_CHARACTERS:
        raise LLMInputError(
            f"texts hold {characters} characters; at most {MAX_CHARACTERS} are taken"
        )
    return checked


def _text(name: str, value: object) -> str:
    if not sendable_text(name, value).strip():
        raise LLMInputError(f"{name} is blank: give it some text, or leave it out")
    return str(value)


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

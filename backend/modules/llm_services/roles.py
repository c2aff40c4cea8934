"""What a caller's word for a model means: a role, ``provider:model``, or a plain model name.

Model names die within weeks; siblings name a role and the configuration says what it is today.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from .exceptions import LLMConfigurationError, LLMInputError
from .types import Candidate, LLMProviderType, Strategy

if TYPE_CHECKING:
    from .config import LLMConfig

DEFAULT_ROLE = "fast"
IMAGE_ROLE = "image"
EMBEDDING_ROLE = "embedding"
SEARCH_ROLE = "search"
SPEECH_ROLE = "speech"
TRANSCRIPTION_ROLE = "transcription"
DEFAULT_ROLES = {
    "fast": "openai:gpt-6-luna",
    "smart": "openai:gpt-6.1-sol",
    IMAGE_ROLE: "openai:gpt-image-2.5-flare",
    EMBEDDING_ROLE: "openai:text-embedding-3-small",
    SEARCH_ROLE: "openai:gpt-6-luna",
    SPEECH_ROLE: "openai:gpt-4o-mini-tts",  # until 2027-01-06
    TRANSCRIPTION_ROLE: "openai:gpt-transcribe",
}
VENDOR_ROLES: Mapping[str, Mapping[str, str]] = {
    LLMProviderType.OPENAI: {},
    LLMProviderType.ANTHROPIC: {
        "fast": "anthropic:claude-haiku-5-5",
        "smart": "anthropic:claude-opus-5-5",
        SEARCH_ROLE: "anthropic:claude-haiku-5-5",
    },
    LLMProviderType.GEMINI: {
        "fast": "gemini:gemini-3.8-flash",
        "smart": "gemini:gemini-4-argon",
        IMAGE_ROLE: "gemini:gemini-nano-banana-2.1",
        EMBEDDING_ROLE: "gemini:gemini-embedding-2",
        SEARCH_ROLE: "gemini:gemini-3.8-flash",
    },
}
"""What stands in place of `DEFAULT_ROLES` when ``LLM_PROVIDER`` names a vendor."""
_MODEL_NAME = re.compile(r"[\x21-\x7e]{1,100}")
_FINE_TUNED = "ft"
# Names may hold commas: one parts two models where a space or the next one's provider follows.
_BETWEEN = re.compile(r"\s*,\s+|,(?=[a-z][a-z0-9_]*:)")
# Vertex AI's versions ("@001", "@20260915") are no weights.
_WEIGHT = re.compile(r"@([1-9][0-9]{0,2})$")

Order: TypeAlias = Callable[[Strategy, Sequence[Candidate]], Sequence[Candidate]]


def as_written(_strategy: Strategy, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """The order of a configuration whose strategies nobody asks about."""
    return candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A provider and its model; ``requested`` is the caller's word when it said something else.
    ``others`` are the role's further models, in the order in which they are asked.
    """

    provider: str
    model: str
    requested: str | None = None
    others: tuple[Candidate, ...] = ()


def resolve_model(
    config: LLMConfig, providers: Set[str], word: object = None, order: Order = as_written
) -> ModelChoice:
    """The model that ``word`` stands for; without a word, the configured one. Of a role's several
    models ``order`` says which is first.

    Raises `LLMInputError` for a word that means nothing, `LLMConfigurationError` when it is the
    configuration's word that does not.
    """
    if word is not None and not isinstance(word, str):
        raise LLMInputError(f"model must be a str, not {type(word).__name__}")
    asked = config.model or DEFAULT_ROLE if word is None else str.__str__(word)
    role, variable = _role(config, asked)
    try:
        found = _models(role, providers) if role else [_parse(asked, providers)]
    except LLMInputError as error:
        if role is None and word is not None:
            raise
        where = variable if role else config.variable("model")
        raise LLMConfigurationError(f"{where}: {error.message}") from None
    first, *others = order(_strategy(config, asked, found), found) if len(found) > 1 else found
    return ModelChoice(
        provider=first.provider,
        model=first.model,
        requested=None if asked in {first.model, str(first)} else asked,
        others=tuple(others),
    )


def _strategy(config: LLMConfig, role: str, found: Sequence[Candidate]) -> Strategy:
    weighted = any(one.weight is not None for one in found)
    return config.role_strategies.get(role, "weighted" if weighted else "ordered")


def _models(text: str, providers: Set[str]) -> list[Candidate]:
    """The models of a role, each with the weight that it is given."""
    found = [_weighted(part, providers) for part in _BETWEEN.split(text)]
    twice = next(
        (one for i, one in enumerate(found) if one.key in {o.key for o in found[:i]}), None
    )
    if twice is not None:
        raise LLMInputError(f"model {str(twice)[:80]!r} is named twice")
    return found


def _weighted(text: str, providers: Set[str]) -> Candidate:
    weight = _WEIGHT.search(text.strip())
    found = _parse(_WEIGHT.sub("", text.strip()), providers)
    return replace(found, weight=int(weight[1])) if weight else found


def role_faults(config: LLMConfig, providers: Set[str]) -> Iterator[str]:
    """What would otherwise fail at the first call, by variable; each once."""
    for word in (None, *dict.fromkeys((*DEFAULT_ROLES, *config.roles))):
        try:
            resolve_model(config, providers, word)
        except LLMConfigurationError as error:
            yield error.message


def _role(config: LLMConfig, word: str) -> tuple[str | None, str]:
    """What a role stands for, and the variable that says so."""
    legacy = {IMAGE_ROLE: "image_model"}.get(word)
    said = getattr(config, legacy) if legacy else None
    if said and word not in config.roles:
        return str(said), config.variable(str(legacy))
    usual = {**DEFAULT_ROLES, **VENDOR_ROLES[config.default_provider]}
    return config.roles.get(word) or usual.get(word), f"LLM_ROLES__{word.upper()}"


def _parse(text: str, providers: Set[str]) -> Candidate:
    prefix, colon, rest = text.partition(":")
    if not colon or prefix == _FINE_TUNED:
        return Candidate(provider=LLMProviderType.OPENAI, model=_model_name(text))
    if prefix not in providers:
        known = ", ".join(sorted(providers))
        raise LLMInputError(
            f"model {text[:80]!r} names the provider {prefix[:40]!r}; known are {known}"
        )
    return Candidate(provider=prefix, model=_model_name(rest))


def _model_name(name: str) -> str:
    if not _MODEL_NAME.fullmatch(name):
        raise LLMInputError(
            f"model {name[:80]!r} must be 1 to 100 printable ASCII characters without spaces"
        )
    return name

"""When models will be shut down, as far as their vendors have announced it.

Sources, read in November 2026: developers.openai.com/api/docs/deprecations,
platform.claude.com/docs/en/about-claude/model-deprecations,
ai.google.dev/gemini-api/docs/deprecations (whose days are the earliest), and
api-docs.deepseek.com/updates. A dated snapshot goes with its family. Clouds that
resell models, such as Azure, have dates of their own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

_SNAPSHOT = re.compile(r"-(\d{4}-\d\d-\d\d|\d{8}|\d{3,4})$|-latest$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """The day on which a model stops answering, and what its vendor names ``instead``."""

    provider: str
    models: tuple[str, ...]
    day: date
    instead: str | None = None


def _openai(day: date, instead: str | None, *models: str) -> Retirement:
    return Retirement(provider="openai", models=models, day=day, instead=instead)


def _anthropic(day: date, instead: str, *models: str) -> Retirement:
    return Retirement(provider="anthropic", models=models, day=day, instead=instead)


def _gemini(day: date, instead: str, *models: str) -> Retirement:
    return Retirement(provider="gemini", models=models, day=day, instead=instead)


RETIREMENTS: tuple[Retirement, ...] = (
    _openai(date(2026, 5, 12), "gpt-image-2", "dall-e-2", "dall-e-3"),
    _openai(date(2026, 7, 23), None, "gpt-4o-search-preview", "gpt-4o-mini-search-preview"),
    _openai(date(2026, 7, 23), "gpt-5.6-sol", "gpt-5-chat", "gpt-5.1-chat", "gpt-5-codex"),
    _openai(date(2026, 7, 23), "gpt-5.6-sol", "gpt-5.1-codex", "gpt-5.2-codex"),
    _openai(date(2026, 8, 10), "gpt-5.6-sol", "gpt-5.2-chat", "gpt-5.3-chat"),
    _openai(date(2026, 10, 23), "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"),
    _openai(date(2026, 10, 23), None, "gpt-4o-2024-05-13"),
    _openai(date(2026, 10, 23), "gpt-5.4-mini", "gpt-4.1-nano", "o1", "o1-pro"),
    _openai(date(2026, 10, 23), "gpt-5.4-mini", "o3-mini", "o4-mini"),
    _openai(date(2026, 10, 23), "gpt-image-2", "gpt-image-1"),
    _openai(date(2026, 12, 1), "gpt-image-2", "gpt-image-1.5", "gpt-image-1-mini"),
    _openai(date(2026, 12, 11), "gpt-5.5", "gpt-5", "o3", "o3-pro"),
    _openai(date(2026, 12, 11), "gpt-5.4-mini", "gpt-5-mini"),
    _openai(date(2026, 12, 11), "gpt-5.4-nano", "gpt-5-nano"),
    _openai(date(2026, 12, 11), "gpt-5.5-pro", "gpt-5-pro"),
    _openai(date(2027, 1, 6), None, "gpt-4o-mini-tts", "tts-1", "tts-1-hd"),
    _openai(date(2027, 1, 14), None, "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"),
    _openai(date(2027, 2, 26), "gpt-transcribe", "whisper-1", "gpt-4o-transcribe"),
    _openai(date(2027, 2, 26), "gpt-transcribe", "gpt-4o-mini-transcribe"),
    _openai(date(2027, 4, 1), None, "gpt-5.1", "gpt-5.4-nano"),
    _anthropic(date(2026, 6, 15), "claude-sonnet-4-6", "claude-sonnet-4", "claude-sonnet-4-0"),
    _anthropic(date(2026, 6, 15), "claude-opus-4-8", "claude-opus-4", "claude-opus-4-0"),
    _anthropic(date(2026, 8, 5), "claude-opus-4-8", "claude-opus-4-1"),
    _gemini(date(2026, 6, 1), "gemini-3.5-flash", "gemini-2.0-flash"),
    _gemini(date(2026, 6, 1), "gemini-3.1-flash-lite", "gemini-2.0-flash-lite"),
    _gemini(date(2026, 10, 16), "gemini-3.5-flash", "gemini-2.5-flash"),
    Retirement(
        provider="deepseek",
        models=("deepseek-chat", "deepseek-reasoner"),
        day=date(2026, 7, 24),
        instead="deepseek-v4-flash",
    ),
)


def _by_name(known: Iterable[Retirement]) -> dict[tuple[str, str], Retirement]:
    return {(one.provider, name): one for one in known for name in one.models}


_KNOWN = _by_name(RETIREMENTS)


def retirement_of(provider: str, model: str) -> Retirement | None:
    """What is announced for a model, its dated names included; ``None`` for all others."""
    name = model.lower()
    return _KNOWN.get((provider, name)) or _KNOWN.get((provider, _SNAPSHOT.sub("", name)))

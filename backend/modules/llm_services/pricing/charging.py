"""A usage times its rates: every unit once, and an error for a unit that has no rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import TypeAlias

from modules.llm_services.types import Usage

from .table import LEAST_AUDIO_SECONDS, Rate, Rates

# Class of tokens -> its rate and, where there is none, the rate of the class that contains it.
# Media have no such second rate: sound costs ten times what text does.
_RATES = {
    "input": ("input_mtok",),
    "cached": ("cache_read_mtok", "input_mtok"),
    "cache_write": ("cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
    "reasoning": ("output_reasoning_mtok", "output_mtok"),
    "image_input": ("input_image_mtok",),
    "image_cached": ("cache_image_read_mtok", "input_image_mtok"),
    "image_output": ("output_image_mtok",),
    "audio_input": ("input_audio_mtok",),
    "audio_cached": ("cache_audio_read_mtok", "input_audio_mtok"),
    "audio_output": ("output_audio_mtok",),
}
_Classes: TypeAlias = dict[str, int]


def charge(usage: Usage, rates: Rates) -> dict[str, Decimal]:
    """USD by class; classes do not overlap.

    Raises `LookupError` for a unit that was used and has no rate, `ValueError` for a usage that
    contradicts itself or does not report what the rates are for.
    """
    charges = dict(_token_charges(usage, rates)) if _is_priced_by_token(usage, rates) else {}
    charges.update(_unit_charges(usage, rates))
    request = rates.get("requests_kcount")
    if request is not None:
        charges["request"] = _at(request, usage.prompt_tokens or 0) / 1000
    return charges


def _is_priced_by_token(usage: Usage, rates: Rates) -> bool:
    """Speech is sold by the token, by the character or by the second. Of a model that has no
    rate for tokens, tokens are only another way to say how much it was.
    """
    if rates.get("input_mtok") is not None:
        return True
    if (usage.characters is not None and rates.get("input_mchars") is not None) or (
        usage.audio_seconds is not None and rates.get("audio_hours") is not None
    ):
        return False
    raise LookupError("it has no token prices")


def _token_charges(usage: Usage, rates: Rates) -> Iterator[tuple[str, Decimal]]:
    prompt = usage.prompt_tokens or 0
    for name, tokens in _token_classes(usage, rates).items():
        if tokens:
            # The prompt's whole size chooses the tier of a rate, such as the one above 272k.
            yield name, _at(_rate(rates, name), prompt) * tokens / 1_000_000


def _rate(rates: Rates, name: str) -> Rate:
    for key in _RATES[name]:
        rate: Rate | None = rates.get(key)
        if rate is not None:
            return rate
    raise LookupError(f"it has no price for {name} tokens")


def _at(rate: Rate, prompt: int) -> Decimal:
    """The rate for a prompt of that many tokens."""
    if isinstance(rate, Decimal):
        return rate
    return next((t.price for t in reversed(rate.tiers) if prompt > t.start), rate.base)


def _token_classes(usage: Usage, rates: Rates) -> _Classes:
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if prompt is None and completion is None:
        raise ValueError("no token usage was reported")
    classes = {**_prompt_classes(usage, rates), **_completion_classes(usage)}
    if min(classes.values()) < 0:
        raise _contradiction(usage)
    return classes


def _prompt_classes(usage: Usage, rates: Rates) -> _Classes:
    prompt, cached = usage.prompt_tokens or 0, usage.cache_read_tokens or 0
    written, audio = usage.cache_write_tokens or 0, usage.audio_input_tokens or 0
    # A model without a rate for images counts them as text.
    image = (usage.image_input_tokens or 0) if rates.get("input_image_mtok") is not None else 0
    if not audio and not image:
        return {"input": prompt - cached - written, "cached": cached, "cache_write": written}
    return _media_classes(prompt - image - audio, image, audio, cached, written)


def _media_classes(text: int, image: int, audio: int, cached: int, written: int) -> _Classes:
    """Vendors do not say which of the cached tokens were text. The cheapest are taken to be:
    text first, then images, then audio; that price is never too low.
    """
    text_cached = max(min(cached, text), 0)
    image_cached = max(min(cached - text_cached, image), 0)
    audio_cached = cached - text_cached - image_cached
    if 0 <= text - text_cached < written <= text + image + audio - cached:
        raise LookupError("it has no price for writing images or audio to the cache")
    return {
        "input": text - text_cached - written,
        "cached": text_cached,
        "cache_write": written,
        "image_input": image - image_cached,
        "image_cached": image_cached,
        "audio_input": audio - audio_cached,
        "audio_cached": audio_cached,
    }


def _completion_classes(usage: Usage) -> _Classes:
    completion, reasoning = usage.completion_tokens or 0, usage.reasoning_tokens or 0
    image, audio = usage.image_output_tokens or 0, usage.audio_output_tokens or 0
    plain = {"output": completion - reasoning - image - audio, "reasoning": reasoning}
    if not image and not audio:
        return plain
    return {**plain, "image_output": image, "audio_output": audio}


def _unit_charges(usage: Usage, rates: Rates) -> Iterator[tuple[str, Decimal]]:
    """What is not tokens. Text that was spoken and audio that was heard may have been charged as
    tokens already; a search never is.
    """
    if usage.web_searches is not None:
        rate = rates.get("web_searches_kcount")
        if usage.web_searches and rate is None:
            raise LookupError("it has no price for web searches")
        yield "web_search", _units(usage, usage.web_searches, rate, 1000)
    if usage.characters is not None:
        rate = rates.get("input_mchars")
        yield "characters", _units(usage, usage.characters, rate, 1_000_000)
    if usage.audio_seconds is not None:
        least = rates.get(LEAST_AUDIO_SECONDS, 0) if usage.audio_seconds else 0
        seconds = max(usage.audio_seconds, least)
        yield "audio_seconds", _units(usage, seconds, rates.get("audio_hours"), 3600)


def _units(usage: Usage, count: float, rate: Rate | None, per: int) -> Decimal:
    if not (math.isfinite(count) and count >= 0):
        raise _contradiction(usage)
    if rate is None:
        return Decimal(0)
    return _at(rate, usage.prompt_tokens or 0) * Decimal(str(count)) / per


def _contradiction(usage: Usage) -> ValueError:
    return ValueError(f"the reported usage contradicts itself: {usage.as_dict()}")

"""What shall be spoken, how, and by which voice; what shall be written down."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types.audio import AudioFormat

from .basics import (
    Check,
    guarded,
    items,
    label,
    number,
    one_of,
    plain_text,
    sendable_text,
    shown,
    text,
)
from .options import COMMON_OPTIONS, FALLBACK_OPTIONS

MAX_SPOKEN = 100_000
"""Characters: about two hours."""
_VOICES = (
    "alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer",
)  # fmt: skip
_NEWER_VOICES = (*_VOICES, "ballad", "cedar", "marin", "verse")
_TTS_1 = re.compile(r"tts-1(-hd)?(-\d{4})?")
_GPT_TTS = re.compile(r"gpt-4o-mini-tts(-\d{4}-\d\d-\d\d)?")
_CUSTOM_VOICE = re.compile(r"voice_[A-Za-z0-9_-]{1,64}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_HEARS = re.compile(r"whisper-1|gpt-4o(-mini)?-transcribe(-diarize|-\d{4}-\d\d-\d\d)?")
_MOST_WORDS = 100


def spoken_text(value: object) -> str:
    """A text that is not blank and not longer than anybody listens."""
    return str(guarded("text", text(MAX_SPOKEN), "text", value))


def audio_format(value: object) -> AudioFormat:
    """One of the formats."""
    checked: AudioFormat = guarded("format", one_of(AudioFormat), "format", value)
    return checked


def voice(model: str, value: object) -> str:
    """A voice that the model has. What voices a model of another family has, it says itself."""
    name = str(guarded("voice", label(100), "voice", value))
    known = _voices(model)
    if not known or name in known or (_GPT_TTS.fullmatch(model) and _CUSTOM_VOICE.fullmatch(name)):
        return name
    raise LLMInputError(f"voice {shown(name)} is none of {model}'s: {', '.join(sorted(known))}")


def _voices(model: str) -> Sequence[str]:
    if _TTS_1.fullmatch(model):
        return _VOICES
    return _NEWER_VOICES if _GPT_TTS.fullmatch(model) else ()


def check_speech_parameters(model: str, given: Mapping[str, object]) -> None:
    """Raise for a parameter that would be ignored: the caller would hear something else."""
    if "instructions" in given and _TTS_1.fullmatch(model):
        raise LLMInputError(f"instructions: {model} takes none; use gpt-4o-mini-tts")


def language(name: str, value: object) -> str:
    """A language's ISO 639 code."""
    said = plain_text(value)
    if said is None or not _LANGUAGE.fullmatch(said):
        raise LLMInputError(f"{name} must be an ISO 639 code such as 'en', not {shown(value)}")
    return said


def check_transcription_parameters(model: str, given: Mapping[str, object]) -> None:
    """Raise for a parameter that the model's family does not take."""
    if "prompt" in given and model.endswith("-diarize"):
        raise LLMInputError(f"prompt: {model} takes none")
    for name in ("languages", "keywords"):
        if name in given and _HEARS.fullmatch(model):
            raise LLMInputError(f"{name}: {model} takes none; gpt-transcribe does")


def _words(each: Check) -> Check:
    def check(name: str, value: Any) -> list[str]:
        words = items(name, value, _MOST_WORDS, "texts")
        return [each(f"{name}[{index}]", word) for index, word in enumerate(words)]

    return check


def prompt(name: str, value: object) -> str:
    """Words before the recording, or in its style."""
    return sendable_text(name, value, MAX_SPOKEN)


SPEECH_OPTIONS: Mapping[str, Check] = {
    "instructions": text(4_096),
    "speed": number(0.25, 4),
    **COMMON_OPTIONS,
}
"""The check of each keyword parameter in `SpeechOptions`."""

TRANSCRIPTION_OPTIONS: Mapping[str, Check] = {
    "temperature": number(0, 1),
    "languages": _words(language),
    "keywords": _words(text(100)),
    **COMMON_OPTIONS,
    **FALLBACK_OPTIONS,
}
"""The check of each keyword parameter in `TranscriptionOptions`."""

"""Speech and transcripts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from .basic import JsonObject
from .call_options import CallOptions, FallbackOptions
from .frozen import Frozen

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
AudioFile: TypeAlias = bytes | Path | BinaryIO
"""A recording of a caller: its bytes, a path, or a file that is open in binary mode."""


class SpeechOptions(CallOptions, total=False):
    """The closed set of keyword parameters of ``generate_audio``.

    ``instructions`` says how to speak (tone, pace, accent; not for ``tts-1``), ``speed`` is 0.25
    to 4 times the usual one. ``timeout`` (seconds, for the whole call with its requests and
    retries) and ``max_retries`` (for each request) override the configuration. The others are
    written on the row and never sent.
    """

    instructions: str
    speed: float


class TranscriptionOptions(CallOptions, FallbackOptions, total=False):
    """The closed set of keyword parameters of ``transcribe_audio``.

    ``temperature`` is 0 to 1. ``languages`` (that may be spoken, as ``en``) and ``keywords``
    (names and terms to expect) are for ``gpt-transcribe``. ``timeout`` (seconds, for the whole
    call with its retries) and ``max_retries`` override the configuration. The others are written
    on the row and never sent.

    ``fallback`` and ``fallback_on`` are those of `GenerationOptions`.
    """

    temperature: float
    languages: Sequence[str]
    keywords: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file: its media type and its bytes."""

    media_type: str
    data: bytes = field(repr=False)

    def omitted(self) -> JsonObject:
        """What a log says in the bytes' place."""
        return {
            "omitted": True,
            "media_type": self.media_type,
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class GeneratedAudio(Sound):
    """A text, spoken. ``pcm`` has no header: 24 kHz, 16 bit, little-endian, one channel."""

    format: AudioFormat


@dataclass(frozen=True, slots=True)
class Recording(Sound):
    """A sound file of a caller, and the ending that its name should have."""

    extension: str


class TranscriptSegment(Frozen):
    """A stretch of a transcript, in seconds from the start; ``speaker`` where speakers are told
    apart.
    """

    start: float
    end: float
    text: str
    speaker: str | None = None


class Transcript(Frozen):
    """What was said. ``text`` is empty where nobody speaks.

    ``language`` is in the model's own words (``en`` or ``english``), ``duration_seconds`` the
    sound's length, ``segments`` its stretches: each is there when the model reports it.
    """

    text: str
    language: str | None = None
    duration_seconds: float | None = None
    segments: tuple[TranscriptSegment, ...] = ()

"""OpenAI's speech (``POST /audio/speech``): a text as JSON, and a sound back: bytes, or events."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from modules.llm_services.exceptions import LLMBadResponseError, LLMInputError
from modules.llm_services.providers.base import Reply
from modules.llm_services.types import JsonObject, Usage
from modules.llm_services.types.audio import AudioFormat, GeneratedAudio, Sound

from . import wav
from .base import BinaryFormat, Request
from .speech_stream import Spoken, is_event_stream, spoken
from .spoken_text import pieces

MAX_INPUT = 4_096
MAX_INPUT_OF_GPT = 2_000
"""gpt-4o-mini-tts reads 2,000 tokens, which in some scripts is as many characters, and users
report that it falls silent after three minutes.
"""
MAX_BODY = 96 * 2**20
"""Bytes: ten minutes of WAV take half of that, in base64."""
JOINABLE: Sequence[AudioFormat] = ("mp3", "aac", "wav", "pcm")
"""Formats whose files can be made one. Opus and FLAC have headers that say where the file ends."""

_MEDIA_TYPES: Mapping[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_MARKUP = re.compile(rb"\s*(<!doctype|<html|<\?xml|\{\s*\")", re.IGNORECASE)
_MPEG, _LAYER = 0xE0, 0x06
_SIGNATURES: Mapping[AudioFormat, Callable[[bytes], bool]] = {
    "mp3": lambda data: data[:3] == b"ID3" or (_is_mpeg(data) and bool(data[1] & _LAYER)),
    "opus": lambda data: data[:4] == b"OggS",
    "aac": lambda data: data[:4] == b"ADIF" or (_is_mpeg(data) and not data[1] & _LAYER),
    "flac": lambda data: data[:4] == b"fLaC",
    "wav": lambda data: wav.samples(data) is not None,
    "pcm": lambda data: len(data) % 2 == 0 and not _MARKUP.match(data),
}
_NO_SOUND = ("application/json", "text/", "application/problem+json", "application/xml")
_BODY_LIMIT = 2_000
_SENT = ("instructions", "speed", "stream_format")


def spoken_parts(text: str, model: str, audio_format: AudioFormat) -> list[str]:
    """The text in as many requests as the limits ask for.

    Raises `LLMInputError` when the format's files cannot be joined.
    """
    if audio_format in JOINABLE:
        return pieces(text, MAX_INPUT_OF_GPT if model.startswith("gpt-") else MAX_INPUT)
    if len(text) > MAX_INPUT:
        raise LLMInputError(
            f"text has {len(text)} characters; {audio_format} cannot be joined and holds "
            f"{MAX_INPUT}: cut the text, or use {', '.join(JOINABLE)}"
        )
    return [text]


def speech(text: str, audio_format: AudioFormat) -> BinaryFormat:
    """The format of one part. What comes is read as what its media type says: not every server
    that is asked for a stream knows streams of speech.
    """
    return BinaryFormat(
        path="/audio/speech",
        body=partial(_body, text=text),
        reply=partial(_reply, len(text), audio_format),
        limit=MAX_BODY,
    )


def _body(request: Request, text: str) -> JsonObject:
    """The request's JSON. At OpenAI, a voice of one's own has an id, not a name."""
    model, given = request.call.model, request.parameters
    voice = given["voice"]
    own = model.startswith("gpt-") and voice.startswith("voice_")
    wire: JsonObject = {
        "model": model,
        "input": text,
        "voice": {"id": voice} if own else voice,
        "response_format": given["format"],
    }
    return wire | {name: given[name] for name in _SENT if name in given}


def _reply(characters: int, audio_format: AudioFormat, body: bytes, content_type: str) -> Reply:
    """The sound, if it is one. Characters are ours to count; tokens only a stream reports."""
    told = _told(body, content_type)
    if told is None or not _is_sound(told.data, audio_format):
        raise _no_sound(told, body, content_type, audio_format)
    return Reply(
        text="",
        model=None,
        usage=Usage(characters=characters) + (told.usage or Usage()),
        usage_details=told.details,
        raw=Sound(_MEDIA_TYPES[audio_format], told.data).omitted(),
        parsed=told.data,
    )


def _told(body: bytes, content_type: str) -> Spoken | None:
    """What a body holds, by its media type; ``None`` for one that cannot be sound."""
    if is_event_stream(content_type):
        return spoken(body)
    return None if content_type.lower().startswith(_NO_SOUND) else Spoken(body)


def joined(parts: Sequence[bytes], audio_format: AudioFormat) -> GeneratedAudio:
    """One sound of all parts, one after the other."""
    if audio_format == "wav":
        data = wav.joined(parts)
    elif audio_format == "mp3" and len(parts) > 1:
        data = b"".join(_frames(part) for part in parts)
    else:
        data = b"".join(parts)
    return GeneratedAudio(_MEDIA_TYPES[audio_format], data, audio_format)


def _is_mpeg(data: bytes) -> bool:
    return len(data) > 1 and data[0] == 0xFF and data[1] & _MPEG == _MPEG  # noqa: PLR2004


def _is_sound(data: bytes, audio_format: AudioFormat) -> bool:
    return bool(data) and _SIGNATURES[audio_format](data)


def _no_sound(
    told: Spoken | None, body: bytes, content_type: str, audio_format: AudioFormat
) -> LLMBadResponseError:
    data = told.data if told else body
    readable = told is None or _MARKUP.match(data)
    shown = data[:_BODY_LIMIT].decode("utf-8", "replace") if readable else ""
    return LLMBadResponseError(
        f"the provider's answer is no {audio_format}: {len(data)} bytes of {content_type[:60]!r}",
        maybe_billed=True,
        usage=told.usage if told else None,
        response_body=shown or str(Sound(content_type[:60], data).omitted()),
    )


def _frames(part: bytes) -> bytes:
    """An MP3 without its tags; and where its first frame says how long the file is, silence."""
    if part[:3] == b"ID3":
        size = sum((byte & 0x7F) << shift for byte, shift in zip(part[6:10], (21, 14, 7, 0)))  # noqa: B905
        part = part[10 + size :]
    if part[-128:-125] == b"TAG":
        part = part[:-128]
    head = part[:64]
    for mark in (b"Xing", b"Info", b"VBRI"):
        head = head.replace(mark, bytes(4))
    return head + part[64:]

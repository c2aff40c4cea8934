"""POST /v1/audio/speech and /v1/audio/transcriptions.

Speech is a soft hum as long as the text: WAV or PCM as asked (24 kHz, 16 bit, one channel). The
standard library encodes no other format, so `mp3` is one valid MPEG frame of silence, repeated;
`opus`, `aac` and `flac` begin with their format's signature and are not for hearing. With
`stream_format: "sse"` it comes in events, the last of which has the usage.

A transcription says how long the sound is, and repeats `prompt` if there is one.
"""

from __future__ import annotations

import array
import base64
import io
import math
import sys
import wave
from collections.abc import Iterator

from sandbox import tokens
from sandbox.faults import Fault
from sandbox.params import check_known, check_required
from sandbox.sse import ERROR, broken, event
from sandbox.tokens import Usage
from sandbox.wire import ApiError, Json, Reply

RATE = 24_000
_SECONDS_PER_TOKEN, _LONGEST, _SPEECH_LIMIT = 0.25, 60.0, 4096
_TOKENS_PER_SECOND, _PIECE = 20, 16_384
_MEDIA = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac",
          "wav": "audio/wav", "pcm": "audio/pcm"}  # fmt: skip
# MPEG-1 layer III, 128 kbit/s, 44.1 kHz, mono: 417 bytes are one frame of 26 ms.
_MP3_FRAME = b"\xff\xfb\x90\xc4" + bytes(413)
_MP3_FRAMES_PER_SECOND = 38
_SIGNATURES = {"opus": b"OggS\0\x02", "aac": b"\xff\xf1P\x80", "flac": b"fLaC\x80\0\0\x22"}


def speak(body: Json, fault: Fault) -> Reply:
    """Turn a text into sound."""
    check_known(body, "speech")
    check_required(body, "model", "input", "voice")
    text = str(body["input"])
    form = str(body.get("response_format") or "mp3")
    if form not in _MEDIA:
        raise ApiError(
            400, f"Invalid value: '{form}'.", param="response_format", code="invalid_value"
        )
    if len(text) > _SPEECH_LIMIT:
        message = f"Invalid 'input': string too long. Expected at most {_SPEECH_LIMIT} characters."
        raise ApiError(400, message, param="input", code="string_above_max_length")
    seconds = min(_LONGEST, max(0.2, tokens.count(text) * _SECONDS_PER_TOKEN))
    data = b"" if fault.empty else _sound(form, seconds)
    spent = Usage(prompt=tokens.count(text), completion=int(seconds * _TOKENS_PER_SECOND))
    if body.get("stream_format") == "sse":
        _check_streams(str(body["model"]))
        return Reply(events=tuple(_spoken(data, spent, fault)), tokens=spent)
    return Reply(content=data, media_type=_MEDIA[form], tokens=spent)


def _check_streams(model: str) -> None:
    if model.startswith("tts-1"):
        message = "Unsupported value: 'sse' is not supported with this model."
        raise ApiError(400, message, param="stream_format", code="unsupported_value")


def _spoken(data: bytes, spent: Usage, fault: Fault) -> Iterator[str]:
    pieces = (data[n : n + _PIECE] for n in range(0, len(data), _PIECE))
    encoded = (base64.b64encode(piece).decode() for piece in pieces)
    deltas = [{"type": "speech.audio.delta", "audio": audio} for audio in encoded]
    done: Json = {"type": "speech.audio.done"}
    if not fault.no_usage:
        done["usage"] = {
            "input_tokens": spent.prompt,
            "output_tokens": spent.completion,
            "total_tokens": spent.prompt + spent.completion,
        }
    return broken((event(e) for e in [*deltas, done]), fault, {"error": ERROR})


def _sound(form: str, seconds: float) -> bytes:
    if form == "pcm":
        return _pcm(seconds)
    if form == "wav":
        return to_wav(_pcm(seconds))
    if form == "mp3":
        return _MP3_FRAME * max(1, int(seconds * _MP3_FRAMES_PER_SECOND))
    return _SIGNATURES[form] + bytes(int(seconds * 2000))


def _pcm(seconds: float) -> bytes:
    # One period of 120 Hz, repeated: computing every sample would hold up the loop.
    period = RATE // 120
    samples = array.array(
        "h", (int(4000 * math.sin(2 * math.pi * i / period)) for i in range(period))
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes() * max(1, int(seconds * 120))


def to_wav(pcm: bytes) -> bytes:
    """PCM samples as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return out.getvalue()


def transcribe(body: Json, fault: Fault) -> Reply:
    """Turn a sound file into text."""
    check_required(body, "model", "file")
    data = body["file"]
    if not isinstance(data, bytes) or not data:
        raise ApiError(400, "Audio file might be corrupted or unsupported.", param="file")
    seconds = round(_duration(data), 2)
    prompt = str(body.get("prompt") or "")
    text = (
        ""
        if fault.empty
        else f"Sandbox transcript of {seconds:g} seconds of audio. {prompt}".strip()
    )
    usage = _usage(str(body["model"]), seconds, prompt, text)
    form = str(body.get("response_format") or "json")
    spent = Usage(prompt=usage.get("input_tokens", 0), completion=usage.get("output_tokens", 0))
    if str(body.get("stream")).lower() == "true":
        done: Json = {"type": "transcript.text.done", "text": text, "usage": usage}
        deltas = [{"type": "transcript.text.delta", "delta": p} for p in tokens.pieces(text)]
        events = broken((event(e) for e in [*deltas, done]), fault, {"error": ERROR})
        return Reply(events=tuple(events), tokens=spent)
    if form in {"text", "srt", "vtt"}:
        return Reply(
            content=_captions(form, text, seconds).encode(), media_type="text/plain", tokens=spent
        )
    whole: Json = {"text": text, "usage": usage}
    if form == "verbose_json":
        whole |= {"language": "english", "duration": seconds, "segments": [_segment(text, seconds)]}
    if fault.no_usage:
        del whole["usage"]
    return Reply(content=whole, tokens=spent)


def _duration(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as file:
            return float(file.getnframes() / file.getframerate())
    except (wave.Error, EOFError):
        # 128 kbit/s is a fair guess for what is no WAV.
        return len(data) / 16_000


def _usage(model: str, seconds: float, prompt: str, text: str) -> Json:
    """By duration for whisper and gpt-transcribe, by tokens for the others."""
    if model.startswith(("whisper", "gpt-transcribe")):
        return {"type": "duration", "seconds": seconds}
    audio, words = max(1, int(seconds * 10)), tokens.count(prompt)
    made = tokens.count(text)
    return {
        "type": "tokens",
        "input_tokens": audio + words,
        "input_token_details": {"audio_tokens": audio, "text_tokens": words},
        "output_tokens": made,
        "total_tokens": audio + words + made,
    }


def _captions(form: str, text: str, seconds: float) -> str:
    if form == "text":
        return f"{text}\n"
    end = f"00:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
    if form == "vtt":
        return f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n"
    return f"1\n00:00:00,000 --> {end},000\n{text}\n"


def _segment(text: str, seconds: float) -> Json:
    return {
        "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": text, "tokens": [],
        "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0,
    }  # fmt: skip

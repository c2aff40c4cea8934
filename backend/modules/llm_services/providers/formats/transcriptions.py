"""OpenAI's transcriptions (``POST /audio/transcriptions``): a form with a file, and JSON back."""

from typing import Annotated

from pydantic import Field

from modules.llm_services.providers.base import Reply
from modules.llm_services.types import JsonObject, Usage
from modules.llm_services.types.audio import Recording, Transcript, TranscriptSegment

from .base import Count, Request, Wire, WireFormat, read
from .images import File

_WORDS = ("text", "segments", "words", "logprobs")
_SENT = ("language", "prompt", "temperature", "languages", "keywords")

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Language(Wire):
    code: str


class _Segment(Wire):
    start: _Seconds
    end: _Seconds
    text: str
    speaker: str | None = None


class _InputDetails(Wire):
    audio_tokens: Count | None = None


class _Usage(Wire):
    """Tokens or seconds, whichever the model is billed by."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_token_details: _InputDetails | None = None
    seconds: _Seconds | None = None


class _Transcription(Wire):
    text: str
    language: str | None = None
    languages: list[_Language] | None = None
    duration: _Seconds | None = None
    segments: list[_Segment] | None = None
    usage: _Usage | None = None


def form_file(recording: Recording) -> list[File]:
    """The file as part of a form. Its name tells the provider what it is."""
    name = f"recording.{recording.extension}"
    return [("file", (name, recording.data, recording.media_type))]


def _fields(request: Request) -> JsonObject:
    """The form's other fields. Models that know where somebody begins to speak are asked for it."""
    model, given = request.call.model, request.parameters
    form: JsonObject = {"model": model} | {name: given[name] for name in _SENT if name in given}
    if model.endswith("-diarize"):
        # Without chunks it takes no more than 30 seconds.
        return {**form, "response_format": "diarized_json", "chunking_strategy": "auto"}
    whole = model.startswith("whisper-")
    return {**form, "response_format": "verbose_json" if whole else "json"}


def _reply(value: JsonObject) -> Reply:
    """The transcript. An empty one is an answer: nobody speaks."""
    said = read(_Transcription, value)
    return Reply(
        text=said.text,
        model=None,
        usage=_usage(said.usage),
        usage_details=value.get("usage"),
        raw={name: item for name, item in value.items() if name not in _WORDS},
        parsed=Transcript(
            text=said.text,
            language=said.language or _first(said.languages),
            duration_seconds=_duration(said),
            segments=tuple(_segment(segment) for segment in said.segments or ()),
        ),
    )


def _first(languages: list[_Language] | None) -> str | None:
    return languages[0].code if languages else None


def _duration(said: _Transcription) -> float | None:
    if said.duration is None and said.usage is not None:
        return said.usage.seconds
    return said.duration


def _segment(segment: _Segment) -> TranscriptSegment:
    return TranscriptSegment(
        start=segment.start, end=segment.end, text=segment.text, speaker=segment.speaker
    )


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    details = usage.input_token_details
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        audio_input_tokens=details.audio_tokens if details else None,
        audio_seconds=usage.seconds,
    )


TRANSCRIPTIONS = WireFormat(path="/audio/transcriptions", body=_fields, reply=_reply)

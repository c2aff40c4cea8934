"""Speech as server-sent events (``stream_format: "sse"``): the sound in pieces, then its usage.

The bytes of a sound alone say nothing of what they cost; this stream ends with that. Its events
are in openai-openapi as ``SpeechAudioDeltaEvent`` and ``SpeechAudioDoneEvent``.
"""

import base64
import binascii
from dataclasses import dataclass

from modules.llm_services.exceptions import LLMBadResponseError, LLMStreamCutError
from modules.llm_services.providers.failures import error_for_status
from modules.llm_services.types import JsonObject, Usage

from .base import Count, Wire, read
from .sse import EventReader, EventTooLongError, ServerEvent
from .streams import event_json

_SERVER_ERROR = 500


class _Usage(Wire):
    input_tokens: Count
    output_tokens: Count


class _Done(Wire):
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sound, what it took (``None``: the provider does not say), and that in its own words."""

    data: bytes
    usage: Usage | None = None
    details: JsonObject | None = None


def is_event_stream(content_type: str) -> bool:
    """Whether a body is server-sent events."""
    return "event-stream" in content_type.lower()


def spoken(body: bytes) -> Spoken:
    """The sound in a whole stream.

    Raises `LLMStreamCutError` for one without its last event, and what an event of it reports.
    """
    sound = bytearray()
    for event in _events(body):
        value = event_json(event)
        kind = value.get("type")
        if kind == "error" or value.get("error"):
            raise error_for_status(_SERVER_ERROR, {}, {"error": value.get("error") or value}, "")
        if kind == "speech.audio.delta":
            sound += _piece(value)
        elif kind == "speech.audio.done":
            return Spoken(bytes(sound), _usage(read(_Done, value).usage), value.get("usage"))
    raise LLMStreamCutError("the stream ended before the speech did", maybe_billed=True)


def _events(body: bytes) -> list[ServerEvent]:
    try:
        return list(EventReader().feed(body))
    except EventTooLongError:
        raise LLMBadResponseError("an event of the stream is too long", maybe_billed=True) from None


def _piece(value: JsonObject) -> bytes:
    try:
        return base64.b64decode(value.get("audio"), validate=True)  # type: ignore[arg-type]
    except (binascii.Error, TypeError, ValueError):
        raise LLMBadResponseError(
            "the provider's stream holds sound that is not base64", maybe_billed=True
        ) from None


def _usage(usage: _Usage | None) -> Usage | None:
    """All that comes out of these models is sound."""
    if usage is None:
        return None
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        audio_output_tokens=usage.output_tokens,
    )

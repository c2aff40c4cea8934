"""Speech for a text, and a transcript of a recording."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Unpack, cast
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.arguments import audio as checks
from modules.llm_services.arguments.basics import Check
from modules.llm_services.arguments.recording import recording
from modules.llm_services.calls import special_call
from modules.llm_services.idempotency import Settled
from modules.llm_services.providers.base import Reply, SpeaksAndHears
from modules.llm_services.providers.formats import wav
from modules.llm_services.providers.formats.speech import joined, spoken_parts
from modules.llm_services.roles import SPEECH_ROLE, TRANSCRIPTION_ROLE
from modules.llm_services.types import AudioPart, Call, Candidate, LLMMessageDTO
from modules.llm_services.types.audio import (
    AudioFile,
    AudioFormat,
    GeneratedAudio,
    Recording,
    SpeechOptions,
    Transcript,
    TranscriptionOptions,
)

from .base import UseCases, in_thread
from .parts import Alike
from .routed import Asks

_SPEECH = ("text", "user_id", "voice", "format", "model")
_TRANSCRIPTION = ("file", "user_id", "model", "language", "prompt")


class AudioUseCases(UseCases):
    """Implements `GeneratesAudio` and `TranscribesAudio`."""

    async def generate_audio(
        self,
        text: str,
        user_id: UUID | None = None,
        voice: str = "alloy",
        format: AudioFormat = "mp3",  # noqa: A002 - the vendor's and the caller's word for it
        model: str | None = None,
        **options: Unpack[SpeechOptions],
    ) -> tuple[GeneratedAudio, UUID]:
        """A text as sound. See `GeneratesAudio.generate_audio`."""
        said = checks.spoken_text(text)
        given = arguments.options(options, checks.SPEECH_OPTIONS, _SPEECH)
        choice = self._choose(SPEECH_ROLE if model is None else model, given)
        checks.check_speech_parameters(choice.model, given)
        audio_format = checks.audio_format(format)
        given |= {"voice": checks.voice(choice.model, voice), "format": audio_format}
        parts = spoken_parts(said, choice.model, audio_format)
        asked = [LLMMessageDTO(role="user", content=said)]
        call = special_call("speech", choice, asked, user_id, given, self._runtime.config)
        sounds, request_id = await self._speak(call, parts)
        return await asyncio.to_thread(joined, sounds, audio_format), request_id

    async def transcribe_audio(
        self,
        file: AudioFile,
        user_id: UUID | None = None,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        **options: Unpack[TranscriptionOptions],
    ) -> tuple[Transcript, UUID]:
        """What is said in a recording. See `TranscribesAudio.transcribe_audio`."""
        given = arguments.options(options, checks.TRANSCRIPTION_OPTIONS, _TRANSCRIPTION)
        choice = self._choose(TRANSCRIPTION_ROLE if model is None else model, given)
        given |= _checked(language=(checks.language, language), prompt=(checks.prompt, prompt))
        checks.check_transcription_parameters(choice.model, given)
        heard = await in_thread(recording, file)
        call = special_call(
            "transcription", choice, [_logged(heard)], user_id, given, self._runtime.config
        )

        def fit(other: Candidate) -> None:
            checks.check_transcription_parameters(other.model, given)

        return await self._transcribe(self._followed(call, choice, given, fit), heard)

    async def _voice(self, call: Call) -> SpeaksAndHears:
        provider = await self._runtime.provider(call.provider)
        if not isinstance(provider, SpeaksAndHears):
            raise self._lacks(call, "knows no speech")
        return provider

    async def _asks_transcript(self, call: Call) -> Asks[Reply]:
        return (await self._voice(call)).transcribe

    async def _speak(self, call: Call, parts: Sequence[str]) -> tuple[list[bytes], UUID]:
        self._warn_about_open_transaction()
        provider = await self._voice(call)
        alike = Alike(lambda reply: wav.form(_sound(reply)), "kind of samples")
        invokes = [alike.part(partial(provider.speak, text=text)) for text in parts]
        ask = partial(self._runtime.executor.run_parts, parts=invokes)
        replies, request_id = await self._runtime.once(call, ask, Settled.replies)
        return [_sound(reply) for reply in replies], request_id

    async def _transcribe(self, call: Call, heard: Recording) -> tuple[Transcript, UUID]:
        self._warn_about_open_transaction()
        call, invoke = await self._route(call, self._asks_transcript)
        ask = partial(self._runtime.executor.run, invoke=partial(invoke, recording=heard))
        outcome, request_id = await self._runtime.once(call, ask, Settled.outcome)
        return cast("Transcript", outcome.reply.parsed), request_id


def _checked(**arguments_: tuple[Check, object]) -> Mapping[str, Any]:
    """The arguments that were given, checked."""
    return {
        name: check(name, value) for name, (check, value) in arguments_.items() if value is not None
    }


def _logged(heard: Recording) -> LLMMessageDTO:
    part = AudioPart(data=heard.data, media_type=heard.media_type)
    return LLMMessageDTO(role="user", content=(part,))


def _sound(reply: Reply) -> bytes:
    return cast("bytes", reply.parsed)

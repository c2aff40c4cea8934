"""Speech for a text, and a transcript of a recording."""

from typing import Protocol, Unpack
from uuid import UUID

from modules.llm_services.types.audio import (
    AudioFile,
    AudioFormat,
    GeneratedAudio,
    SpeechOptions,
    Transcript,
    TranscriptionOptions,
)


class GeneratesAudio(Protocol):
    """Speaks a text."""

    async def generate_audio(
        self,
        text: str,
        user_id: UUID | None = None,
        voice: str = "alloy",
        format: AudioFormat = "mp3",  # noqa: A002 - the vendor's and the caller's word for it
        model: str | None = None,
        **options: Unpack[SpeechOptions],
    ) -> tuple[GeneratedAudio, UUID]:
        """Speak a text and record it. The row keeps the text, never the sound.

        A long text is cut at sentences, spoken in concurrent requests and joined; ``opus`` and
        ``flac`` cannot be joined and take 4,096 characters at most. Raise ``timeout`` for long
        texts: a minute of speech takes some seconds.

        The cost is that of the tokens which gpt-4o-mini-tts reports, or of the characters where a
        model is sold by these, as tts-1 is; of other models it is unknown unless a price override
        says ``per_mchar``.

        Args:
            text: 1 to 100,000 characters, not blank.
            user_id: for whom; written on the row, never sent.
            voice: one that the model has. OpenAI's have alloy, ash, coral, echo, fable, nova,
                onyx, sage and shimmer; gpt-4o-mini-tts also ballad, cedar, marin and verse, and
                voices of your own (``voice_…``).
            format: ``mp3``, ``opus``, ``aac``, ``flac``, ``wav`` or ``pcm``.
            model: a role, ``provider:model`` or a model's name; by default the role ``speech``.
            options: see `SpeechOptions`.

        Returns:
            The sound, and the id of its row in the ledger.

        Raises:
            LLMInputError: an argument is wrong; nothing was sent and no row was written.
            LLMBadResponseError: what came is no sound of that format.
            LLMError: another subclass says what went wrong; ``error.request_id`` is the row.

        """
        ...


class TranscribesAudio(Protocol):
    """Writes down what is said."""

    async def transcribe_audio(
        self,
        file: AudioFile,
        user_id: UUID | None = None,
        model: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        **options: Unpack[TranscriptionOptions],
    ) -> tuple[Transcript, UUID]:
        """Transcribe a recording and record it. The row keeps the text and the file's hash.

        Args:
            file: an MP3, WAV, M4A, OGG, WebM or FLAC of at most 25 MB: its bytes, a
                `pathlib.Path` or a file that is open in binary mode (read from where it stands, in
                a worker thread, and left open). A path is read as it is given: never pass on a
                user's.
            user_id: for whom; written on the row, never sent.
            model: a role, ``provider:model`` or a model's name; by default the role
                ``transcription``. ``gpt-4o-transcribe-diarize`` tells speakers apart.
            language: what is spoken, as ISO 639 code (``en``), if it is known.
            prompt: words that came before, or in whose style to write.
            options: see `TranscriptionOptions`.

        Returns:
            The transcript, and the id of its row in the ledger.

        Raises:
            LLMInputError: an argument is wrong or the file cannot be used; nothing was sent and no
                row was written.
            LLMError: another subclass says what went wrong; ``error.request_id`` is the row.

        """
        ...

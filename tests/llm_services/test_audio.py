"""Speech and transcripts: through the sandbox and a database, and what odd replies become."""

import io
import json
import os
import struct
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI
from pydantic import SecretStr

from modules.llm_services.arguments.recording import MAX_BYTES, recording
from modules.llm_services.exceptions import LLMBadResponseError, LLMError, LLMInputError
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.providers.formats import wav
from modules.llm_services.providers.formats.speech import joined, spoken_parts
from modules.llm_services.providers.formats.spoken_text import pieces
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.public import AudioFormat, LLMServicesProvider, open_llm_services
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, Recording, Transcript, Usage
from sandbox import Sandbox
from sandbox.audio import to_wav
from tests.support.ledger import rows

SENTENCE = "Lava flows out of the volcano when magma rises. "
HTTP = "http://house.test/v1"
SECOND = to_wav(bytes(48_000))


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


def seconds(data: bytes) -> float:
    """How long a WAV file plays."""
    with wave.open(io.BytesIO(data)) as file:
        return float(file.getnframes() / file.getframerate())


async def test_a_text_is_spoken(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """The sound comes back, its row has the text, its size and its hash, and never the sound."""
    audio, request_id = await llm.generate_audio(
        SENTENCE, voice="marin", format="wav", instructions="Whisper.", speed=1.5, feature="lesson"
    )
    assert (audio.media_type, audio.format) == ("audio/wav", "wav")
    assert seconds(audio.data) > 0.2
    assert "RIFF" not in repr(audio)
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.operation, row.model) == ("completed", "speech", "gpt-4o-mini-tts")
    assert (row.requested_model, row.feature) == ("speech", "lesson")
    assert row.messages == [{"role": "user", "content": SENTENCE}]
    assert row.additional_params == {
        "instructions": "Whisper.", "speed": 1.5, "voice": "marin", "format": "wav",
    }  # fmt: skip
    assert row.response_raw is not None
    [kept] = row.response_raw["parts"]
    assert (kept["omitted"], kept["media_type"]) == (True, "audio/wav")
    assert set(kept) == {"omitted", "media_type", "bytes", "sha256"}
    assert row.attempts is not None
    assert row.attempts[0]["usage"]["characters"] == len(SENTENCE.strip())
    [seen] = vendor.journal()
    assert (seen.path, seen.client_request_id) == ("/v1/audio/speech", str(request_id))


@pytest.mark.parametrize("audio_format", ["mp3", "aac", "wav", "pcm"])
async def test_a_long_text_is_spoken_in_parts(
    llm: LLMServicesProvider, vendor: Sandbox, audio_format: AudioFormat
) -> None:
    """Parts are requested on their own and come back as one sound in one row."""
    text = SENTENCE * 100
    audio, request_id = await llm.generate_audio(text, format=audio_format)
    row = llm.get_request(request_id)
    assert row is not None
    assert row.retry_attempt == len(vendor.journal()) == 3
    assert row.response_raw is not None
    assert row.attempts is not None
    sizes = [part["bytes"] for part in row.response_raw["parts"]]
    if audio_format == "wav":
        assert len(audio.data) == sum(sizes) - 44 * 2
        assert seconds(audio.data) > 150
    else:
        assert len(audio.data) == sum(sizes)
    said = sum(attempt["usage"]["characters"] for attempt in row.attempts)
    assert said == len(text.strip()) - 2  # two spaces between three parts


@pytest.mark.parametrize("audio_format", ["opus", "flac"])
async def test_what_cannot_be_joined_is_spoken_whole(
    llm: LLMServicesProvider, vendor: Sandbox, audio_format: AudioFormat
) -> None:
    """Up to the vendor's limit it is one request; beyond it the error says what to do."""
    text = (SENTENCE * 100)[:4_096]
    audio, _ = await llm.generate_audio(text, format=audio_format)
    assert audio.format == audio_format
    assert len(vendor.journal()) == 1
    with pytest.raises(LLMInputError, match=f"{audio_format} cannot be joined"):
        await llm.generate_audio(text + "x", format=audio_format)
    assert len(rows()) == 1


@pytest.mark.parametrize(
    ("fault", "error_type", "attempts"),
    [
        ("status=400", "BadRequest", 1),
        ("status=500,retry_after_ms=1", "ProviderError", 3),
        ("empty", "BadResponse", 2),
        ("html", "BadResponse", 2),
    ],
)
async def test_failed_speech_is_a_row(
    llm: LLMServicesProvider, fault: str, error_type: str, attempts: int
) -> None:
    """What goes wrong at the vendor is in the row, with its attempts."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_audio(SENTENCE, model=f"openai:tts-1:{fault}")
    assert caught.value.request_id is not None
    row = llm.get_request(caught.value.request_id)
    assert row is not None
    assert (row.status, row.error_type, row.retry_attempt) == ("failed", error_type, attempts)


async def test_a_recording_is_written_down(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Text and length come back; the row has them, the seconds, and the file's hash."""
    transcript, request_id = await llm.transcribe_audio(
        SECOND, language="en", prompt="Volcanoes.", keywords=["magma"], languages=["en", "de"]
    )
    assert transcript.text == "Sandbox transcript of 1 seconds of audio. Volcanoes."
    assert transcript.duration_seconds == 1
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.operation, row.model) == (
        "completed", "transcription", "gpt-transcribe",
    )  # fmt: skip
    assert row.requested_model == "transcription"
    assert row.response_content == transcript.text
    assert row.additional_params == {
        "language": "en", "prompt": "Volcanoes.", "keywords": ["magma"], "languages": ["en", "de"],
    }  # fmt: skip
    assert row.messages is not None
    logged = json.dumps(row.messages)
    assert '"omitted": true' in logged
    assert '"media_type": "audio/wav"' in logged
    assert f'"bytes": {len(SECOND)}' in logged
    assert row.attempts is not None
    assert row.attempts[0]["usage"] == {"audio_seconds": 1.0}
    [seen] = vendor.journal()
    assert (seen.path, seen.client_request_id) == ("/v1/audio/transcriptions", str(request_id))


async def test_whisper_tells_when(llm: LLMServicesProvider) -> None:
    """A model that knows its segments is asked for them."""
    transcript, _ = await llm.transcribe_audio(SECOND, model="whisper-1", temperature=0.2)
    assert (transcript.language, transcript.duration_seconds) == ("english", 1)
    [segment] = transcript.segments
    assert (segment.start, segment.end, segment.text) == (0, 1, transcript.text)


async def test_tokens_of_sound_are_counted(llm: LLMServicesProvider) -> None:
    """A model that is billed by tokens has them in its row."""
    _, request_id = await llm.transcribe_audio(SECOND, model="gpt-4o-transcribe")
    row = llm.get_request(request_id)
    assert row is not None
    assert row.attempts is not None
    usage = row.attempts[0]["usage"]
    assert usage["audio_input_tokens"] == 10 == row.prompt_tokens
    assert row.completion_tokens == usage["completion_tokens"] > 0


async def test_silence_is_an_answer(llm: LLMServicesProvider) -> None:
    """Nobody speaks: the transcript is empty, and the call is complete."""
    transcript, request_id = await llm.transcribe_audio(SECOND, model="openai:whisper-1:empty")
    row = llm.get_request(request_id)
    assert row is not None
    assert (transcript.text, row.status) == ("", "completed")


async def test_speech_and_transcript_fit_together(llm: LLMServicesProvider, tmp_path: Path) -> None:
    """What was spoken can be heard: from a path, and from an open file that stays open."""
    audio, _ = await llm.generate_audio(SENTENCE, format="wav")
    path = tmp_path / "spoken.bin"
    path.write_bytes(audio.data)
    from_path, _ = await llm.transcribe_audio(path)
    with path.open("rb") as file:
        from_file, _ = await llm.transcribe_audio(file)
        assert not file.closed
    assert from_path == from_file
    assert from_path.duration_seconds == pytest.approx(seconds(audio.data), abs=0.01)


LONG_WORD = "a" * 2_001


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"text": " \n"}, "text must be text of 1 to 100000"),
        ({"text": None}, "text must be a str"),
        ({"text": "a" * 100_001}, "1 to 100000"),
        ({"text": "\ud800"}, "surrogate"),
        ({"text": LONG_WORD}, "a word of more than 2000 characters"),
        (
            {"text": "a", "voice": "verse", "model": "tts-1"},
            "voice 'verse'.*none of tts-1's: alloy",
        ),
        ({"text": "a", "voice": "voice_1", "model": "tts-1-hd"}, "none of tts-1-hd's"),
        ({"text": "a", "voice": "nobody"}, "none of gpt-4o-mini-tts's: alloy, ash, ballad"),
        ({"text": "a", "voice": None}, "voice must be a str"),
        ({"text": "a", "format": "ogg"}, "format must be one of mp3, opus, aac, flac, wav, pcm"),
        ({"text": "a", "speed": 5}, "speed must be a number from 0.25 to 4"),
        ({"text": "a", "instructions": "x", "model": "tts-1"}, "instructions: tts-1 takes none"),
        ({"text": "a", "voise": "ash"}, "did you mean voice"),
        ({"text": "a", "user_id": 7}, "user_id"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_bad_speech_is_refused_first(
    llm: LLMServicesProvider, vendor: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    """The error names the argument; nothing is sent, nothing is written."""
    with pytest.raises(LLMInputError, match=said):
        await llm.generate_audio(**arguments)
    assert vendor.journal() == []
    assert rows() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"language": "English"}, "language must be an ISO 639 code"),
        ({"language": 7}, "language must be an ISO 639 code"),
        ({"prompt": 7}, "prompt must be a str"),
        ({"prompt": "a" * 100_001}, "at most 100000 characters"),
        ({"prompt": "a", "model": "gpt-4o-transcribe-diarize"}, "prompt: .*diarize takes none"),
        ({"keywords": ["a"], "model": "whisper-1"}, "keywords: whisper-1 takes none"),
        ({"keywords": "a"}, "keywords must be a list of texts, not str"),
        ({"keywords": []}, "keywords is empty: give 1 to 100 texts"),
        ({"keywords": [""]}, r"keywords\[0\]"),
        ({"languages": ["x"]}, r"languages\[0\] must be an ISO 639 code"),
        ({"temperature": 1.5}, "temperature must be a number from 0 to 1"),
        ({"lang": "en"}, "did you mean language"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_bad_transcriptions_are_refused_first(
    llm: LLMServicesProvider, vendor: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    """The error names the argument; nothing is sent, nothing is written."""
    with pytest.raises(LLMInputError, match=said):
        await llm.transcribe_audio(SECOND, **arguments)
    assert vendor.journal() == []
    assert rows() == []


class Broken:
    """A file of somebody's own."""

    def read(self, _size: int = -1) -> bytes:
        """What nobody foresaw."""
        raise KeyError


class Awaited:
    """A file as an upload gives it."""

    async def read(self, _size: int = -1) -> bytes:
        """Bytes, later."""
        return b""


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "file is empty"),
        (b"\xff", "file is no sound"),
        (b"\xff\xf1\x50\x80" + bytes(9), "file is no sound that can be heard: mp3, wav"),
        (b"ID3" + bytes(MAX_BYTES), r"at most 26214400 \(25 MB\)"),
        ("sound.mp3", "file must be bytes, a pathlib.Path"),
        (None, "not None"),
        (Awaited(), "await its read"),
        (io.StringIO("text"), "file gives str, not bytes"),
        (Broken(), "file cannot be read: KeyError"),
        (Path("/nonexistent/sound.mp3"), "nothing that is a file"),
        (Path("/dev/null"), "nothing that is a file"),
        (Path("/"), "nothing that is a file"),
        (Path("a\0b"), "file cannot be read|nothing that is a file"),
    ],
)
def test_files_that_cannot_be_used_are_refused(file: object, said: str) -> None:
    """The error says why, before anything is sent."""
    with pytest.raises(LLMInputError, match=said):
        recording(file)


def test_files_that_are_too_large_or_closed_are_not_read(tmp_path: Path) -> None:
    """The size is looked at first; what the system refuses is told in its words."""
    path = tmp_path / "large.mp3"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(LLMInputError, match="file is 26214401 bytes"):
        recording(path)
    with pytest.raises(LLMInputError, match="file cannot be read: UnsupportedOperation"):
        recording(file)
    with pytest.raises(LLMInputError, match="more bytes"):
        recording(io.BytesIO(b"ID3" + bytes(MAX_BYTES)))
    read_end, write_end = os.pipe()
    os.close(write_end)
    with pytest.raises(LLMInputError, match="file is empty"), os.fdopen(read_end, "rb") as pipe:
        recording(pipe)


@pytest.mark.parametrize(
    ("head", "extension", "media_type"),
    [
        (b"ID3\x04", "mp3", "audio/mpeg"),
        (b"\xff\xfb\x90\xc4", "mp3", "audio/mpeg"),
        (b"RIFF\0\0\0\0WAVE", "wav", "audio/wav"),
        (b"\0\0\0\x20ftypM4A ", "m4a", "audio/mp4"),
        (b"OggS\0\x02", "ogg", "audio/ogg"),
        (b"\x1a\x45\xdf\xa3", "webm", "audio/webm"),
        (b"fLaC", "flac", "audio/flac"),
    ],
)
def test_formats_are_known_by_their_bytes(head: bytes, extension: str, media_type: str) -> None:
    """Whatever the name of a file says."""
    assert recording(head) == Recording(media_type, head, extension)


def test_texts_are_cut_where_a_speaker_breathes() -> None:
    """At paragraphs, else sentences, clauses, words; in Chinese between signs."""
    assert pieces(" One. ", 20) == ["One."]
    assert pieces("One two. Three four.\n\nFive six seven.", 30) == [
        "One two. Three four.",
        "Five six seven.",
    ]
    assert pieces("He said “No.” Then he left.", 15) == ["He said “No.”", "Then he left."]
    assert pieces("Pi is 3.14159 and more", 12) == ["Pi is", "3.14159 and", "more"]
    assert pieces("first, second third", 14) == ["first, second", "third"]
    assert pieces("火山喷发。熔岩流出来。", 8) == ["火山喷发。", "熔岩流出来。"]
    assert pieces("火山喷发熔岩流出来", 4) == ["火山喷发", "熔岩流出", "来"]
    with pytest.raises(LLMInputError, match="a word of more than 4 characters: 'lavas'"):
        pieces("a lavas", 4)


WORDS = st.text(st.sampled_from("ab.,! \n。火"), min_size=1, max_size=80)


@settings(max_examples=200, deadline=None)
@given(WORDS.filter(str.strip), st.integers(6, 40))
def test_nothing_is_lost_between_pieces(text: str, longest: int) -> None:
    """Every word is there, in order and whole; no piece is blank or too long."""
    try:
        made = pieces(text, longest)
    except LLMInputError:
        assert max(map(len, text.split())) > longest
        return
    assert all(piece.strip() == piece and 0 < len(piece) <= longest for piece in made)
    assert "".join("".join(made).split()) == "".join(text.split())
    starts = "".join(f"{piece}\n" for piece in made).split()
    assert all(any(word in given for given in text.split()) for word in starts)


def test_parts_depend_on_the_model() -> None:
    """tts-1 takes 4,096 characters; gpt-4o-mini-tts reads 2,000 tokens."""
    text = (SENTENCE * 85).strip()
    assert len(text) > 4_000
    assert [len(spoken_parts(text, m, "mp3")) for m in ("tts-1", "gpt-4o-mini-tts")] == [1, 3]


def test_a_header_that_is_a_guess_is_made_true() -> None:
    """A WAV that was streamed says that it is 4 GB long; what is joined says how long it is."""
    streamed = b"RIFF\xff\xff\xff\xffWAVE" + SECOND[12:40] + b"\xff\xff\xff\xff" + SECOND[44:]
    listed = SECOND[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + SECOND[12:]
    assert joined([streamed], "wav").data == SECOND
    assert seconds(joined([streamed, listed], "wav").data) == 2
    assert joined([to_wav(bytes(2)) + b"x"], "wav").data == to_wav(bytes(2))
    assert wav.samples(b"RIFF\0\0\0\0WAVE") is None
    assert wav.form(b"RIFF\0\0\0\0WAVE") is None


def test_tags_between_joined_mp3s_are_left_out() -> None:
    """Tags would be noise, and a length in the first frame would end the sound there."""
    frame = b"\xff\xfb\x90\xc4" + bytes(413)
    told = b"\xff\xfb\x90\xc4" + bytes(17) + b"Info" + bytes(392)
    tagged = b"ID3\x04\0\0\0\0\0\x03abc" + frame + b"TAG" + bytes(125)
    assert joined([tagged, told], "mp3").data == frame * 2
    assert joined([tagged], "mp3").data == tagged


def provider(response: httpx2.Response, seen: list[httpx2.Request]) -> OpenAIProvider:
    """The adapter with the SDK's own HTTP client on a transport that answers."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return response

    adapter = OpenAIProvider(
        "house", ProviderSettings(api_key=SecretStr("k"), base_url=HTTP), "responses"
    )
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    adapter._client = AsyncOpenAI(api_key="k", base_url=HTTP, max_retries=0, http_client=client)
    return adapter


def a_call(model: str = "m", **parameters: object) -> Call:
    """A call as the service freezes it."""
    return Call(
        id=uuid7(),
        operation="speech",
        provider="house",
        model=model,
        requested_model=None,
        messages=(),
        parameters=parameters,
        timeout=10,
        max_retries=0,
    )


FIRST = Attempt(number=1, seconds_left=9)
MP3 = b"\xff\xfb\x90\xc4" + bytes(413)


async def spoken(
    data: bytes,
    content_type: str,
    audio_format: str = "mp3",
    model: str = "m",
    **parameters: object,
) -> tuple[Reply, httpx2.Request]:
    """What the adapter makes of bytes, and what it sent."""
    seen: list[httpx2.Request] = []
    headers = {"content-type": content_type, "x-request-id": "r-1"}
    adapter = provider(httpx2.Response(200, content=data, headers=headers), seen)
    call = a_call(model, **{"voice": "alloy", "format": audio_format, **parameters})
    try:
        return await adapter.speak(call, FIRST, "Hi."), seen[0]
    finally:
        await adapter.aclose()


async def test_speech_is_asked_for_as_the_api_wants_it() -> None:
    """A voice of one's own goes by its id; bytes are what is accepted."""
    reply, request = await spoken(
        MP3, "audio/mpeg", model="gpt-4o-mini-tts", voice="voice_17", speed=2.0
    )
    assert json.loads(request.content) == {
        "model": "gpt-4o-mini-tts", "input": "Hi.", "voice": {"id": "voice_17"},
        "response_format": "mp3", "speed": 2.0, "stream_format": "sse",
    }  # fmt: skip
    assert request.headers["accept"] == "application/octet-stream"
    assert (reply.parsed, reply.usage) == (MP3, Usage(characters=3))
    assert (reply.http_status, reply.provider_request_id) == (200, "r-1")
    _, other = await spoken(MP3, "audio/mpeg", voice="voice_17")
    assert json.loads(other.content) == {
        "model": "m", "input": "Hi.", "voice": "voice_17", "response_format": "mp3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "content_type", "audio_format"),
    [
        (b"", "audio/mpeg", "mp3"),
        (b"", "audio/pcm", "pcm"),
        (MP3, "application/json; charset=utf-8", "mp3"),
        (b'{"error": {"message": "no"}}', "", "mp3"),
        (b"<!DOCTYPE html><html>no", "audio/pcm", "pcm"),
        (b' {"error": {} }', "audio/pcm", "pcm"),
        (b"abc", "audio/pcm", "pcm"),
        (MP3, "audio/aac", "aac"),
        (b"\xff\xf1\x50\x80", "audio/mpeg", "mp3"),
        (b"fLaC", "audio/ogg", "opus"),
        (b"OggS", "audio/flac", "flac"),
        (b"RIFF\0\0\0\0WAVEfmt \0\0\0\0", "audio/wav", "wav"),
    ],
)
async def test_what_is_no_sound_is_refused(
    data: bytes, content_type: str, audio_format: str
) -> None:
    """A success is believed when its bytes are of the format; no sound gets into the row."""
    with pytest.raises(LLMBadResponseError, match=f"is no {audio_format}") as caught:
        await spoken(data, content_type, audio_format)
    error = caught.value
    assert (error.status_code, error.provider_request_id) == (200, "r-1")
    assert error.maybe_billed
    assert error.response_body is not None
    assert "\ufffd" not in error.response_body or "json" in content_type


@pytest.mark.parametrize(
    ("data", "audio_format"),
    [
        (b"ID3\x04", "mp3"),
        (b"ADIF", "aac"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"OggS", "opus"),
        (b"fLaC", "flac"),
        (b"{\x00<\x00", "pcm"),
        (SECOND, "wav"),
    ],
)
async def test_sounds_of_every_format_are_believed(data: bytes, audio_format: str) -> None:
    """Also without a media type, which some servers leave out."""
    reply, _ = await spoken(data, "", audio_format)
    assert reply.parsed == data


async def heard(content: str, model: str = "m", **parameters: object) -> tuple[Reply, str]:
    """What the adapter makes of a transcription, and the form that it sent."""
    seen: list[httpx2.Request] = []
    adapter = provider(httpx2.Response(200, text=content, headers={"x-request-id": "r-1"}), seen)
    try:
        sound = Recording("audio/ogg", b"OggS-sound", "ogg")
        reply = await adapter.transcribe(a_call(model, **parameters), FIRST, sound)
    finally:
        await adapter.aclose()
    assert seen[0].headers["content-type"].startswith("multipart/form-data; boundary=")
    return reply, seen[0].content.decode()


async def test_a_form_says_what_the_file_is() -> None:
    """Name and type tell the format; lists become repeated fields."""
    _, form = await heard('{"text": "hi"}', keywords=["a", "b"], language="en")
    assert 'name="file"; filename="recording.ogg"' in form
    assert "Content-Type: audio/ogg" in form
    assert form.count('name="keywords[]"') == 2
    assert 'name="response_format"\r\n\r\njson' in form


async def test_speakers_are_told_apart() -> None:
    """The diarizing model is asked for speakers, and for chunks, without which it takes 30 s."""
    body = {
        "text": "Hi. Ho.",
        "duration": 2.5,
        "task": "transcribe",
        "segments": [{"id": "s", "start": 0, "end": 1.5, "text": "Hi.", "speaker": "A"}],
        "usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
    }
    reply, form = await heard(json.dumps(body), model="gpt-4o-transcribe-diarize")
    assert 'name="response_format"\r\n\r\ndiarized_json' in form
    assert 'name="chunking_strategy"\r\n\r\nauto' in form
    said = cast("Transcript", reply.parsed)
    assert [(s.speaker, s.start, s.end, s.text) for s in said.segments] == [("A", 0, 1.5, "Hi.")]
    assert said.duration_seconds == 2.5
    assert reply.usage == Usage(prompt_tokens=9, completion_tokens=2)
    assert set(reply.raw or {}) == {"duration", "task", "usage"}


async def test_a_detected_language_is_told() -> None:
    """gpt-transcribe lists the languages that it heard; none is no error, nor is missing usage."""
    reply, _ = await heard('{"text": "hi", "languages": [{"code": "en"}, {"code": "de"}]}')
    assert cast("Transcript", reply.parsed).language == "en"
    none, _ = await heard('{"text": "", "languages": []}')
    assert none.parsed == Transcript(text="")
    assert none.usage is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": null}', "unexpected shape at 'text'"),
        ("{}", "unexpected shape at 'text'"),
        ("[]", "JSON list"),
        ("", "not JSON"),
        ('{"text": "a", "duration": -1}', "'duration'"),
        ('{"text": "a", "usage": {"seconds": 1e999}}', "'usage.seconds'"),
        ('{"text": "a", "usage": {"input_tokens": -1}}', "'usage.input_tokens'"),
        ('{"text": "a", "segments": [{"start": 0, "text": "a"}]}', "'segments.0.end'"),
    ],
)
async def test_what_is_no_transcript_is_refused(content: str, said: str) -> None:
    """A success is believed when it has the text, and numbers that can be."""
    with pytest.raises(LLMBadResponseError, match=said) as caught:
        await heard(content)
    assert caught.value.provider_request_id == "r-1"

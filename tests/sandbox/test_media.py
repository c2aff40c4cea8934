"""Embeddings, images, sound and the list of models, through the real SDK."""

from __future__ import annotations

import base64
import io
import json
import math
import wave
import zlib
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from sandbox.png import SIGNATURE, size_of


def _near(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_embeddings_are_unit_vectors_and_near_where_words_are_shared(
    client: AsyncOpenAI,
) -> None:
    """Texts with words in common lie nearer than those without."""
    texts = ["magma rises in volcanoes", "a volcano holds magma", "the train leaves at noon"]
    made = await client.embeddings.create(model="text-embedding-3-small", input=texts)
    rows = [d.embedding for d in made.data]
    assert [len(r) for r in rows] == [1536] * 3
    assert all(math.isclose(_near(r, r), 1, rel_tol=1e-5) for r in rows)
    assert _near(rows[0], rows[1]) > _near(rows[0], rows[2]) + 0.3
    assert made.usage.prompt_tokens > 0


async def test_embeddings_in_floats_and_base64_agree(client: AsyncOpenAI) -> None:
    """Both encodings carry the same vector, in the dimensions asked for."""
    asked: Any = {"model": "text-embedding-3-large", "input": "magma", "dimensions": 64}
    plain = await client.embeddings.create(**asked, encoding_format="float")
    packed = await client.embeddings.create(**asked)
    assert len(plain.data[0].embedding) == 64
    assert plain.data[0].embedding == pytest.approx(packed.data[0].embedding, abs=1e-6)


async def test_an_image_is_a_real_png_of_the_size(client: AsyncOpenAI) -> None:
    """The bytes are a small valid PNG, the same for the same prompt, with a count of tokens."""
    asked: Any = {"model": "gpt-image-2", "prompt": "a volcano at night", "size": "1536x1024"}
    first = await client.images.generate(**asked)
    again = await client.images.generate(**asked)
    other = await client.images.generate(**{**asked, "prompt": "a quiet lake"})
    data = base64.b64decode((first.data or [])[0].b64_json or "")
    assert size_of(data) == (1536, 1024)
    assert len(data) < 20_000
    assert _pixels(data) == (1536 + 1) * 1024
    assert (again.data or [])[0].b64_json == (first.data or [])[0].b64_json
    assert (other.data or [])[0].b64_json != (first.data or [])[0].b64_json
    assert first.usage is not None
    assert first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens
    assert first.usage.output_tokens_details is not None
    assert first.usage.output_tokens_details.image_tokens == first.usage.output_tokens


def _pixels(data: bytes) -> int:
    """Bytes of the picture, unpacked, with every chunk's checksum verified."""
    at, packed = len(SIGNATURE), b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert zlib.crc32(name + body) == int.from_bytes(data[at + 8 + length : at + 12 + length])
        packed += body if name == b"IDAT" else b""
        at += 12 + length
    return len(zlib.decompress(packed))


async def test_several_images_differ(client: AsyncOpenAI) -> None:
    """`n` gives that many different pictures."""
    made = await client.images.generate(model="gpt-image-2", prompt="waves", n=3)
    assert len({d.b64_json for d in made.data or []}) == 3


async def test_an_image_can_be_edited(client: AsyncOpenAI) -> None:
    """An edit takes files by multipart and counts what it was given."""
    made = await client.images.generate(model="gpt-image-2", prompt="waves", size="1024x1024")
    data = base64.b64decode((made.data or [])[0].b64_json or "")
    edited = await client.images.edit(
        model="gpt-image-2", image=[("a.png", data), ("b.png", data)], prompt="at dawn", n=2
    )
    assert len(edited.data or []) == 2
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 512


async def test_images_stream(client: AsyncOpenAI) -> None:
    """Partial pictures come first, then the finished one with its usage."""
    stream = await client.images.generate(
        model="gpt-image-2", prompt="waves", stream=True, partial_images=2
    )
    kinds = [event.type async for event in stream]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"size": "1000x1000"}, "size"),
        ({"size": "512x512"}, "size"),
        ({"quality": "hd"}, "quality"),
        ({"style": "vivid"}, "style"),
        ({"response_format": "url"}, "response_format"),
        ({"n": 11}, "n"),
        ({"prompt": ""}, "prompt"),
        ({"model": "dall-e-3"}, "model"),
    ],
)
async def test_todays_image_rules_hold(client: AsyncOpenAI, change: Any, param: str) -> None:
    """What today's image models refuse is refused, naming the parameter."""
    with pytest.raises(openai.APIStatusError) as caught:
        await client.images.generate(**{"model": "gpt-image-2", "prompt": "waves", **change})
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param


async def test_speech_is_sound(client: AsyncOpenAI) -> None:
    """WAV opens with the standard library; the other formats begin as they should."""
    asked: Any = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Volcanoes are mountains."}
    wav = await client.audio.speech.create(**asked, response_format="wav")
    with wave.open(io.BytesIO(wav.content)) as file:
        assert file.getframerate() == 24_000
        assert file.getnframes() > 12_000
    pcm = await client.audio.speech.create(**asked, response_format="pcm")
    assert wav.content.endswith(pcm.content)
    mp3 = await client.audio.speech.create(**asked)
    assert mp3.content[:2] == b"\xff\xfb"
    assert mp3.response.headers["content-type"] == "audio/mpeg"


async def test_speech_comes_in_events(client: AsyncOpenAI) -> None:
    """The same sound, in pieces, and what it took; tts-1 has no such stream."""
    asked: Any = {"voice": "alloy", "input": "Volcanoes are mountains."}
    whole = await client.audio.speech.create(model="gpt-4o-mini-tts", **asked)
    streamed = await client.audio.speech.create(
        model="gpt-4o-mini-tts", stream_format="sse", **asked
    )
    lines = [line for line in streamed.content.splitlines() if line]
    *deltas, done = [json.loads(line.removeprefix(b"data: ")) for line in lines]
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == whole.content
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["total_tokens"] == (
        done["usage"]["input_tokens"] + done["usage"]["output_tokens"]
    )
    with pytest.raises(openai.BadRequestError, match="'sse' is not supported"):
        await client.audio.speech.create(model="tts-1", stream_format="sse", **asked)


async def test_sound_is_transcribed(client: AsyncOpenAI) -> None:
    """A transcription by multipart, in JSON with usage and as text."""
    wav = await client.audio.speech.create(
        model="tts-1", voice="alloy", input="One two three four", response_format="wav"
    )
    file = ("talk.wav", wav.content)
    timed = await client.audio.transcriptions.create(model="gpt-transcribe", file=file)
    assert "1 seconds" in timed.text
    assert timed.usage is not None
    assert timed.usage.type == "duration"
    counted = await client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=file, prompt="volcano words"
    )
    assert "volcano words" in counted.text
    assert counted.usage is not None
    assert counted.usage.type == "tokens"
    plain = await client.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="text"
    )
    assert "Sandbox transcript" in str(plain)


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    """The list holds today's names; one of them can be had alone; others are not found."""
    names = [m.id async for m in client.models.list()]
    assert "gpt-6-luna" in names
    assert (await client.models.retrieve("gpt-6-luna")).owned_by == "sandbox"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-2")


async def test_an_engine_may_keep_its_pictures(client: AsyncOpenAI) -> None:
    """Some give out links in place of bytes."""
    made = await client.images.generate(model="flux", prompt="waves", size="1024x1024")
    [picture] = made.data or []
    assert picture.b64_json is None
    assert (picture.url or "").startswith("https://images.sandbox.test/")

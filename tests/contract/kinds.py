"""Every kind of call that sends something, as a table: a new kind is one row."""

import io
import wave
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from modules.llm_services.public import (
    AudioPart,
    BatchRequest,
    ContentPart,
    DocumentPart,
    GenerationOptions,
    ImagePart,
    LLMMessageDTO,
    LLMServicesProvider,
    SearchLocation,
    TextPart,
)
from sandbox import png
from sandbox.audio import to_wav
from sandbox.images import draw

Ask: TypeAlias = Callable[[LLMServicesProvider], Awaitable[Any]]

RESPONSES, CHAT = "/responses", "/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A call of ours, and the paths it goes to when the provider speaks Responses or Chat.

    Without ``chat`` it does not depend on the provider's format and is made once.
    """

    name: str
    method: str
    ask: Ask
    responses: tuple[str, ...]
    chat: tuple[str, ...] = ()


class Planet(BaseModel):
    """A planet."""

    name: str = Field(description="In English", max_length=40)
    moons: list[str] = Field(default_factory=list)
    mass: float | None = None


class Notes(BaseModel):
    """Free notes, which no strict schema can say."""

    notes: dict[str, str]


MESSAGES = [
    LLMMessageDTO(role="system", content="You teach."),
    LLMMessageDTO(role="developer", content="Be brief."),
    LLMMessageDTO(role="user", content="Mars has two moons.", name="ann_1"),
    LLMMessageDTO(role="assistant", content="Phobos and Deimos."),
    LLMMessageDTO(role="user", content="Tell me about Mars and its moons."),
]
SAMPLED: GenerationOptions = {
    "top_p": 0.9,
    "service_tier": "flex",
    "prompt_cache_key": "lessons",
    "metadata": {"chapter": "3"},
}
ONLY_CHAT: GenerationOptions = {
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "stop": ["END", "STOP"],
    "seed": 7,
    "logit_bias": {"50256": -100},
}

SILENCE = to_wav(bytes(48_000))
PICTURE = draw("Mars", 1, 64, 64)


def get_weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """The weather in a city."""
    return f"Fog in {city}, 7 {unit}."


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 800, "NONE", ""))
        sound.writeframes(bytes(1600))
    return file.getvalue()


IMAGE = png.encode(16, 16, [bytes(16)] * 16, [(9, 9, 9)])
SOUND = _wav()
SHOWN: Sequence[ContentPart] = [
    TextPart(text="What is this?"),
    ImagePart(data=IMAGE, detail="low"),
    ImagePart(url="https://example.com/volcano.png"),
    DocumentPart(data=b"%PDF-1.4\n%%EOF", filename="volcano.pdf"),
]
HEARD: Sequence[ContentPart] = [TextPart(text="What is said?"), AudioPart(data=SOUND)]
ASKED = [LLMMessageDTO(role="user", content="Call get_weather for Oslo: do I need a coat?")]
BATCH = [
    BatchRequest(messages=MESSAGES, parameters={"max_tokens": 100}),
    BatchRequest(messages=MESSAGES, response_model=Planet),
]
LOCATION: SearchLocation = {"country": "AT", "city": "Vienna"}


async def _read(opened: AbstractAsyncContextManager[Any]) -> None:
    async with opened as stream:
        async for _ in stream:
            pass


async def _tools_by_hand(llm: LLMServicesProvider) -> None:
    """Calls of tools, and their results on the way back."""
    response, _ = await llm.generate_response(
        ASKED, tools=[get_weather, Planet], tool_choice="get_weather", parallel_tool_calls=False
    )
    [call] = response.tool_calls
    result = LLMMessageDTO(role="tool", content="Fog.", tool_call_id=call.id)
    await llm.generate_response([*ASKED, response.as_message(), result], tools=[get_weather])


async def _replay(llm: LLMServicesProvider) -> None:
    _, request_id = await llm.generate_response(MESSAGES, model="gpt-4o-mini", temperature=0.2)
    await llm.replay(request_id, "gpt-4o")


async def _compare(llm: LLMServicesProvider) -> None:
    _, request_id = await llm.generate_response(MESSAGES)
    await llm.compare([request_id], ["gpt-4o", "gpt-6-luna"])


def _text(name: str, ask: Ask, responses: str = RESPONSES, method: str = "") -> Kind:
    """A call that is made in either format; most follow the provider's."""
    usual = "generate_structured_response" if "object" in name else "generate_response"
    return Kind(name=name, method=method or usual, ask=ask, responses=(responses,), chat=(CHAT,))


def _special(name: str, method: str, ask: Ask, *paths: str) -> Kind:
    """A call that goes its own way, whatever the provider's format for text."""
    return Kind(name=name, method=method, ask=ask, responses=paths)


KINDS = (
    _text("text", lambda llm: llm.generate_response(MESSAGES)),
    _text(
        "text with sampling",
        lambda llm: llm.generate_response(
            MESSAGES, model="gpt-4o", temperature=0.2, max_tokens=400, **SAMPLED
        ),
    ),
    _text(
        "text with reasoning",
        lambda llm: llm.generate_response(
            MESSAGES, model="gpt-6-luna", reasoning_effort="low", verbosity="low"
        ),
    ),
    _text(
        "text with what only Chat takes",
        lambda llm: llm.generate_response(MESSAGES, model="gpt-4o", **ONLY_CHAT),
        responses=CHAT,
    ),
    _text("an object", lambda llm: llm.generate_structured_response(MESSAGES, Planet)),
    _text(
        "an object that is asked for again",
        lambda llm: llm.generate_structured_response(
            MESSAGES, Planet, model="openai:gpt-4o:invalid_json,times=1"
        ),
    ),
    _text(
        "an object of no fixed shape",
        lambda llm: llm.generate_structured_response(MESSAGES, Notes, model="gpt-4o"),
    ),
    Kind(
        name="a picture",
        method="generate_image",
        ask=lambda llm: llm.generate_image("Mars", style="vivid"),
        responses=("/images/generations",),
    ),
    Kind(
        name="a picture with every option",
        method="generate_image",
        ask=lambda llm: llm.generate_image(
            "Mars",
            size="1536x1024",
            quality="hd",
            model="gpt-image-1.5",
            background="transparent",
            output_format="webp",
            output_compression=80,
            moderation="low",
        ),
        responses=("/images/generations",),
    ),
    Kind(
        name="a picture from another",
        method="edit_image",
        ask=lambda llm: llm.edit_image("Mars at night", PICTURE),
        responses=("/images/edits",),
    ),
    Kind(
        name="a picture from others with every option",
        method="edit_image",
        ask=lambda llm: llm.edit_image(
            "Mars and Phobos",
            [PICTURE, PICTURE],
            size="1024x1024",
            quality="low",
            mask=PICTURE,
            model="gpt-image-1.5",
            background="opaque",
            output_format="jpeg",
            output_compression=50,
            input_fidelity="high",
        ),
        responses=("/images/edits",),
    ),
    Kind(
        name="embeddings",
        method="generate_embeddings",
        ask=lambda llm: llm.generate_embeddings(["Mars", "Phobos"], dimensions=8),
        responses=("/embeddings",),
    ),
    Kind(
        name="speech",
        method="generate_audio",
        ask=lambda llm: llm.generate_audio("Mars. " * 500, instructions="Whisper.", speed=1.5),
        responses=("/audio/speech",),
    ),
    Kind(
        name="speech with a voice of one's own",
        method="generate_audio",
        ask=lambda llm: llm.generate_audio("Mars.", voice="voice_1234", format="wav"),
        responses=("/audio/speech",),
    ),
    Kind(
        name="a transcript",
        method="transcribe_audio",
        ask=lambda llm: llm.transcribe_audio(
            SILENCE, prompt="Moons.", languages=["en", "de"], keywords=["Phobos"], temperature=0.2
        ),
        responses=("/audio/transcriptions",),
    ),
    Kind(
        name="a transcript with segments",
        method="transcribe_audio",
        ask=lambda llm: llm.transcribe_audio(SILENCE, model="whisper-1", language="en"),
        responses=("/audio/transcriptions",),
    ),
    Kind(
        name="a transcript with speakers",
        method="transcribe_audio",
        ask=lambda llm: llm.transcribe_audio(SILENCE, model="gpt-4o-transcribe-diarize"),
        responses=("/audio/transcriptions",),
    ),
    _text(
        "text about pictures and documents",
        lambda llm: llm.generate_response([LLMMessageDTO(role="user", content=SHOWN)]),
    ),
    _text(
        "text about sound",
        lambda llm: llm.generate_response(
            [LLMMessageDTO(role="user", content=HEARD)], model="gpt-audio"
        ),
        responses=CHAT,
    ),
    _text("text with tools", _tools_by_hand),
    _text(
        "rounds of tools",
        lambda llm: llm.run_tools(ASKED, [get_weather], max_rounds=4),
        method="run_tools",
    ),
    _text(
        "a stream",
        lambda llm: _read(llm.stream_response(MESSAGES, model="gpt-4o", **SAMPLED)),
        method="stream_response",
    ),
    _text(
        "a stream of an object",
        lambda llm: _read(llm.stream_structured_response(MESSAGES, Planet)),
        method="stream_structured_response",
    ),
    _text(
        "text from another model in its place",
        lambda llm: llm.generate_response(
            MESSAGES, model="openai:gpt-4o:status=500", max_retries=0, fallback=["gpt-4o"]
        ),
    ),
    _text("a logged request again", _replay, method="replay"),
    _text("logged requests side by side", _compare, method="compare"),
    _special(
        "a picture",
        "generate_image",
        lambda llm: llm.generate_image("A volcano"),
        "/images/generations",
    ),
    _special(
        "a picture with all parameters",
        "generate_image",
        lambda llm: llm.generate_image(
            "A volcano",
            size="1536x1024",
            quality="hd",
            style="woodcut",
            background="opaque",
            output_format="webp",
            output_compression=50,
            moderation="low",
        ),
        "/images/generations",
    ),
    _special(
        "an edited picture",
        "edit_image",
        lambda llm: llm.edit_image("At dawn", [IMAGE, IMAGE], quality="low", mask=IMAGE),
        "/images/edits",
    ),
    _special(
        "a search",
        "search_web",
        lambda llm: llm.search_web(["lava", "ash"], max_results=2),
        RESPONSES,
    ),
    _special(
        "a search with all parameters",
        "search_answers",
        lambda llm: llm.search_answers(
            ["lava"],
            allowed_domains=["usgs.gov"],
            location=LOCATION,
            recency="week",
            context_size="low",
        ),
        RESPONSES,
    ),
    _special(
        "vectors",
        "generate_embeddings",
        lambda llm: llm.generate_embeddings(["lava", "ash"], dimensions=256),
        "/embeddings",
    ),
    _special(
        "speech",
        "generate_audio",
        lambda llm: llm.generate_audio(
            "Lava.", voice="coral", format="wav", instructions="Slowly", speed=0.9
        ),
        "/audio/speech",
    ),
    _special(
        "a transcript",
        "transcribe_audio",
        lambda llm: llm.transcribe_audio(SOUND, language="en", prompt="Lava"),
        "/audio/transcriptions",
    ),
    _special(
        "a transcript with all parameters",
        "transcribe_audio",
        lambda llm: llm.transcribe_audio(
            SOUND, languages=["en", "de"], keywords=["lava"], temperature=0.1
        ),
        "/audio/transcriptions",
    ),
    _text("a probe", lambda llm: llm.health(probe=True), method="health"),
    _special(
        "a batch",
        "submit_batch",
        lambda llm: llm.submit_batch(BATCH, model="gpt-6-luna"),
        *("/files", "/batches", RESPONSES),
    ),
)

"""The real API, one small cheap call for each kind: with ``OPENAI_API_KEY`` set, ``make live``.

Everything else is tried against the sandbox; this says whether the sandbox still tells the truth.
"""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import BaseModel

from modules.llm_services.public import (
    BatchRequest,
    LLMMessageDTO,
    LLMRequestDTO,
    LLMServicesProvider,
    open_llm_services,
    read_image,
)
from modules.shared.db import engine_for

pytestmark = pytest.mark.live

QUESTION = [
    LLMMessageDTO(
        role="user",
        content="Jupiter is the largest planet and has 97 moons. Repeat this sentence.",
    )
]


class Planet(BaseModel):
    """A planet."""

    name: str
    moons: int


@pytest.fixture
async def llm(
    migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesProvider]:
    """The provider with the environment's key, on a ledger that is thrown away."""
    if not os.environ.get("OPENAI_API_KEY"):
        pytest.skip("OPENAI_API_KEY is not set: nothing is asked of the real API")
    shutil.copyfile(migrated_sqlite, tmp_path / "backend.db")
    url = f"sqlite:///{tmp_path / 'backend.db'}"
    monkeypatch.setenv("DATABASE_URL", url)
    async with open_llm_services() as provider:
        yield provider
    engine_for(url).dispose()
    engine_for.cache_clear()


def paid_row(llm: LLMServicesProvider, request_id: UUID) -> LLMRequestDTO:
    """The row of a call that was answered, counted and priced."""
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.error_type) == ("completed", None)
    assert row.tokens_used
    assert row.cost_estimate
    return row


async def test_text(llm: LLMServicesProvider) -> None:
    """Text comes back, counted and priced."""
    response, request_id = await llm.generate_response(QUESTION, model="fast", max_tokens=500)
    assert "upiter" in response.content
    assert paid_row(llm, request_id).provider_request_id


async def test_text_in_chat_completions(llm: LLMServicesProvider) -> None:
    """A parameter that only Chat Completions takes goes there, and is answered."""
    response, request_id = await llm.generate_response(
        QUESTION, model="fast", max_tokens=500, seed=7
    )
    assert "upiter" in response.content
    paid_row(llm, request_id)


async def test_a_sampling_parameter_is_dropped_or_taken(llm: LLMServicesProvider) -> None:
    """What a reasoning model refuses stops no call."""
    response, request_id = await llm.generate_response(QUESTION, temperature=0.2, max_tokens=500)
    assert list(response.dropped_params) == (paid_row(llm, request_id).dropped_params or [])


async def test_an_object(llm: LLMServicesProvider) -> None:
    """An object of the class comes back, counted and priced."""
    planet, request_id = await llm.generate_structured_response(QUESTION, Planet, max_tokens=500)
    assert "upiter" in planet.name
    paid_row(llm, request_id)


async def test_pictures(llm: LLMServicesProvider) -> None:
    """A picture comes back, and another one made from it, counted and priced."""
    url, request_id = await llm.generate_image("A red circle on white", quality="low")
    paid_row(llm, request_id)
    image = read_image(url)
    edited, request_id = await llm.edit_image(
        "The same circle in blue", image, size="1024x1024", quality="low", output_format="jpeg"
    )
    row = paid_row(llm, request_id)
    assert (image.media_type, read_image(edited).media_type) == ("image/png", "image/jpeg")
    assert row.attempts is not None
    assert row.attempts[-1]["usage"]["image_input_tokens"]


async def test_embeddings(llm: LLMServicesProvider) -> None:
    """Similar texts lie near each other, also in a shortened space."""
    (moon, satellite, honey), request_id = await llm.generate_embeddings(
        ["the moon of a planet", "a planet's satellite", "how bees make honey"], dimensions=256
    )
    near, far = (
        sum(a * b for a, b in zip(moon, other, strict=True)) for other in (satellite, honey)
    )
    assert near > far
    paid_row(llm, request_id)


async def test_speech_and_a_transcript(llm: LLMServicesProvider) -> None:
    """What is spoken in two joined parts is understood again."""
    audio, request_id = await llm.generate_audio("Jupiter has moons. " * 110, format="mp3")
    row = llm.get_request(request_id)
    assert row is not None
    assert row.retry_attempt == 2
    transcript, request_id = await llm.transcribe_audio(audio.data, language="en")
    assert transcript.text.count("upiter") > 80
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.error_type) == ("completed", None)


async def test_a_stream(llm: LLMServicesProvider) -> None:
    """Text comes in pieces, and the end brings the tokens."""
    async with llm.stream_response(QUESTION, model="fast", max_tokens=500) as stream:
        said = [text async for text in stream.text()]
    assert "upiter" in "".join(said)
    assert paid_row(llm, stream.request_id).time_to_first_token_ms is not None


async def test_a_streamed_object(llm: LLMServicesProvider) -> None:
    """Partial objects come, and a checked one at the end."""
    async with llm.stream_structured_response(QUESTION, Planet, max_tokens=500) as stream:
        _ = [partial async for partial in stream]
    assert "upiter" in stream.result.name
    paid_row(llm, stream.request_id)


async def test_a_search(llm: LLMServicesProvider) -> None:
    """Pages come back, and the search is in the cost."""
    pages, request_id = await llm.search_web(["OpenAPI specification"], max_results=3, timeout=120)
    assert pages[0]["source"] == "citation"
    assert (paid_row(llm, request_id).cost_details or {}).keys() >= {"web_search"}


def moons(planet: str) -> int:
    """How many moons a planet has."""
    return len(planet)


async def test_tools(llm: LLMServicesProvider) -> None:
    """The model asks for a function, gets what it returned, and answers."""
    question = LLMMessageDTO(role="user", content="Call moons for Jupiter. What does it return?")
    run, request_id = await llm.run_tools([question], [moons], model="fast", max_rounds=3)
    assert run.results
    assert run.results[0].content.isdigit()
    paid_row(llm, request_id)


async def test_a_batch_is_taken(llm: LLMServicesProvider) -> None:
    """A batch is handed over and known; nobody waits a day for it here."""
    batch = await llm.submit_batch([BatchRequest(messages=QUESTION)], model="fast")
    assert (await llm.batch_status(batch.id)).status != "failed"
    row = llm.get_request(batch.request_ids["0"])
    assert row is not None
    assert row.status == "pending"

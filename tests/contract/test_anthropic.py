"""What is Anthropic's own, from the public module to the sandbox that refuses what it refuses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from modules.llm_services.public import (
    BatchRequest,
    DocumentPart,
    ImagePart,
    LLMInputError,
    LLMMessageDTO,
    LLMServicesProvider,
    TextPart,
)
from sandbox import Sandbox
from tests.contract.opening import opened_in

from .kinds import HEARD, IMAGE, LOCATION, MESSAGES, SILENCE, Notes
from .test_providers import RIVERS, WEATHER, get_weather, read, row
from .wires import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALONE = BatchRequest(messages=MESSAGES)
MODEL = "anthropic:claude-haiku-5-5"
Ask = Callable[[LLMServicesProvider], Awaitable[Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm(
    sandbox_server: Sandbox, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LLMServicesProvider]:
    """The module with nothing but Anthropic's usual variable for the key, and where it is."""
    usual = {
        "LLM_PROVIDER": "anthropic",
        "ANTHROPIC_API_KEY": KEY,
        "LLM_PROVIDERS__ANTHROPIC__BASE_URL": sandbox_server.base_url,
    }
    async with opened_in(tmp_path_factory.mktemp("anthropic"), migrated_sqlite, usual) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _fresh(sandbox_server: Sandbox) -> None:
    sandbox_server.reset()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda llm: llm.generate_image("Mars", model=MODEL), "makes no pictures"),
        (lambda llm: llm.edit_image("Mars", IMAGE, model=MODEL), "makes no pictures"),
        (lambda llm: llm.generate_embeddings(["Mars"], model=MODEL), "makes no embeddings"),
        (lambda llm: llm.generate_audio("Mars", model=MODEL), "knows no speech"),
        (lambda llm: llm.transcribe_audio(SILENCE, model=MODEL), "knows no speech"),
        (
            lambda llm: llm.submit_batch([BatchRequest(messages=MESSAGES)], model=MODEL),
            "no batches",
        ),
        (lambda llm: llm.batch_status("anthropic:batch_1"), "^the provider .* no batches"),
        (
            lambda llm: llm.generate_response([LLMMessageDTO(role="user", content=HEARD)]),
            "takes? no sound",
        ),
        (
            lambda llm: llm.generate_response(WEATHER, tools=[get_weather], tool_choice="required"),
            "tool_choice: claude-haiku-5-5 cannot be forced",
        ),
    ],
)
async def test_what_anthropic_lacks_is_refused(
    llm: LLMServicesProvider, sandbox_server: Sandbox, ask: Ask, said: str
) -> None:
    """By name, before a row is written or anything is sent."""
    with pytest.raises(LLMInputError, match=said) as caught:
        await ask(llm)
    assert caught.value.request_id is None
    assert sandbox_server.journal() == []


async def test_a_search_brings_pages(llm: LLMServicesProvider) -> None:
    """Each page with what it says; its searches are on the row, and paid for."""
    answers, request_id = await llm.search_answers(
        ["lava"], max_results=3, allowed_domains=["usgs.gov"], location=LOCATION, recency="week"
    )
    [answer] = answers
    assert answer.searches == 1
    assert [page.source for page in answer.results] == ["citation"] * 3
    first, cited = answer.results[0], answer.citations[0]
    assert first.snippet == answer.text[cited.start : cited.end]
    assert first.url.startswith("https://usgs.gov/")
    found = row(llm, request_id)
    assert (found.status, found.model) == ("completed", "claude-haiku-5-5")
    assert found.cost_details is not None
    assert found.cost_details["web_search"] == "0.01"


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("claude-opus-5-5", "high"),
        ("claude-haiku-4-5", "low"),
        ("claude-sonnet-5-5", "none"),
        ("claude-haiku-5-5", "none"),
        ("claude-opus-5-5", "none"),
    ],
)
async def test_thoughts_go_back_with_the_calls_they_led_to(
    llm: LLMServicesProvider, model: str, effort: Any
) -> None:
    """The sandbox takes them only as they were, and only from the model that had them."""
    ask = partial(
        llm.generate_response,
        model=f"anthropic:{model}",
        tools=[get_weather],
        reasoning_effort=effort,
        max_tokens=4_000,
    )
    said, first = await ask(WEATHER)
    result = LLMMessageDTO(role="tool", content="Fog.", tool_call_id=said.tool_calls[0].id)
    more, second = await ask([*WEATHER, said.as_message(), result])
    assert more.content
    thought = effort != "none" or model == "claude-opus-5-5"
    assert bool(said.reasoning) is bool(row(llm, first).reasoning_tokens) is thought
    dropped = ["reasoning_effort"] if effort == "none" and thought else None
    assert row(llm, second).dropped_params == dropped
    stored = (row(llm, second).messages or [])[1]
    assert ("reasoning" in stored) is thought
    assert "signature" not in str(stored)


async def test_a_marked_prompt_is_written_to_the_cache_and_priced(
    llm: LLMServicesProvider,
) -> None:
    """What was written and what was read is on the row, with the price that each has."""
    _, request_id = await llm.generate_response(RIVERS, prompt_cache_key="lessons")
    found = row(llm, request_id)
    assert found.cache_write_tokens
    assert found.prompt_tokens is not None
    assert found.cache_write_tokens < found.prompt_tokens
    _, request_id = await llm.generate_response(RIVERS, model=f"{MODEL}:cached=5")
    found = row(llm, request_id)
    assert found.cache_read_tokens == 5
    assert found.cost_details is not None
    assert {"input", "cached", "output"} <= found.cost_details.keys()


async def test_what_is_not_sent_is_on_the_row(llm: LLMServicesProvider) -> None:
    """Sampling is not the API's any more; what it does not know is named."""
    said, request_id = await llm.generate_response(
        MESSAGES, temperature=0.2, stop="and", seed=7, metadata={"user_id": "u", "chapter": "3"}
    )
    assert row(llm, request_id).dropped_params == ["metadata", "seed", "temperature"]
    assert list(said.dropped_params) == ["metadata", "seed", "temperature"]
    assert "and" not in said.content
    assert said.finish_reason == "stop"


async def test_pictures_documents_and_loose_objects(llm: LLMServicesProvider) -> None:
    """All that the API takes goes through it, from any of our kinds of call."""
    shown = [
        TextPart(text="What is this?"),
        ImagePart(data=IMAGE),
        ImagePart(url="https://example.com/volcano.png"),
        DocumentPart(data=b"%PDF-1.4\n%%EOF", filename="volcano.pdf"),
    ]
    answer, _ = await llm.generate_response([LLMMessageDTO(role="user", content=shown)])
    assert answer.content
    notes, _ = await llm.generate_structured_response(RIVERS, Notes)
    assert isinstance(notes, Notes)
    again, request_id = await llm.generate_structured_response(
        RIVERS, Notes, model=f"{MODEL}:invalid_json,times=1"
    )
    assert isinstance(again, Notes)
    assert row(llm, request_id).retry_attempt == 2


async def test_a_stream_that_reports_an_error(llm: LLMServicesProvider) -> None:
    """Its text stays on the row, which says what it was."""
    with pytest.raises(Exception, match="server had an error") as caught:
        await read(llm.stream_response(RIVERS, model=f"{MODEL}:stream_error,cut=6", max_retries=0))
    found = row(llm, getattr(caught.value, "request_id", None))
    assert (found.status, found.error_type) == ("failed", "ProviderError")
    assert found.response_content

"""Gemini down the whole road, against the sandbox: ``LLM_PROVIDER`` is all that changes."""

import sys
from collections.abc import AsyncIterator

import pytest

from modules.llm_services.config import create_llm_config_from_env
from modules.llm_services.providers.factory import create_llm_provider
from modules.llm_services.public import (
    BatchRequest,
    LLMConfigurationError,
    LLMInputError,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
    read_image,
)
from sandbox import Sandbox
from tests.support.ledger import rows

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ASKED = [LLMMessageDTO(role="user", content="Call get_weather and count_ships for Oslo.")]


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


def count_ships(port: str) -> int:
    """How many ships lie in a port."""
    return len(port)


@pytest.fixture
async def llm(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesProvider]:
    """The module with Google's models for its roles."""
    monkeypatch.setenv("LLM_PROVIDER", "gemini")
    monkeypatch.setenv("GEMINI_API_KEY", "sandbox-key-of-google")
    url = vendor.base_url.removesuffix("/v1") + "/v1beta"
    monkeypatch.setenv("LLM_PROVIDERS__GEMINI__BASE_URL", url)
    async with open_llm_services() as provider:
        yield provider


@on_sqlite
async def test_every_kind_has_its_row_and_its_cost(llm: LLMServicesProvider) -> None:
    """Tools, a search, a picture, an edited one, vectors: each is one row with tokens and USD."""
    run, _ = await llm.run_tools(ASKED, [get_weather, count_ships], model="smart")
    assert {result.call.name for result in run.results} == {"get_weather", "count_ships"}
    [answer], _ = await llm.search_answers(["volcano tourism"])
    assert answer.text[answer.citations[0].start : answer.citations[0].end]
    assert answer.results[0].snippet == answer.text.splitlines()[0]
    url, _ = await llm.generate_image("A volcano at night", size="1536x1024")
    assert read_image(url).media_type == "image/png"
    await llm.edit_image("Make it blue", url)
    vectors, _ = await llm.generate_embeddings([f"text {n}" for n in range(101)], dimensions=8)
    assert (len(vectors), len(vectors[0])) == (101, 8)
    found = rows()
    assert [row["operation"] for row in found] == [
        *("tools", "tools", "search", "image", "image_edit", "embedding"),
    ]
    assert {row["provider"] for row in found} == {"gemini"}
    assert {row["status"] for row in found} == {"completed"}
    assert all(row["cost_estimate"] > 0 for row in found)


@on_sqlite
async def test_what_gemini_lacks_is_refused_before_a_row(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Speech, batches, masks, and filters of a search: nothing is sent, nothing is written."""
    model = "gemini:gemini-3.8-flash"
    picture = "gemini:gemini-nano-banana-2.1"
    url, _ = await llm.generate_image("A volcano")
    vendor.reset()
    with pytest.raises(LLMInputError):
        await llm.generate_audio("Hello", model=model)
    with pytest.raises(LLMInputError):
        await llm.submit_batch([BatchRequest(messages=ASKED)], model=model)
    with pytest.raises(LLMInputError, match=r"^mask: "):
        await llm.edit_image("Blue", url, mask=url, model=picture)
    with pytest.raises(LLMInputError, match=r"^size must be one of"):
        await llm.generate_image("Blue", size="1000x1000", model=picture)
    with pytest.raises(LLMInputError, match=r"^allowed_domains: "):
        await llm.search_web(["tides"], allowed_domains=["example.com"])
    assert vendor.journal() == []
    assert len(rows()) == 1


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed the SDK is told what to install."""
    monkeypatch.setenv("GEMINI_API_KEY", "some-key")
    monkeypatch.setitem(sys.modules, "google.genai", None)
    monkeypatch.delitem(sys.modules, "modules.llm_services.providers.gemini", raising=False)
    with pytest.raises(LLMConfigurationError, match=r"llm-services\[gemini\]"):
        create_llm_provider(create_llm_config_from_env(), "gemini")
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(LLMConfigurationError, match=r"GEMINI_API_KEY is not set"):
        create_llm_provider(create_llm_config_from_env(), "gemini")

"""What every row of ``PROVIDERS`` promises, asked through the vendor's real SDK.

One module is opened for all of them, on one event loop: each test is a call and a look at its row.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import BaseModel

from modules.llm_services.providers.factory import ADAPTERS
from modules.llm_services.providers.rows import PROVIDERS
from modules.llm_services.public import (
    GenerationOptions,
    LLMError,
    LLMInputError,
    LLMMessageDTO,
    LLMRequestDTO,
    LLMServicesProvider,
    ObjectStream,
    TextStream,
)
from sandbox import Sandbox
from tests.contract.opening import opened_in

from .wires import KEY, WIRES, model, variables, wire_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

RIVERS = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea, and end in deltas.")]
SPOKEN = [
    LLMMessageDTO(role="developer", content="Be brief."),
    LLMMessageDTO(role="user", content="Rivers carry sand to the sea.", name="ann"),
]
WEATHER = [LLMMessageDTO(role="user", content="Call get_weather for Oslo: do I need a coat?")]
S = TypeVar("S", bound="ObjectStream[Any] | TextStream")


class Planet(BaseModel):
    """What is asked for."""

    name: str
    moons: list[str]


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm(
    sandbox_server: Sandbox, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LLMServicesProvider]:
    """The module with every provider pointed at the sandbox."""
    wires = variables(sandbox_server.base_url.removesuffix("/v1"))
    async with opened_in(tmp_path_factory.mktemp("contract"), migrated_sqlite, wires) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _fresh(sandbox_server: Sandbox) -> None:
    sandbox_server.reset()


async def read(opened: AbstractAsyncContextManager[S]) -> S:
    """A stream that was read to its end."""
    async with opened as stream:
        async for _ in stream:
            pass
    return stream


def row(llm: LLMServicesProvider, request_id: UUID | None) -> LLMRequestDTO:
    """The row of a call."""
    found = llm.get_request(cast("UUID", request_id))
    assert found is not None
    return found


async def arrived(vendor: Sandbox) -> None:
    """Until a request is with the vendor."""
    while not vendor.journal():  # noqa: ASYNC110 - the vendor is in another thread
        await asyncio.sleep(0.005)


def assert_accounted(found: LLMRequestDTO, provider: str) -> None:
    """A completed row knows whose it is, and what it took."""
    assert (found.status, found.provider, found.retry_attempt) == ("completed", provider, 1)
    assert found.prompt_tokens
    assert found.completion_tokens
    assert found.tokens_used == found.prompt_tokens + found.completion_tokens


def assert_priced(found: Any) -> None:
    """What it cost is known, by the vendor or by the table, or it is not and so stays unknown."""
    assert found.cost_source in {"genai-prices", "provider", "unknown"}
    assert (found.cost_estimate is None) == (found.cost_source == "unknown")
    assert found.cost_estimate is None or found.cost_estimate > 0


async def test_every_adapter_is_in_the_table() -> None:
    """A new adapter is held to the contract from its first day: add its wire."""
    assert {row.adapter for row in PROVIDERS.values()} <= ADAPTERS.keys() == WIRES.keys()


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_text(llm: LLMServicesProvider, sandbox_server: Sandbox, provider: str) -> None:
    """One request, one answer, one row with its tokens; the vendor is told the row's id."""
    answer, request_id = await llm.generate_response(
        RIVERS, model=model(provider), temperature=0.5, max_tokens=200
    )
    assert answer.content
    assert answer.provider == provider
    found = row(llm, request_id)
    assert_accounted(found, provider)
    assert (found.response_content, found.finish_reason) == (answer.content, answer.finish_reason)
    assert_priced(found)
    assert answer.cost_estimate == found.cost_estimate
    [entry] = sandbox_server.journal()
    assert entry.client_request_id == str(request_id)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream(llm: LLMServicesProvider, provider: str) -> None:
    """The pieces are the answer, and the row knows its tokens and when the first one came."""
    async with llm.stream_response(RIVERS, model=model(provider)) as stream:
        pieces = [piece async for piece in stream.text()]
    found = row(llm, stream.request_id)
    assert_accounted(found, provider)
    assert len(pieces) > 1
    assert found.response_content == "".join(pieces)
    assert found.time_to_first_token_ms is not None


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_object(llm: LLMServicesProvider, provider: str) -> None:
    """The answer is an instance of the model that was asked for."""
    planet, request_id = await llm.generate_structured_response(
        RIVERS, Planet, model=model(provider)
    )
    assert isinstance(planet, Planet)
    assert_accounted(row(llm, request_id), provider)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_streamed_object(llm: LLMServicesProvider, provider: str) -> None:
    """It grows piece by piece and is whole at the end."""
    stream = await read(llm.stream_structured_response(RIVERS, Planet, model=model(provider)))
    assert isinstance(stream.result, Planet)
    assert_accounted(row(llm, stream.request_id), provider)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_tools(llm: LLMServicesProvider, provider: str) -> None:
    """The model calls a function, is told what it gave, and answers: a row for each round. A
    vendor that knows no tools is asked nothing.
    """
    if "tools" in PROVIDERS[provider].quirks.refuses:
        with pytest.raises(LLMInputError, match=f"^tools: {provider} does not take it"):
            await llm.run_tools(WEATHER, [get_weather], model=model(provider))
        return
    run, request_id = await llm.run_tools(WEATHER, [get_weather], model=model(provider))
    assert run.response.content
    assert {result.call.name for result in run.results} == {"get_weather"}
    assert_accounted(row(llm, request_id), provider)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_whatever_may_be_said(llm: LLMServicesProvider, provider: str) -> None:
    """Every neutral parameter and every way to speak: what a vendor does not take is left out and
    told, on the answer as on the row; its own words for the rest are our business.
    """
    given: GenerationOptions = {"top_p": 0.9, "seed": 7, "frequency_penalty": 0.1}
    answer, request_id = await llm.generate_response(
        SPOKEN, model=model(provider), temperature=0.5, max_tokens=200, **given
    )
    assert answer.content
    found: Any = row(llm, request_id)
    refused = PROVIDERS[provider].quirks.refuses & {*given, "temperature", "max_tokens"}
    assert set(answer.dropped_params) >= refused
    assert set(found.dropped_params or ()) == set(answer.dropped_params)


async def failure(llm: LLMServicesProvider, provider: str, fault: str) -> str:
    """The ``error_type`` of a failed call, after a look at its row."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_response(RIVERS, model=model(provider, fault))
    found = row(llm, caught.value.request_id)
    assert (found.status, found.error_type) == ("failed", caught.value.error_type)
    assert KEY not in f"{caught.value} {caught.value!r} {found.error_message}"
    return caught.value.error_type


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_goes_wrong_has_a_name(llm: LLMServicesProvider, provider: str) -> None:
    """Every failure of a vendor is the error of ours that means it, on the row as in the call."""
    expected = wire_of(provider).errors
    met = await asyncio.gather(*(failure(llm, provider, fault) for fault in expected))
    assert dict(zip(expected, met, strict=True)) == expected


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream_that_is_cut_says_so(llm: LLMServicesProvider, provider: str) -> None:
    """Half an answer is no answer: the row keeps the text that came."""
    with pytest.raises(LLMError) as caught:
        await read(llm.stream_response(RIVERS, model=model(provider, "cut=3")))
    assert caught.value.error_type == "StreamCut"
    assert row(llm, caught.value.request_id).status == "failed"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_cancelled_call_has_a_row(
    llm: LLMServicesProvider, sandbox_server: Sandbox, provider: str
) -> None:
    """Who goes away leaves a cancelled row behind, and the connection is let go."""
    asking = asyncio.ensure_future(llm.generate_response(RIVERS, model=model(provider, "slow=30")))
    await arrived(sandbox_server)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    [entry] = sandbox_server.journal()
    found = row(llm, UUID(entry.client_request_id))
    assert (found.status, found.provider) == ("cancelled", provider)

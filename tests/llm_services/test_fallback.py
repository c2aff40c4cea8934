"""When a model does not answer another one does: in the same row, within the same deadline."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from modules.llm_services.public import (
    LLMAuthenticationError,
    LLMConfigurationError,
    LLMContextLengthError,
    LLMInputError,
    LLMMessageDTO,
    LLMNotFoundError,
    LLMPricingError,
    LLMProviderError,
    LLMRefusedError,
    LLMServicesProvider,
    TextStream,
    open_llm_services,
    open_llm_services_admin,
)
from modules.llm_services.testing import FakeLLMServices
from sandbox import Sandbox
from tests.llm_services.test_recording import until
from tests.support.ledger import rows

ASK = [LLMMessageDTO(role="user", content="Tell me about Mars and its moons.")]
GOOD, DOWN = "house:gpt-4o", "openai:gpt-4o:status=500"
ONE_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox as two providers, ``openai`` and ``house``; nothing is tried twice."""
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__BASE_URL", vendor.base_url)
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__API", "chat")
    monkeypatch.setenv("MAX_RETRIES", "0")
    return vendor


@pytest.fixture
async def llm(database_url: str, house: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider with both."""
    del database_url, house
    async with open_llm_services() as provider:
        yield provider


def attempts(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A row's attempts, as JSON of either database."""
    stored = row["attempts"]
    found: list[dict[str, Any]] = json.loads(stored) if isinstance(stored, str) else stored or []
    return found


async def read(opened: AbstractAsyncContextManager[TextStream]) -> None:
    """A stream to its end."""
    async with opened as stream:
        async for _ in stream:
            pass


class Moons(BaseModel):
    """The moons of a planet."""

    planet: str
    moons: list[str]


async def test_row_and_response_say_who_was_asked_and_who_answered(
    llm: LLMServicesProvider,
) -> None:
    """One row: the model that answered, the one that should have, and each attempt's own."""
    response, request_id = await llm.generate_response(ASK, model=DOWN, fallback=[GOOD])
    assert (response.provider, response.model) == ("house", "gpt-4o")
    assert response.fallback_from == DOWN
    assert response.attempts == 2
    [row] = rows()
    assert (row["status"], row["provider"], row["model"]) == ("completed", "house", "gpt-4o")
    assert (row["fallback_from"], row["requested_model"]) == (DOWN, None)
    first, second = attempts(row)
    assert (first["provider"], first["model"]) == ("openai", DOWN.removeprefix("openai:"))
    assert (first["outcome"], first["cost"]) == ("ProviderError", None)
    assert (second["provider"], second["model"]) == ("house", "gpt-4o")
    assert second["outcome"] == "answered"
    shown = llm.get_request(request_id)
    assert shown is not None
    assert (shown.fallback_from, shown.model) == (DOWN, "gpt-4o")


@ONE_SQLITE
@pytest.mark.parametrize(
    ("fault", "reason", "outcome"),
    [
        pytest.param("status=503", "failure", "ProviderError", id="failure"),
        pytest.param("code=insufficient_quota", "quota", "QuotaExceeded", id="quota"),
        pytest.param("code=context_length_exceeded", "context_length", "ContextLength", id="long"),
        pytest.param("refuse", "refusal", "Refused", id="refusal"),
        pytest.param("slow=30", "timeout", "Timeout", id="timeout"),
    ],
)
async def test_each_reason_can_be_chosen(
    llm: LLMServicesProvider, fault: str, reason: Any, outcome: str
) -> None:
    """A reason that holds sends the call on; without it, its error is the call's."""
    asked = f"openai:gpt-4o:{fault}"
    timeout = 1.0 if reason == "timeout" else 60.0
    for chosen in ({}, {"fallback_on": [reason]}):
        options: Any = {"fallback": [GOOD], "timeout": 2 * timeout, **chosen}
        response, _ = await llm.generate_response(ASK, model=asked, **options)
        assert response.provider == "house"
    others: Any = [one for one in ("failure", "quota", "refusal") if one != reason]
    with pytest.raises(Exception, match=r".") as caught:
        await llm.generate_response(
            ASK, model=asked, fallback=[GOOD], fallback_on=others, timeout=timeout / 4
        )
    assert getattr(caught.value, "error_type", None) == outcome
    assert [attempts(row)[0]["outcome"] for row in rows()] == [outcome] * 3
    assert rows()[-1]["fallback_from"] is None


@ONE_SQLITE
@pytest.mark.parametrize(
    ("fault", "reason", "error"),
    [
        pytest.param("code=model_not_found", "not_found", LLMNotFoundError, id="name"),
        pytest.param("code=invalid_api_key", "authentication", LLMAuthenticationError, id="key"),
    ],
)
async def test_faults_of_the_installation_are_no_usual_reasons(
    llm: LLMServicesProvider, fault: str, reason: Any, error: type[Exception]
) -> None:
    """A wrong name or key is told of, unless the caller says that it, too, sends the call on."""
    asked = f"openai:gpt-4o:{fault}"
    with pytest.raises(error):
        await llm.generate_response(ASK, model=asked, fallback=[GOOD])
    response, _ = await llm.generate_response(
        ASK, model=asked, fallback=[GOOD], fallback_on=[reason]
    )
    assert response.provider == "house"


@ONE_SQLITE
async def test_an_open_circuit_sends_calls_on_at_once(
    database_url: str, house: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known to be down is not asked; the row says for whom another one answered."""
    del database_url
    monkeypatch.setenv("LLM_CIRCUIT_FAILURES", "1")
    monkeypatch.setenv("LLM_ROLES__FAST", f"{DOWN}, {GOOD}")
    async with open_llm_services() as llm:
        await llm.generate_response(ASK)
        response, _ = await llm.generate_response(ASK)
    assert (response.requested_model, response.fallback_from) == ("fast", DOWN)
    assert [len(attempts(row)) for row in rows()] == [2, 1]
    assert len(house.journal()) == 3


@ONE_SQLITE
async def test_retries_come_first(llm: LLMServicesProvider, house: Sandbox) -> None:
    """A model has its retries before the next is asked; the last one's error is the call's."""
    other = "house:gpt-4o:code=context_length_exceeded"
    with pytest.raises(LLMContextLengthError) as caught:
        await llm.generate_response(
            ASK, model="openai:gpt-4o:status=500,retry_after=0", fallback=[other], max_retries=2
        )
    assert (caught.value.provider, caught.value.model) == ("house", other.removeprefix("house:"))
    [row] = rows()
    assert (row["error_type"], row["provider"], row["retry_attempt"]) == (
        "ContextLength",
        "house",
        4,
    )
    assert [one["provider"] for one in attempts(row)] == ["openai"] * 3 + ["house"]
    assert {entry.client_request_id for entry in house.journal()} == {str(row["id"])}


@ONE_SQLITE
async def test_what_every_attempt_cost_is_on_the_row(
    database_url: str, house: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A refusal that was paid and the answer in its place: two prices, one sum; also when the rows
    are priced again.
    """
    del database_url, house
    token = {"input_per_mtok": 1, "output_per_mtok": 2}
    prices = [{"provider": name, "model": "*", **token} for name in ("openai", "house")]
    prices[1] |= {"input_per_mtok": 100, "output_per_mtok": 200}
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    monkeypatch.setenv("LLM_PRICE_OVERRIDES", str(tmp_path / "prices.json"))
    async with open_llm_services() as llm:
        asked = "openai:gpt-4.1:refuse"
        response, _ = await llm.generate_response(ASK, model=asked, fallback=[GOOD])
        first, second = (one["cost"] for one in attempts(rows()[0]))
        assert 0 < 10 * first < second
        assert response.cost_estimate == pytest.approx(first + second)
        prices[0] |= {"input_per_mtok": 2, "output_per_mtok": 4}
        (tmp_path / "prices.json").write_text(json.dumps(prices))
    async with open_llm_services_admin() as admin:
        await admin.recost(date(2020, 1, 1), datetime.now(UTC).date(), only_unknown=False)
    assert rows()[0]["cost_estimate"] == pytest.approx(2 * first + second)


@ONE_SQLITE
async def test_streams_and_objects_fall_back(llm: LLMServicesProvider) -> None:
    """Before the first piece a stream may still come from elsewhere; after it, it breaks."""
    async with llm.stream_response(ASK, model=DOWN, fallback=[GOOD]) as stream:
        text = "".join([piece async for piece in stream.text()])
        response = stream.response
    assert text == response.content
    assert (response.provider, response.fallback_from) == ("house", DOWN)
    with pytest.raises(LLMProviderError):
        await read(llm.stream_response(ASK, model="openai:gpt-4o:sever=8", fallback=[GOOD]))
    moons, _ = await llm.generate_structured_response(ASK, Moons, model=DOWN, fallback=[GOOD])
    assert isinstance(moons, Moons)
    misfit = "openai:gpt-4o:invalid_json"
    await llm.generate_structured_response(
        ASK, Moons, model=misfit, fallback=[GOOD], fallback_on=["validation"]
    )
    found = [(row["provider"], row["fallback_from"]) for row in rows()]
    assert found == [("house", DOWN), ("openai", None), ("house", DOWN), ("house", misfit)]


@ONE_SQLITE
async def test_rounds_of_tools_fall_back(
    llm: LLMServicesProvider, fake_llm: FakeLLMServices
) -> None:
    """Each round is a call of its own; a bound in USD needs the price of every model."""

    def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"Fog in {city}."

    asked = [LLMMessageDTO(role="user", content="Call get_weather for Oslo: do I need a coat?")]
    run, _ = await llm.run_tools(asked, [get_weather], model=DOWN, fallback=[GOOD])
    assert len(run.request_ids) == 2
    assert {row["fallback_from"] for row in rows()} == {DOWN}
    with pytest.raises(LLMPricingError, match="house:unpriced"):
        await llm.run_tools(asked, [get_weather], fallback=["house:unpriced"], max_cost=1)
    fake_llm.fails_with(LLMRefusedError, model="a")
    said, _ = await fake_llm.run_tools(ASK, [get_weather], model="a", fallback=["b"], max_cost=1)
    assert said.response.model == "b"


@ONE_SQLITE
async def test_the_answer_of_another_model_is_not_kept(
    llm: LLMServicesProvider, house: Sandbox
) -> None:
    """Neither in the cache nor for a call that waited for the same answer without a fallback."""
    asked = "openai:gpt-4o:slow=0.3,status=500"
    first = asyncio.create_task(
        llm.generate_response(ASK, model=asked, fallback=[GOOD], cache=True)
    )
    await until(lambda: len(house.journal()) == 1)
    with pytest.raises(LLMProviderError):
        await llm.generate_response(ASK, model=asked, cache=True)
    assert (await first)[0].provider == "house"
    again, _ = await llm.generate_response(ASK, model=asked, fallback=[GOOD], cache=True)
    assert not again.cached
    kept, _ = await llm.generate_response(ASK, model=GOOD, fallback=[DOWN], cache=True)
    given, _ = await llm.generate_response(ASK, model=GOOD, cache=True)
    assert (kept.cached, given.cached, given.provider) == (False, True, "house")


@ONE_SQLITE
async def test_a_key_brings_the_answer_of_the_model_that_answered(llm: LLMServicesProvider) -> None:
    """A call that is made again by its key is told who answered the first time."""
    said = [
        (await llm.generate_response(ASK, model=DOWN, fallback=[GOOD], idempotency_key="k"))[0]
        for _ in range(2)
    ]
    assert {one.provider for one in said} == {"house"}
    assert {one.fallback_from for one in said} == {DOWN}
    assert len(rows()) == 1


@ONE_SQLITE
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fallback": []}, "fallback is empty"),
        ({"fallback": "smart"}, "fallback must be a list of models"),
        ({"fallback": ["nobody:x"]}, r"fallback\[0\]: model 'nobody:x' names the provider"),
        ({"fallback": [GOOD, 7]}, r"fallback\[1\]"),
        ({"fallback": [GOOD] * 9}, "at most 8"),
        ({"fallback_on": ["sometimes"]}, r"fallback_on\[0\] must be one of failure"),
        ({"fallback": ["house:gpt-4o"], "fallback_on": []}, "fallback_on is empty"),
        ({"fallback": ["azure_openai:gpt-4o"]}, "fallback azure_openai:gpt-4o: "),
    ],
)
async def test_bad_input_is_named(
    llm: LLMServicesProvider, house: Sandbox, options: Any, told: str
) -> None:
    """What cannot be meant is refused before anything is sent or written."""
    with pytest.raises(LLMInputError, match=told):
        await llm.generate_response(ASK, **options)
    assert house.journal() == []
    assert rows() == []


@ONE_SQLITE
async def test_a_roles_model_that_cannot_take_a_call_is_left_out(
    database_url: str, house: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a role those that can are asked; when none can, the call is refused as by the first."""
    del database_url, house
    monkeypatch.setenv("LLM_ROLES__CHEAP", "azure_openai:gpt-4o,house:gpt-4o")
    monkeypatch.setenv("LLM_ROLES__NONE", "azure_openai:gpt-4o,azure_openai:gpt-4.1")
    async with open_llm_services() as llm:
        response, _ = await llm.generate_response(ASK, model="cheap")
        assert (response.provider, response.fallback_from) == ("house", None)
        with pytest.raises(LLMConfigurationError, match="AZURE_OPENAI_API_KEY is not set"):
            await llm.generate_response(ASK, model="none")
    assert len(rows()) == 1


async def test_what_may_not_be_paid_twice_is_not_sent_to_another(fake_llm: FakeLLMServices) -> None:
    """A fake scripts models apart; each model is asked once, those named twice, too."""
    fake_llm.fails_with(LLMRefusedError, model="a")
    fake_llm.fails_with(LLMProviderError, model="b")
    response, request_id = await fake_llm.generate_response(
        ASK, model="a", fallback=["b", "a", "b", "c"]
    )
    assert response.model == "c"
    row = fake_llm.get_request(request_id)
    assert row is not None
    assert [one["model"] for one in row.attempts or ()] == ["a", "b", "c"]

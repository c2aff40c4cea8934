"""What an endpoint is known not to take is refused before there is a row, or a request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.public import (
    BatchRequest,
    DocumentPart,
    LLMMessageDTO,
    LLMServicesProvider,
    TextPart,
    open_llm_services,
)
from modules.llm_services.setting_types import ApiFormat, ProviderSettings
from sandbox import Sandbox
from tests.llm_services.test_openai_provider import a_call
from tests.support.ledger import rows

HELLO = [LLMMessageDTO(role="user", content="hello")]


def adapter(host: str | None, api: ApiFormat = "responses") -> OpenAIProvider:
    """The adapter of an endpoint that nobody talks to."""
    url = host and f"https://{host}/v1"
    return OpenAIProvider("openai", ProviderSettings(api_key=SecretStr("k"), base_url=url), api)


@pytest.mark.parametrize(
    "host", [None, "api.openai.com", "eu.api.openai.com", "mine.openai.azure.com"]
)
async def test_openai_s_floor_is_known(host: str | None) -> None:
    """Its Responses API caps at 16 tokens or more; the error says so, and what to do."""
    endpoint = adapter(host)
    endpoint.check(a_call())
    endpoint.check(a_call(max_tokens=16))
    endpoint.check(a_call(max_tokens=1, seed=7))  # goes to Chat Completions
    with pytest.raises(LLMInputError, match=r"max_tokens is 15, .* no less than 16 .*leave it out"):
        endpoint.check(a_call(max_tokens=15))
    await endpoint.aclose()


@pytest.mark.parametrize(
    ("host", "api"),
    [
        ("api.openai.com", "chat"),
        ("localhost:11434", "responses"),
        ("notopenai.com", "responses"),
        ("openai.com.evil.test", "responses"),
    ],
)
async def test_others_have_limits_of_their_own(host: str, api: ApiFormat) -> None:
    """Chat Completions takes less, and what another vendor takes is its own to say."""
    endpoint = adapter(host, api)
    endpoint.check(a_call(max_tokens=1))
    await endpoint.aclose()


@pytest.fixture
async def llm(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it, at OpenAI itself; nothing can reach that from here."""
    monkeypatch.delenv("OPENAI_BASE_URL")
    async with open_llm_services() as opened:
        yield opened


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_cap_below_the_floor_costs_nothing(
    llm: LLMServicesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever way a conversation is asked for: no row, no request."""
    with pytest.raises(LLMInputError, match="max_tokens is 5"):
        await llm.generate_response(HELLO, max_tokens=5)
    with pytest.raises(LLMInputError, match="max_tokens is 5"):
        async with llm.stream_response(HELLO, max_tokens=5):
            pytest.fail("it was opened")
    with pytest.raises(LLMInputError, match=r"requests\[1\]: max_tokens is 5"):
        await llm.submit_batch(
            [
                BatchRequest(key="a", messages=HELLO),
                BatchRequest(key="b", messages=HELLO, parameters={"max_tokens": 5}),
            ]
        )
    monkeypatch.setenv("MAX_TOKENS", "5")
    async with open_llm_services() as capped:
        with pytest.raises(LLMInputError, match="max_tokens is 5"):
            await capped.search_web(["lava"])
    assert rows() == []


LINK = "https://example.org/a.pdf?signature=secret"
PDF = b"%PDF-1.7\n1 0 obj"
LINKED = [
    LLMMessageDTO(role="user", content="Read this."),
    LLMMessageDTO(role="user", content=(TextPart(text="Well?"), DocumentPart(url=LINK))),
]


@pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["chat", "chat for one call"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_chat_completions_gets_no_address_of_a_document(
    options: Any, database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes bytes only, also where one parameter sends a call there: no row, no request."""
    if not options:
        monkeypatch.setenv("LLM_PROVIDERS__OPENAI__API", "chat")
    said = r"messages\[1\]\.content\[1\]\.url: .* give its bytes as data"
    async with open_llm_services() as opened:
        with pytest.raises(LLMInputError, match=said) as caught:
            await opened.generate_response(LINKED, model="gpt-4o", **options)
        assert "secret" not in str(caught.value)
        with pytest.raises(LLMInputError, match=said):
            async with opened.stream_response(LINKED, model="gpt-4o", **options):
                pytest.fail("it was opened")
        request = BatchRequest(key="a", messages=LINKED, parameters=options)
        with pytest.raises(LLMInputError, match=rf"requests\[0\]: {said}"):
            await opened.submit_batch([request], model="gpt-4o")
        assert rows() == []
        assert vendor.journal() == []
        given = LLMMessageDTO(role="user", content=[DocumentPart(data=PDF)])
        response, _ = await opened.generate_response([given], model="gpt-4o", **options)
    assert response.content


@pytest.mark.parametrize("bias", [{"1": 0.5}, {"1": 101}, {"1": -100.5}])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_bias_is_a_whole_number(llm: LLMServicesProvider, bias: Any) -> None:
    """As OpenAI's document wants it; the error names the token and the limits."""
    said = r"logit_bias\[1\] must be a whole number from -100 to 100"
    with pytest.raises(LLMInputError, match=said):
        await llm.generate_response(HELLO, logit_bias=bias)
    assert rows() == []

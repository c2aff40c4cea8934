"""Azure OpenAI: its v1 API and its classic deployments, with a key or with tokens of Entra."""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from modules.llm_services.config import create_llm_config_from_env
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.providers.credentials import token_source
from modules.llm_services.providers.factory import create_llm_provider
from modules.llm_services.providers.key_mask import KeyMask
from modules.llm_services.public import (
    LLMAuthenticationError,
    LLMError,
    LLMMessageDTO,
    open_llm_services,
)
from sandbox import Sandbox
from tests.support.ledger import rows

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOi.token-of-entra-0123456789"
RIVERS = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
CLASSIC = "azure_openai:gpt-4.1"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def classic(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A resource of Azure's whose models are deployments."""
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", vendor.base_url.removesuffix("/v1"))
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2024-10-21")
    monkeypatch.setenv("MAX_RETRIES", "0")
    return vendor


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Make ``operator:token`` the provider of tokens."""

    def to(function: Callable[[], object]) -> None:
        module = ModuleType("operator_s_own")
        module.token = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "operator_s_own", module)
        monkeypatch.setenv("LLM_PROVIDERS__AZURE_OPENAI__TOKEN_PROVIDER", "operator_s_own:token")

    return to


@on_sqlite
async def test_a_classic_deployment_is_asked_by_its_name(
    classic: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chat, vectors, sound and pictures go to the deployment's path, with the key in its header."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    async with open_llm_services() as llm:
        await llm.generate_response(RIVERS, model=CLASSIC)
        async with llm.stream_response(RIVERS, model=CLASSIC) as stream:
            assert [piece async for piece in stream.text()]
        await llm.generate_embeddings(["Mars"], model="azure_openai:text-embedding-3-small")
        with pytest.raises(LLMError) as caught:
            await llm.generate_response(RIVERS, model=f"{CLASSIC}:status=401")
    assert [entry.path for entry in classic.journal()] == [
        *["/openai/deployments/gpt-4.1/chat/completions"] * 2,
        "/openai/deployments/text-embedding-3-small/embeddings",
        "/openai/deployments/gpt-4.1:status=401/chat/completions",
    ]
    assert [row["status"] for row in rows()] == ["completed"] * 3 + ["failed"]
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r} {rows()}"
    request = getattr(caught.value.__cause__, "request")  # noqa: B009 - the SDK's error has it
    assert "api-key" not in request.headers


@on_sqlite
async def test_tokens_take_a_key_s_place(
    classic: Sandbox, database_url: str, give: Callable[[Callable[[], object]], None]
) -> None:
    """An async function is asked before each request, and no key is needed or sent."""
    asked = []

    async def token() -> str:
        asked.append(1)
        return TOKEN

    give(token)
    async with open_llm_services() as llm:
        for _ in range(2):
            await llm.generate_response(RIVERS, model=CLASSIC)
        assert (await llm.health()).providers
    assert len(asked) == len(classic.journal()) == 2


@on_sqlite
@pytest.mark.parametrize("wrong", [lambda: 1 / 0, lambda: None, lambda: ""])
async def test_without_a_token_nothing_is_sent(
    classic: Sandbox,
    database_url: str,
    give: Callable[[Callable[[], object]], None],
    wrong: Callable[[], object],
) -> None:
    """Who gives none, or raises, is an authentication that failed; the row says so."""
    give(wrong)
    async with open_llm_services() as llm:
        with pytest.raises(LLMAuthenticationError, match="no token for azure_openai"):
            await llm.generate_response(RIVERS, model=CLASSIC)
    assert classic.journal() == []
    assert [row["error_type"] for row in rows()] == ["Authentication"]


async def test_a_token_is_masked_until_the_next() -> None:
    """What a provider quotes of it is shown to nobody."""
    mask, tokens = KeyMask("none"), iter([TOKEN, TOKEN, "another-token-0123456789"])
    module = ModuleType("operator_s_own")
    module.token = lambda: next(tokens)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "operator_s_own", module)
        source = token_source("azure_openai", "operator_s_own:token", mask)
    for expected in (TOKEN, TOKEN, "another-token-0123456789"):
        assert await source() == expected
        assert mask(f"who is {expected}?") == "who is ***?"


def test_entra_s_default_credential_is_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """``azure`` needs the extra, which the error names where it is missing."""
    assert callable(token_source("azure_openai", "azure", KeyMask("none")))
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(LLMConfigurationError, match=r"install llm-services\[azure\]"):
        token_source("azure_openai", "azure", KeyMask("none"))


@pytest.mark.parametrize("name", ["no_such_module:f", "json:no_such_function"])
def test_a_token_provider_that_is_not_there_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which variable, and what it holds."""
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://a.example")
    monkeypatch.setenv("LLM_PROVIDERS__AZURE_OPENAI__TOKEN_PROVIDER", name)
    with pytest.raises(LLMConfigurationError, match="AZURE_OPENAI__TOKEN_PROVIDER: '" + name):
        create_llm_provider(create_llm_config_from_env(), "azure_openai")


@pytest.mark.parametrize(
    ("variables", "url", "version"),
    [
        ({"AZURE_OPENAI_ENDPOINT": "https://a.example"}, "https://a.example/openai/v1", None),
        (
            {
                "AZURE_OPENAI_ENDPOINT": "https://a.example/openai/v1",
                "AZURE_OPENAI_API_VERSION": "2024-10-21",
            },
            "https://a.example/openai",
            "2024-10-21",
        ),
        (
            {
                "AZURE_OPENAI_ENDPOINT": "https://a.example",
                "LLM_PROVIDERS__AZURE_OPENAI__API_VERSION": "2025-01-01-preview",
            },
            "https://a.example/openai",
            "2025-01-01-preview",
        ),
    ],
)
def test_an_endpoint_is_completed_for_its_api(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, version: str | None
) -> None:
    """A version makes it the classic one, wherever it is said."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    azure = create_llm_config_from_env().provider("azure_openai")
    assert (azure.base_url, azure.api_version) == (url, version)

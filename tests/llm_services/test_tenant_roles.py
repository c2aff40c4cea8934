"""A tenant may have models of its own behind the same roles."""

import pytest

from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.public import BatchRequest, LLMMessageDTO, attribution, open_llm_services
from modules.llm_services.wiring.startup import configured as configured_together
from sandbox import Sandbox
from tests.support.ledger import rows

RIVERS = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@on_sqlite
async def test_a_role_is_the_tenant_s_own_first(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by the call or around it; other tenants, and calls of nobody, have everybody's."""
    monkeypatch.setenv("LLM_ROLES__FAST", "gpt-4.1")
    monkeypatch.setenv("LLM_TENANT_ROLES__ACME__FAST", "gpt-4.1-mini")
    async with open_llm_services() as llm:
        await llm.generate_response(RIVERS, tenant="acme")
        with attribution(tenant="ACME"):
            await llm.generate_response(RIVERS)
        await llm.generate_response(RIVERS, tenant="other")
        await llm.generate_response(RIVERS, model="fast")
        await llm.submit_batch([BatchRequest(messages=RIVERS)], tenant="acme")
    models = [row["model"] for row in rows()]
    assert models == [*["gpt-4.1-mini"] * 2, *["gpt-4.1"] * 2, "gpt-4.1-mini"]


@on_sqlite
async def test_every_kind_of_call_has_the_tenant_s_models(
    vendor: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures, searches, vectors, speech, transcripts and estimates as well."""
    own = {
        "FAST": "gpt-4.1-nano",
        "IMAGE": "gpt-image-2-mini",
        "SEARCH": "gpt-4.1-mini",
        "EMBEDDING": "text-embedding-3-large",
        "SPEECH": "tts-1",
        "TRANSCRIPTION": "whisper-1",
    }
    for role, model in own.items():
        monkeypatch.setenv(f"LLM_TENANT_ROLES__ACME__{role}", f"openai:{model}")
    monkeypatch.setenv("LLM_ROLES__FAST", "gpt-4.1")
    async with open_llm_services() as llm:
        usual = llm.estimate_cost(RIVERS)
        await llm.generate_embeddings(["lava"], tenant="acme")
        with attribution(tenant="acme"):
            assert llm.estimate_cost(RIVERS) < usual
            await llm.generate_image("A volcano")
            await llm.search_web(["lava"], fallback=["fast"])
            sound, _ = await llm.generate_audio("Lava.", format="wav")
            await llm.transcribe_audio(sound.data)
    asked = [row["model"] for row in rows()]
    assert asked == [own[r] for r in ("EMBEDDING", "IMAGE", "SEARCH", "SPEECH", "TRANSCRIPTION")]


def test_tenants_may_be_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then their names keep their case, and may hold what no variable can."""
    monkeypatch.setenv("LLM_TENANT_ROLES", '{"Acme-1": {"fast": "openai:gpt-4.1"}}')
    config = create_llm_config_from_env()
    assert config.for_tenant("Acme-1").roles == {"fast": "openai:gpt-4.1"}
    assert config.for_tenant("acme-2") is config
    assert config.for_tenant(None) is config
    assert LLMConfig.model_fields["tenant_roles"].description


def test_a_tenant_s_role_that_means_nothing_is_found_at_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the variable, and says everybody's faults once."""
    monkeypatch.setenv("LLM_ROLES__SMART", "nobody:x")
    monkeypatch.setenv("LLM_TENANT_ROLES__ACME__FAST", "nowhere:x")
    with pytest.raises(LLMConfigurationError) as caught:
        configured_together()
    assert caught.value.message.count("nobody:x") == 1
    assert "LLM_TENANT_ROLES__ACME__FAST: model 'nowhere:x'" in caught.value.message

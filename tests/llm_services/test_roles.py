"""A role, a qualified name or a plain name ends in one provider and one model, or in an error."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.exceptions import LLMConfigurationError, LLMInputError
from modules.llm_services.roles import DEFAULT_ROLES, ModelChoice, resolve_model, role_faults

PROVIDERS = frozenset({"openai", "azure_openai", "local"})


def configured(patch: pytest.MonkeyPatch, **variables: str) -> LLMConfig:
    """The configuration of these variables."""
    for name, value in variables.items():
        patch.setenv(name, value)
    return create_llm_config_from_env()


@pytest.mark.parametrize(
    ("word", "provider", "model", "requested"),
    [
        pytest.param("gpt-5", "openai", "gpt-5", None, id="plain"),
        pytest.param("local:llama", "local", "llama", None, id="qualified"),
        pytest.param("openai:gpt-5", "openai", "gpt-5", None, id="qualified-openai"),
        pytest.param("local:a:b", "local", "a:b", None, id="tag-in-the-name"),
        pytest.param("ft:gpt-5:acme::1", "openai", "ft:gpt-5:acme::1", None, id="fine-tuned"),
        pytest.param("openai:ft:gpt-5:x", "openai", "ft:gpt-5:x", None, id="fine-tuned-qualified"),
        pytest.param("meta/llama-4.1@x", "openai", "meta/llama-4.1@x", None, id="punctuation"),
        pytest.param("x" * 100, "openai", "x" * 100, None, id="longest"),
        pytest.param("cheap", "local", "llama", "cheap", id="role"),
        pytest.param("named", "openai", "gpt-4.1", "named", id="role-with-plain-name"),
        pytest.param("smart", *DEFAULT_ROLES["smart"].split(":"), "smart", id="default-role"),
        pytest.param(None, *DEFAULT_ROLES["fast"].split(":"), "fast", id="no-word"),
    ],
)
def test_a_word_stands_for_one_model(
    monkeypatch: pytest.MonkeyPatch,
    word: str | None,
    provider: str,
    model: str,
    requested: str | None,
) -> None:
    """Roles are looked up first, then prefixes; what was asked is kept where it says otherwise."""
    config = configured(
        monkeypatch, LLM_ROLES__CHEAP="local:llama", LLM_ROLES__NAMED="openai:gpt-4.1"
    )
    expected = ModelChoice(provider=provider, model=model, requested=requested)
    assert resolve_model(config, PROVIDERS, word) == expected


@pytest.mark.parametrize(
    ("word", "said"),
    [
        pytest.param("", "1 to 100 printable ASCII", id="empty"),
        pytest.param("x" * 101, "1 to 100 printable ASCII", id="too-long"),
        pytest.param("gpt 5", "without spaces", id="space"),
        pytest.param("gpt-5\n", "without spaces", id="newline"),
        pytest.param("gpt\x00", "printable ASCII", id="nul"),
        pytest.param("gpt-ö", "printable ASCII", id="accent"),
        pytest.param("\ud800", "printable ASCII", id="surrogate"),
        pytest.param("local:", "1 to 100 printable ASCII", id="prefix-only"),
        pytest.param(":gpt-5", "known are azure_openai, local, openai", id="empty-prefix"),
        pytest.param("nobody:gpt-5", "names the provider 'nobody'", id="unknown-provider"),
        pytest.param("Local:llama", "names the provider 'Local'", id="provider-in-wrong-case"),
        pytest.param(5, "model must be a str, not int", id="number"),
        pytest.param(b"gpt-5", "model must be a str, not bytes", id="bytes"),
        pytest.param(["gpt-5"], "model must be a str, not list", id="list"),
        pytest.param(True, "model must be a str, not bool", id="boolean"),
    ],
)
def test_a_word_that_means_nothing_is_the_callers_error(word: object, said: str) -> None:
    """A bad ``model`` is refused by name; it is never cut to fit."""
    with pytest.raises(LLMInputError) as caught:
        resolve_model(LLMConfig(), PROVIDERS, word)
    assert caught.value.message.startswith("model ")
    assert said in caught.value.message
    assert len(caught.value.message) < 300


def test_a_configured_model_serves_calls_that_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """``LLM_MODEL`` (or ``OPENAI_MODEL``) may be a name, a qualified name or a role."""
    assert resolve_model(configured(monkeypatch, OPENAI_MODEL="gpt-4.1"), PROVIDERS) == ModelChoice(
        provider="openai", model="gpt-4.1"
    )
    assert resolve_model(configured(monkeypatch, LLM_MODEL="local:x"), PROVIDERS) == ModelChoice(
        provider="local", model="x"
    )
    assert resolve_model(configured(monkeypatch, LLM_MODEL="smart"), PROVIDERS).requested == "smart"


def test_roles_stand_for_a_vendors_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """``LLM_PROVIDER`` is enough; a role of one's own and OpenAI's for what it lacks remain."""
    config = configured(monkeypatch, LLM_PROVIDER="anthropic", LLM_ROLES__SMART="openai:gpt-5")
    known = frozenset({"openai", "anthropic"})
    found = {word: resolve_model(config, known, word) for word in (None, "fast", "smart", "image")}
    assert found[None].provider == found["fast"].provider == "anthropic"
    assert found["fast"].model.startswith("claude-haiku")
    assert (found["smart"].model, found["image"].provider) == ("gpt-5", "openai")
    assert list(role_faults(config, known)) == []


def test_a_vendor_without_models_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is in the error, and which ones there are."""
    with pytest.raises(LLMConfigurationError, match=r"LLM_PROVIDER: .*'openai'.*'anthropic'"):
        configured(monkeypatch, LLM_PROVIDER="nobody")


def test_a_role_may_be_given_another_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration's meaning of a role goes before the built-in one."""
    config = configured(monkeypatch, LLM_ROLES__FAST="local:tiny")
    assert resolve_model(config, PROVIDERS, "fast").model == "tiny"
    assert resolve_model(config, PROVIDERS).model == "tiny"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LLM_ROLES__CHEAP", "nobody:x"),
        ("LLM_ROLES__CHEAP", "local:"),
        ("LLM_ROLES__FAST", "two words"),
        ("LLM_MODEL", "nobody:x"),
        ("LLM_MODEL", "two words"),
        pytest.param("OPENAI_MODEL", "nobody:x", id="legacy-name"),
        pytest.param("LLM_ROLES__CHEAP", "", id="empty-role"),
    ],
)
def test_a_bad_word_of_the_configuration_is_found_at_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Roles and the default model are checked before the first call, by the variable's name."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(LLMConfigurationError, match=rf"^{variable}: ") as caught:
        create_llm_config_from_env(lambda config: role_faults(config, PROVIDERS))
    assert caught.value.message.count(variable) == 1


def test_a_callers_role_with_a_bad_meaning_is_the_configurations_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asked for a role is not blamed for what it stands for."""
    config = configured(monkeypatch, LLM_ROLES__CHEAP="nobody:x")
    with pytest.raises(LLMConfigurationError, match=r"^LLM_ROLES__CHEAP: model 'nobody:x'"):
        resolve_model(config, PROVIDERS, "cheap")


def test_a_good_configuration_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check at start accepts every role that means something."""
    config = configured(monkeypatch, LLM_ROLES__CHEAP="local:x", LLM_MODEL="cheap")
    assert list(role_faults(config, PROVIDERS)) == []


@settings(deadline=None)
@given(word=st.one_of(st.text(st.characters(exclude_categories=()), max_size=120), st.integers()))
def test_any_word_is_a_model_or_an_input_error(word: object) -> None:
    """What comes out fits the ledger's columns, or nothing comes out."""
    with contextlib.suppress(LLMInputError):
        choice = resolve_model(LLMConfig(), PROVIDERS, word)
        assert choice.provider in PROVIDERS
        assert 1 <= len(choice.model) <= 100
        assert choice.model.isascii()

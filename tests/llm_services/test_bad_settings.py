"""What is wrong with the environment is said at start: all of it, by variable, without secrets."""

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.llm_services.config import LLMConfig, create_llm_config_from_env, variables_of
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.public import llm_services_lifespan, open_llm_services, read_image
from modules.llm_services.setting_types import PayloadSettings, VendorSettings
from tests.llm_services.test_config import BAD, SECRET

SOME = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
VENDOR_KEYS = [
    variables_of(name)[1]
    for name in VendorSettings.model_fields
    if name.endswith("_api_key") and "openai" not in name
]
MORE_BAD: list[tuple[str, str]] = [
    *[("LLM_IMAGE_MODEL", value) for value in ("x" * 151,)],
    *[("IMAGE_QUALITY", value) for value in ("ultra", "")],
    *[("LLM_MEDIA_DIR", value) for value in ("", " ", "/no/such/folder", "x" * 5_000)],
    *[("LLM_LEASE_SECONDS", value) for value in ("0", "nan", "3601")],
    *[("LLM_TELEMETRY", value) for value in ("", "on and off")],
    *[("LLM_TELEMETRY_CONTENT", value) for value in ("", "2")],
    *[("LLM_CACHE_TTL", value) for value in ("0", "nan", "x")],
    *[("LLM_CACHE_MAX_MB", value) for value in ("0", "1.5")],
    *[("LLM_CACHE_SCOPE", value) for value in ("", "all")],
    *[("LLM_REDIS_TIMEOUT", value) for value in ("0", "61")],
    *[("LLM_BUDGETS", value) for value in ("5", "{}", "[{}]", '[{"scope": "all"}]', "[")],
    *[("LLM_BUDGET_DEFAULT_OUTPUT_TOKENS", value) for value in ("0", "x")],
    *[("LLM_BUDGET_WHEN_UNKNOWN", value) for value in ("", "ask")],
    ("LLM_HTTP_TRANSPORT", "pigeon"),
    *[("LLM_QUEUE_LIMIT", value) for value in ("-1", "x")],
    *[("LLM_DEFAULT_PROVIDER", value) for value in ("nobody", "openai ")],
    *[("LLM_CIRCUIT_FAILURES", value) for value in ("-1", "1.5")],
    *[("LLM_CIRCUIT_SECONDS", value) for value in ("0", "nan")],
    *[("LLM_REPLY_MAX_MB", value) for value in ("0", "1.5", "10001")],
    ("LLM_PROVIDERS__X__REPLY_MAX_MB", "0"),
    *[("LLM_LIMITS", value) for value in ("5", "[")],
    *[("LLM_SPOOL_DIR", value) for value in ("", " ", "/proc/no", "x" * 5_000)],
    *[("LLM_PRICE_OVERRIDES", value) for value in ("", " ", "/", "x" * 5_000)],
    *[("LLM_MEDIA_BASE_URL", value) for value in ("", "ftp://a", "http://a?b=c")],
    *[("LLM_PAYLOAD_MODE", value) for value in ("", "some")],
    *[("LLM_PAYLOAD_MAX_CHARS", value) for value in ("0", "1e9", "")],
    *[("LLM_PAYLOAD_RETENTION_DAYS", value) for value in ("0", "-1", "x")],
    *[("LLM_ROW_RETENTION_DAYS", value) for value in ("0", "36501")],
    *[("LLM_OPENAI_ADMIN_KEY", value) for value in ("", "sk-a b", "sk-ä")],
    *[(name, value) for name in VENDOR_KEYS for value in (" ", "k a")],
    *[("LLM_ROLE_STRATEGIES", value) for value in ("5", "[")],
    ("LLM_ROLE_STRATEGIES__FAST", "best"),
    ("LLM_PROVIDERS__X-Y", "{}"),
    ("LLM_ROLES__MY-ROLE", "openai:x"),
    ("LLM_ROLES__FAST", ""),
    ("LLM_TENANT_ROLES__ACME__MY-ROLE", "openai:x"),
    ("LLM_TENANT_ROLES", "[1]"),
    *[("AZURE_OPENAI_API_VERSION", value) for value in ("", "2024 10", "x" * 41)],
    *[("LLM_PROVIDERS__X__TOKEN_PROVIDER", value) for value in ("", "entra", "a:b:c")],
]
EVERY_BAD = [*BAD, *MORE_BAD]
_KEYS = (
    "LLM_OPENAI_ADMIN_KEY",
    "OPENAI_API_KEY",
    "LLM_OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "LLM_PROVIDERS__X__API_KEY",
)
_IN_NO_HEADER = st.characters(max_codepoint=0xD7FF, exclude_characters="\x00").filter(
    lambda letter: not "!" <= letter <= "~"
)
_NO_KEYS = [(name, value) for name, value in EVERY_BAD if "_KEY" not in name]
_NOT_TOGETHER = ("LLM_PROVIDERS", "LLM_TENANT_ROLES__")  # one setting of several variables
_VARIABLES = sorted({name for name, _ in EVERY_BAD if not name.startswith(_NOT_TOGETHER)})


def told(patch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> str:
    """Everything that is said about an environment: the error, its traceback and its ``repr``."""
    with patch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        with pytest.raises(LLMConfigurationError) as caught:
            create_llm_config_from_env()
    return f"{caught.value}\n{caught.value!r}\n{''.join(traceback.format_exception(caught.value))}"


def named(said: str) -> set[str]:
    """The variables that an error names."""
    return {fault.partition(": ")[0] for fault in said.partition("\n")[0].split("; ")}


@pytest.mark.parametrize(("variable", "value"), MORE_BAD)
def test_a_bad_value_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Nothing that is set is read as something else: no empty path is the current folder."""
    assert named(told(monkeypatch, {variable: value})) == {variable}


@SOME
@given(data=st.data())
def test_any_number_of_faults_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    """Whatever is wrong together is named together, each variable once."""
    variables = data.draw(st.sets(st.sampled_from(_VARIABLES), min_size=1))
    values = {name: [value for n, value in EVERY_BAD if n == name] for name in variables}
    bad = {name: data.draw(st.sampled_from(values[name])) for name in sorted(variables)}
    assert named(told(monkeypatch, bad)) == variables


@SOME
@given(
    variable=st.sampled_from(_KEYS),
    before=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    odd=_IN_NO_HEADER,
    others=st.sets(st.sampled_from(_NO_KEYS), max_size=3),
)
def test_a_key_is_in_no_error_whatever_is_wrong_with_it(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    before: str,
    odd: str,
    others: set[tuple[str, str]],
) -> None:
    """A key with anything in it that no header takes is named, and never shown."""
    others_ = {name: value for name, value in others if not name.startswith("LLM_PROVIDERS")}
    said = told(monkeypatch, {**others_, variable: f"{before}{odd}{SECRET}"})
    assert variable in named(said)
    assert "SENTINEL" not in said


@SOME
@given(variable=st.sampled_from(_VARIABLES))
def test_a_key_that_is_pasted_into_another_variable_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Who mixes two variables up finds no key in the log of the failed start."""
    value = f"{SECRET} \x1b{'x' * 200}"
    try:
        said = told(monkeypatch, {variable: value})
    except pytest.fail.Exception:
        return  # a name of a model, of a redactor or of a folder may be anything
    assert "SENTINEL" not in said


async def _start() -> str:
    with pytest.raises(LLMConfigurationError) as caught:
        async with llm_services_lifespan():
            pass
    return caught.value.message


async def test_what_only_the_whole_shows_is_told_at_start_with_the_rest(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Roles, providers without an address, price files and redactors are checked before a call."""
    prices = tmp_path / "prices.json"
    prices.write_text('[{"model": "x"}]')
    for name, value in {
        "MAX_RETRIES": "two",
        "LLM_ROLES__FAST": "nobody:x",
        "LLM_ROLES__CHEAP": "two words",
        "LLM_PROVIDERS__LOCAL__API_KEY": SECRET,
        "LLM_PRICE_OVERRIDES": str(prices),
        "LLM_REDACTORS": "no.such:thing",
    }.items():
        monkeypatch.setenv(name, value)
    said = await _start()
    for variable in (
        *("MAX_RETRIES", "LLM_PROVIDERS__LOCAL__BASE_URL", "LLM_ROLES__FAST", "LLM_ROLES__CHEAP"),
        *("LLM_PRICE_OVERRIDES", "LLM_REDACTORS"),
    ):
        assert said.count(variable) == 1, said
    assert "SENTINEL" not in said


async def test_a_role_is_not_blamed_for_a_provider_that_cannot_be_read(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault is told once: the role names a provider that is there, and faulty itself."""
    monkeypatch.setenv("LLM_PROVIDERS__LOCAL__BASE_URL", "ftp://a")
    monkeypatch.setenv("LLM_ROLES__FAST", "local:x")
    monkeypatch.setenv("MAX_TOKENS", "0")
    assert named(await _start()) == {"LLM_PROVIDERS__LOCAL__BASE_URL", "MAX_TOKENS"}


async def test_settings_that_contradict_each_other_are_told_with_the_rest(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web server needs the folder that it shows; that another variable is wrong hides nothing."""
    monkeypatch.setenv("LLM_MEDIA_BASE_URL", "https://media.test")
    monkeypatch.setenv("MAX_TOKENS", "0")
    assert named(await _start()) == {"LLM_MEDIA_BASE_URL", "MAX_TOKENS"}
    monkeypatch.delenv("MAX_TOKENS")
    assert named(await _start()) == {"LLM_MEDIA_BASE_URL"}


async def test_every_door_refuses_a_wrong_configuration(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gets in with half of the settings, and nothing is logged of them."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET} x")
    with caplog.at_level(logging.DEBUG), pytest.raises(LLMConfigurationError):
        async with open_llm_services():
            pass
    with pytest.raises(LLMConfigurationError):
        read_image("data:,")
    assert "SENTINEL" not in caplog.text


def test_every_setting_has_its_wrong_values() -> None:
    """A new setting brings a value that it cannot mean; those of free text have none."""
    free = {"cache_dir", "redactors", "openai_base_url"}
    known = {name.removeprefix("LLM_").partition("__")[0].lower() for name, _ in EVERY_BAD}
    known |= {"model"} if "openai_model" in known else set()
    fields = {*LLMConfig.model_fields, *PayloadSettings.model_fields}
    assert fields - known - free == set()

"""The environment is read once, checked whole, and keeps its secrets."""

import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from docs.generate import settings_table
from modules.llm_services.config import (
    LLMConfig,
    create_llm_config_from_env,
    environment_key,
)
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.setting_types import state_folder

SECRET = "sk-SENTINEL-0123456789abcdef"

LEGACY: list[tuple[str, str, str, object]] = [
    ("OPENAI_API_KEY", "openai_api_key", SECRET, SecretStr(SECRET)),
    ("OPENAI_MODEL", "model", "gpt-4.1", "gpt-4.1"),
    ("OPENAI_BASE_URL", "openai_base_url", "http://localhost:1/v1", "http://localhost:1/v1"),
    ("AZURE_OPENAI_API_KEY", "azure_openai_api_key", SECRET, SecretStr(SECRET)),
    ("AZURE_OPENAI_ENDPOINT", "azure_openai_endpoint", "https://a.test/", "https://a.test"),
    ("TEMPERATURE", "temperature", "0.25", 0.25),
    ("MAX_TOKENS", "max_tokens", "512", 512),
    ("REQUEST_TIMEOUT", "request_timeout", "7.5", 7.5),
    ("MAX_RETRIES", "max_retries", "0", 0),
    ("IMAGE_MODEL", "image_model", "gpt-image-1", "gpt-image-1"),
    ("IMAGE_QUALITY", "image_quality", "hd", "hd"),
    ("ENABLE_WEB_SEARCH", "enable_web_search", "false", False),
    ("WEB_SEARCH_CONTEXT_SIZE", "web_search_context_size", "high", "high"),
    ("LLM_CACHE_ENABLED", "cache_enabled", "1", True),
    ("LLM_CACHE_DIR", "cache_dir", "/var/cache/llm", "/var/cache/llm"),
    ("LOG_LEVEL", "log_level", "WARNING", "WARNING"),
    ("LOG_REQUESTS", "log_requests", "yes", True),
]
BAD: list[tuple[str, str]] = [
    *[("OPENAI_API_KEY", v) for v in ("", "  ", "sk-a b", "sk-a\tb", "sk-ä", "sk-\x7f")],
    *[("AZURE_OPENAI_API_KEY", v) for v in ("", "\n", "a\x1bb")],
    *[("OPENAI_BASE_URL", v) for v in ("", "localhost", "localhost:1/v1", "ftp://a", "//a")],
    *[("OPENAI_BASE_URL", v) for v in ("http://", "http:///v1", "http://[::1", "http://a?b=c")],
    *[("OPENAI_BASE_URL", v) for v in ("http://a/#b", "http://u:p@a", "http://u@a", "sk-abc")],
    ("AZURE_OPENAI_ENDPOINT", "name.openai.azure.com"),
    *[("TEMPERATURE", v) for v in ("nan", "inf", "-1", "2.1", "hot", "")],
    *[("MAX_TOKENS", v) for v in ("0", "-1", "1.5", "abc", "2147483648", "nan")],
    *[("REQUEST_TIMEOUT", v) for v in ("0", "-1", "nan", "inf", "86401", "5s")],
    *[("MAX_RETRIES", v) for v in ("-1", "21", "1000", "two", "1.5")],
    *[("ENABLE_WEB_SEARCH", v) for v in ("maybe", "")],
    *[("WEB_SEARCH_CONTEXT_SIZE", v) for v in ("huge", "")],
    ("LLM_CACHE_ENABLED", "maybe"),
    *[("LLM_CACHE_TTL", v) for v in ("0", "nan", "31536001")],
    *[("LLM_CACHE_MAX_MB", v) for v in ("0", "1.5")],
    ("LLM_CACHE_SCOPE", "world"),
    *[("LLM_REDIS_URL", v) for v in ("", "localhost:6379", "http://a", "redis://")],
    *[("LLM_REDIS_TIMEOUT", v) for v in ("0", "61")],
    *[("LOG_LEVEL", v) for v in ("LOUD", "")],
    ("LOG_REQUESTS", "2"),
    ("OPENAI_MODEL", "x" * 151),
    ("LLM_WRITE_TIMEOUT", "0"),
    ("LLM_WRITE_TIMEOUT", "61"),
    ("LLM_PRICE_OVERRIDES", "/no/such/file.json"),
    ("LLM_PROVIDERS__X__API", "grpc"),
    ("LLM_PROVIDERS__X__BASE_URL", "ftp://a"),
    ("LLM_PROVIDERS__X__API_KEY", " "),
    ("LLM_PROVIDERS__X__APIKEY", "a"),
    ("LLM_PROVIDERS__X", "http://a"),
    ("LLM_PROVIDERS", "[1]"),
]


def configured(patch: pytest.MonkeyPatch, **variables: str) -> LLMConfig:
    """The configuration of these variables."""
    for name, value in variables.items():
        patch.setenv(name, value)
    return create_llm_config_from_env()


def faults(patch: pytest.MonkeyPatch, **variables: str) -> str:
    """What is said about an environment that does not make sense."""
    with pytest.raises(LLMConfigurationError) as caught:
        configured(patch, **variables)
    return caught.value.message


@pytest.mark.parametrize(("variable", "field", "value", "expected"), LEGACY)
def test_a_legacy_variable_keeps_working(
    monkeypatch: pytest.MonkeyPatch, variable: str, field: str, value: str, expected: object
) -> None:
    """Names that earlier installations set are still read."""
    assert getattr(configured(monkeypatch, **{variable: value}), field) == expected


@pytest.mark.parametrize(("_legacy", "field", "value", "expected"), LEGACY)
def test_every_setting_has_a_name_of_ours(
    monkeypatch: pytest.MonkeyPatch, _legacy: str, field: str, value: str, expected: object
) -> None:
    """``LLM_<NAME>`` is read for every setting."""
    config = configured(monkeypatch, **{f"LLM_{field.upper()}": value})
    assert getattr(config, field) == expected


@pytest.mark.parametrize("lower", [False, True])
def test_our_name_goes_before_the_legacy_one(
    monkeypatch: pytest.MonkeyPatch, *, lower: bool
) -> None:
    """Who sets both means the newer one, however it is spelt."""
    name = "llm_max_tokens" if lower else "LLM_MAX_TOKENS"
    assert configured(monkeypatch, MAX_TOKENS="1", **{name: "2"}).max_tokens == 2


def test_an_empty_environment_is_a_good_one() -> None:
    """Nothing has to be set to start; what is missing is asked for when it is needed."""
    config = create_llm_config_from_env()
    assert config.openai_api_key is None
    assert (config.request_timeout, config.max_retries) == (120.0, 2)
    assert (config.providers, config.roles) == ({}, {})


@pytest.mark.parametrize(("variable", "value"), BAD)
def test_a_bad_value_is_reported_by_the_variable_that_was_set(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The error names the variable that the user really set, and says what is wrong."""
    name, _, what = faults(monkeypatch, **{variable: value}).partition(": ")
    assert name == variable
    assert what
    assert ";" not in what


def test_the_error_names_the_variable_that_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both names set, the fault is that of the one that counts."""
    assert faults(monkeypatch, LLM_MAX_TOKENS="x", MAX_TOKENS="5").startswith("LLM_MAX_TOKENS: ")
    monkeypatch.setenv("LLM_MAX_TOKENS", "5")
    assert configured(monkeypatch, MAX_TOKENS="x").max_tokens == 5


def test_all_faults_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody mends an environment one error at a time."""
    said = faults(
        monkeypatch,
        OPENAI_API_KEY=" ",
        LLM_TEMPERATURE="hot",
        MAX_RETRIES="two",
        LLM_PROVIDERS__LOCAL__API="grpc",
    )
    named = [part.partition(": ")[0] for part in said.split("; ")]
    assert named == [
        "OPENAI_API_KEY",
        "LLM_PROVIDERS__LOCAL__API",
        "LLM_TEMPERATURE",
        "MAX_RETRIES",
    ]


@pytest.mark.parametrize("name", ["LLM_PROVIDERS__X-Y__API", "LLM_PROVIDERS__9__API"])
def test_a_provider_needs_a_name_that_can_be_written(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A provider's name is letters, digits and underscores, so that ``provider:model`` is clear."""
    assert "must be letters, digits and _" in faults(monkeypatch, **{name: "chat"})


def test_a_role_needs_a_name_that_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's name is letters, digits and underscores."""
    said = faults(monkeypatch, **{"LLM_ROLES__MY-ROLE": "openai:x"})
    assert "role name 'my-role'" in said


@pytest.mark.parametrize("space", ["\n", " ", "\r\n", "\t"])
def test_a_pasted_key_loses_its_white_space(monkeypatch: pytest.MonkeyPatch, space: str) -> None:
    """A trailing newline would otherwise put the key into the HTTP library's error."""
    config = configured(monkeypatch, OPENAI_API_KEY=f"{space}{SECRET}{space}")
    assert config.openai_api_key is not None
    assert config.openai_api_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("https://api.example.com/v1//", "https://api.example.com/v1"),
        (" http://localhost:8081/v1\n", "http://localhost:8081/v1"),
        ("http://[::1]:8081/v1", "http://[::1]:8081/v1"),
        ("HTTPS://api.example.com", "HTTPS://api.example.com"),
        ("http://127.0.0.1", "http://127.0.0.1"),
    ],
)
def test_an_endpoint_ends_without_a_slash(
    monkeypatch: pytest.MonkeyPatch, given: str, kept: str
) -> None:
    """A path can be appended to every endpoint; a double slash is never sent."""
    assert configured(monkeypatch, OPENAI_BASE_URL=given).openai_base_url == kept


@pytest.mark.parametrize(
    "url",
    ["http://a:99999/v1", "http://a:b/v1", "http://a\nb/v1", "http://a b/v1", "http://a/\x01"],
)
def test_an_endpoint_that_cannot_be_called_is_found_at_start(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Ports, hosts and paths are checked when the configuration is loaded."""
    assert faults(monkeypatch, OPENAI_BASE_URL=url).startswith("OPENAI_BASE_URL: ")


def test_a_key_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number in a mapping that was given as JSON is no key."""
    said = faults(monkeypatch, LLM_PROVIDERS='{"x": {"api_key": 5}}')
    assert said.startswith("LLM_PROVIDERS__X__API_KEY: ")


def test_settings_are_frozen() -> None:
    """Nothing changes the configuration of a running process."""
    with pytest.raises(ValidationError, match="frozen"):
        create_llm_config_from_env().max_tokens = 5  # type: ignore[misc]


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are in no text, no repr and no dump of the settings."""
    config = configured(
        monkeypatch,
        OPENAI_API_KEY=SECRET,
        AZURE_OPENAI_API_KEY=SECRET,
        LLM_PROVIDERS__LOCAL__API_KEY=SECRET,
    )
    provider = config.provider("local")
    shown = [str(config), repr(config), config.model_dump_json(), str(config.model_dump())]
    shown += [str(provider), repr(provider), provider.model_dump_json(), f"{config!r:>1}"]
    assert not [text for text in shown if "SENTINEL" in text]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENAI_API_KEY", f"{SECRET} x"),
        ("LLM_OPENAI_API_KEY", f"{SECRET}\x1b"),
        ("AZURE_OPENAI_API_KEY", f"ä{SECRET}"),
        ("LLM_PROVIDERS__LOCAL__API_KEY", f"{SECRET} x"),
        ("LLM_PROVIDERS__LOCAL__APIKEY", SECRET),
        ("LLM_PROVIDERS__LOCAL", SECRET),
        ("LLM_PROVIDERS", f'{{"local": {{"api_key": "{SECRET} x"}}}}'),
        ("OPENAI_BASE_URL", f"https://user:{SECRET}@api.example.com"),
        ("MAX_TOKENS", SECRET),
        pytest.param("LLM_PROVIDERS", f'{{"local": {{"api_key": "{SECRET}"', id="cut-json"),
    ],
)
def test_a_secret_is_in_no_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Neither the error nor the traceback that a log would hold quotes a secret."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(LLMConfigurationError) as caught:
        create_llm_config_from_env()
    told = "".join(traceback.format_exception(caught.value))
    assert variable in caught.value.message
    assert "SENTINEL" not in told + str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("variable", ["LLM_PROVIDERS", "LLM_ROLES"])
def test_a_mapping_that_is_no_json_is_a_fault_like_any_other(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A whole mapping may be given as JSON; what is no JSON is reported by its variable."""
    assert faults(monkeypatch, **{variable: "fast=openai:x"}).startswith(f"{variable}: ")


def test_mappings_may_be_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """``LLM_ROLES`` and ``LLM_PROVIDERS`` take the whole mapping, too."""
    config = configured(
        monkeypatch,
        LLM_ROLES='{"cheap": "local:x"}',
        LLM_PROVIDERS='{"local": {"base_url": "http://localhost:1/"}}',
    )
    assert config.roles == {"cheap": "local:x"}
    assert config.provider("local").base_url == "http://localhost:1"


def test_a_log_level_may_be_written_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """``LOG_LEVEL`` belongs to the whole process, where ``info`` is a usual spelling."""
    assert configured(monkeypatch, LOG_LEVEL="info").log_level == "INFO"


def test_a_provider_is_configured_by_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """``LLM_PROVIDERS__<NAME>__*`` describes any provider, in any case."""
    config = configured(
        monkeypatch,
        LLM_PROVIDERS__LOCAL__API_KEY=SECRET,
        LLM_PROVIDERS__LOCAL__BASE_URL="http://localhost:1/v1",
        LLM_PROVIDERS__LOCAL__API="responses",
    )
    local = config.provider("local")
    assert local.api_key == SecretStr(SECRET)
    assert (local.base_url, local.api) == ("http://localhost:1/v1", "responses")


def test_an_unknown_provider_has_no_settings() -> None:
    """Nothing is made up for a provider that is not configured."""
    nobody = LLMConfig().provider("nobody")
    assert (nobody.api_key, nobody.base_url, nobody.api) == (None, None, None)


def test_new_provider_variables_go_before_legacy_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``LLM_PROVIDERS__OPENAI__*`` leaves open is filled from the legacy variables."""
    config = configured(
        monkeypatch,
        OPENAI_API_KEY="sk-old",
        OPENAI_BASE_URL="http://old",
        LLM_PROVIDERS__OPENAI__BASE_URL="http://new",
    )
    settings = config.provider("openai")
    assert settings.api_key == SecretStr("sk-old")
    assert settings.base_url == "http://new"
    assert configured(monkeypatch, LLM_PROVIDERS__OPENAI__API_KEY="sk-new").provider(
        "openai"
    ).api_key == SecretStr("sk-new")


@pytest.mark.parametrize(
    ("endpoint", "base_url"),
    [
        ("https://n.openai.azure.com", "https://n.openai.azure.com/openai/v1"),
        ("https://n.openai.azure.com/", "https://n.openai.azure.com/openai/v1"),
        ("https://n.openai.azure.com/openai/v1/", "https://n.openai.azure.com/openai/v1"),
    ],
)
def test_an_azure_endpoint_is_completed_to_its_v1_api(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, base_url: str
) -> None:
    """The resource's address is enough; the full one works, too."""
    config = configured(
        monkeypatch, AZURE_OPENAI_ENDPOINT=endpoint, AZURE_OPENAI_API_KEY="0123456789"
    )
    azure = config.provider("azure_openai")
    assert azure.base_url == base_url
    assert azure.api_key == SecretStr("0123456789")


def test_a_price_file_has_to_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of prices that is there is taken."""
    file = tmp_path / "prices.json"
    file.write_text("[]")
    assert configured(monkeypatch, LLM_PRICE_OVERRIDES=str(file)).price_overrides == file


def test_foreign_variables_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other variables neither break the settings nor tell two environments apart."""
    before = environment_key()
    assert configured(monkeypatch, PATH_TO="x", LLAMA="y") == LLMConfig()
    assert environment_key() == before


@pytest.mark.parametrize(
    "variable",
    [
        *(legacy for legacy, *_ in LEGACY),
        "LLM_ROLES__FAST",
        "LLM_PROVIDERS__X__API_KEY",
        "LLM_WRITE_TIMEOUT",
        pytest.param("llm_max_tokens", id="lower-case"),
        pytest.param("max_tokens", id="legacy-lower-case"),
    ],
)
def test_every_variable_that_is_read_tells_environments_apart(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Equal keys mean equal settings: a variable that is read is part of the key."""
    unset = environment_key()
    monkeypatch.setenv(variable, "1")
    one = environment_key()
    monkeypatch.setenv(variable, "2")
    assert len({unset, one, environment_key()}) == 3


def _rows() -> Iterator[list[str]]:
    for line in settings_table().splitlines():
        assert line.startswith(("| ", "|-"))
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_settings_is_complete() -> None:
    """Each setting has one row with its variable, its legacy name, its default and a meaning."""
    head, _, *rows = _rows()
    assert head == ["variable", "also read", "default", "meaning"]
    assert {len(row) for row in rows} == {4}
    assert len(rows) == len(LLMConfig.model_fields)
    assert all(meaning for *_, meaning in rows)
    table = {row[0]: row for row in rows}
    assert table["`LLM_REQUEST_TIMEOUT`"][1:3] == ["`REQUEST_TIMEOUT`", "`120.0`"]
    assert table["`LLM_CACHE_ENABLED`"][1:3] == ["", "`False`"]
    assert table["`LLM_OPENAI_API_KEY`"][1:3] == ["`OPENAI_API_KEY`", ""]
    assert table["`LLM_PROVIDERS__…`"][1:3] == ["", ""]


def test_the_table_of_settings_names_every_legacy_variable() -> None:
    """Who reads the documentation finds the old names, too."""
    table = settings_table()
    assert not [name for name, *_ in LEGACY if f"`{name}`" not in table]


def test_a_default_is_a_good_value() -> None:
    """Every default passes its own check."""
    defaults: dict[str, Any] = LLMConfig().model_dump()
    assert LLMConfig.model_validate(defaults) == LLMConfig()


def test_the_spools_folder_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It need not exist, nobody else can read it, and one that cannot be made is named."""
    base = configured(monkeypatch, LLM_SPOOL_DIR=str(tmp_path / "a" / "b")).spool_base()
    assert base == tmp_path / "a" / "b"
    assert base.stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    with pytest.raises(LLMConfigurationError, match="LLM_SPOOL_DIR: cannot be made"):
        configured(monkeypatch, LLM_SPOOL_DIR=str(tmp_path / "file" / "b"))


def test_the_spools_folder_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the user's; without a home a temporary one, which is said; or none, if that is
    somebody else's.
    """
    monkeypatch.delenv("LLM_SPOOL_DIR")
    state_folder.cache_clear()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert create_llm_config_from_env().spool_base() == tmp_path / "state/llm_services/spool"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert create_llm_config_from_env().spool_base() == tmp_path / ".local/state/llm_services/spool"
    assert caplog.text == ""
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = state_folder(str(tmp_path / "file"))
    assert ours is not None
    assert ours.name == f"llm_services-{os.getuid()}"
    assert "LLM_SPOOL_DIR is not set" in caplog.text
    monkeypatch.setattr(os, "getuid", lambda: -7)
    assert state_folder(str(tmp_path / "file" / "x")) is None
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert state_folder(str(tmp_path / "file" / "y")) is None
    state_folder.cache_clear()

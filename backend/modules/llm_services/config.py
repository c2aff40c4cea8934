"""The module's settings, and the only place that reads the environment.

Every setting has an ``LLM_`` name; names that earlier installations used keep working beside it.
All faults are reported at once, by variable, and never with a secret's value.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .exceptions import LLMConfigurationError
from .setting_types import (
    ApiKey,
    BaseUrl,
    BudgetSettings,
    CacheSettings,
    GateSettings,
    LeaseSettings,
    LogLevel,
    OwnFolder,
    PayloadSettings,
    Providers,
    ProviderSettings,
    ReadableFile,
    RoutingSettings,
    TelemetrySettings,
    TenantRoles,
    TransportSettings,
    VendorSettings,
    WritableFolder,
    also_named,
    state_folder,
)
from .types.images import ImageQuality


class LLMConfig(
    RoutingSettings,
    VendorSettings,
    TransportSettings,
    GateSettings,
    PayloadSettings,
    TelemetrySettings,
    LeaseSettings,
    CacheSettings,
    BudgetSettings,
    BaseSettings,
):
    """All settings, frozen. Build it with `create_llm_config_from_env`."""

    model_config = SettingsConfigDict(
        env_prefix="LLM_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        validate_by_name=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    openai_admin_key: ApiKey | None = Field(
        None, description="OpenAI's admin key, for `reconcile` alone: it sees the costs."
    )
    providers: Providers = Field(
        default_factory=dict,
        description="Any provider: `LLM_PROVIDERS__<NAME>__{API_KEY,BASE_URL,API}`; "
        "`API` is `responses` or `chat`. In place of a key `TOKEN_PROVIDER`: `azure` (Entra, extra "
        "`azure`) or `package.module:function`; `API_VERSION` is for Azure's classic deployments.",
    )
    tenant_roles: TenantRoles = Field(
        default_factory=dict,
        description="What a role stands for in a tenant's calls: "
        "`LLM_TENANT_ROLES__<TENANT>__<ROLE>=provider:model`; as JSON, names keep their case.",
    )
    model: str | None = also_named(
        "MODEL",
        None,
        "Model (or role, or `provider:model`) of calls that name none; the role `fast` by default.",
        other="OPENAI_MODEL",
        max_length=150,
    )
    temperature: float | None = also_named(
        "TEMPERATURE",
        None,
        "Sent when a call gives none; unset, the model's own default holds.",
        ge=0,
        le=2,
    )
    max_tokens: int | None = also_named(
        "MAX_TOKENS",
        None,
        "Cap on visible plus reasoning tokens of calls that give none; unset, no cap is sent.",
        ge=1,
        lt=2**31,
    )
    request_timeout: float = also_named(
        "REQUEST_TIMEOUT",
        120.0,
        "Deadline of a whole call in seconds: queueing, attempts and waits together.",
        gt=0,
        le=86_400,
    )
    max_retries: int = also_named(
        "MAX_RETRIES",
        2,
        "HTTP requests after the first, retries and re-asks together.",
        ge=0,
        le=20,
    )
    write_timeout: float = Field(
        2.0,
        description="How long in seconds a call waits for its row, database and spool together.",
        gt=0,
        le=60,
    )
    spool_dir: OwnFolder | None = Field(
        None,
        description="Folder where rows wait while the database is away; `llm_services/spool` in "
        "`$XDG_STATE_HOME` (or `~/.local/state`) when unset.",
    )
    price_overrides: ReadableFile | None = Field(
        None, description="JSON file of prices that go before the bundled ones."
    )
    image_model: str | None = also_named(
        "IMAGE_MODEL",
        None,
        "What the role `image` stands for, unless `LLM_ROLES__IMAGE` says it.",
        max_length=150,
    )
    image_quality: ImageQuality | None = also_named(
        "IMAGE_QUALITY",
        None,
        "What the quality `standard` stands for; unset, the model's `medium`.",
    )
    media_dir: WritableFolder | None = Field(
        None, description="Folder where images are kept; unset, they come as `data:` URLs."
    )
    media_base_url: BaseUrl | None = Field(
        None,
        description="Where a web server shows `LLM_MEDIA_DIR`; unset, images have `file:` URLs.",
    )
    enable_web_search: bool = also_named(
        "ENABLE_WEB_SEARCH",
        default=True,
        description="May calls search the web; searches cost money besides their tokens.",
    )
    web_search_context_size: Literal["low", "medium", "high"] = also_named(
        "WEB_SEARCH_CONTEXT_SIZE",
        "medium",
        "How much of the pages found the model reads: `low`, `medium` or `high`.",
    )
    log_level: LogLevel | None = also_named(
        "LOG_LEVEL", None, "Level of the logger `modules.llm_services`."
    )
    log_requests: bool = also_named(
        "LOG_REQUESTS", default=False, description="One log line per call, without content."
    )

    def provider(self, name: str) -> ProviderSettings:
        """Settings of a provider, its legacy variables filled in where the new ones are silent."""
        given = self.usual(name, self.providers.get(name, ProviderSettings()))
        return given.model_copy(
            update={
                "reply_max_mb": given.reply_max_mb or self.reply_max_mb,
                "http_transport": given.http_transport or self.http_transport,
            }
        )

    def for_tenant(self, tenant: str | None) -> "LLMConfig":
        """The settings as they are for a tenant's calls: its own roles go before everybody's."""
        own = self.tenant_roles.get(tenant or "") or self.tenant_roles.get((tenant or "").lower())
        return self.model_copy(update={"roles": {**self.roles, **own}}) if own else self

    def spool_base(self) -> Path | None:
        """The folder of the spools of all databases, made when it is not there."""
        return self.spool_dir or state_folder(os.environ.get("XDG_STATE_HOME"))

    def variable(self, setting: str) -> str:
        """The variable that a setting was read from, for errors that are found later."""
        return _variable(variables_of(setting)[:1])

    @model_validator(mode="after")
    def _check_media(self) -> "LLMConfig":
        if self.media_base_url is not None and self.media_dir is None:
            raise ValueError("LLM_MEDIA_BASE_URL: needs LLM_MEDIA_DIR, the folder that it shows")
        return self


def create_llm_config_from_env(
    others: Callable[[LLMConfig], Iterable[str]] = lambda _config: (),
) -> LLMConfig:
    """The settings of the environment.

    ``others`` finds faults in settings that are each good. Raises `LLMConfigurationError` that
    lists every fault with its variable and no secret.
    """
    config, faults, names_are_known = _read({})
    faults += others(config) if config and names_are_known else ()
    if config is None or faults:
        raise LLMConfigurationError("; ".join(dict.fromkeys(faults))) from None
    return config


def _read(repaired: Mapping[str, Any]) -> tuple[LLMConfig | None, list[str], bool]:
    """The settings, defaults in place of those that are faulty; the faults; and whether all
    providers are among the settings.
    """
    try:
        return LLMConfig(**repaired), [], "providers" not in repaired
    except ValidationError as error:
        entries = error.errors(include_input=False, include_url=False)
    faults = [_fault(entry) for entry in entries]
    names = {str(entry["loc"][0]) for entry in entries if entry["loc"]}
    if repaired or not names:
        return None, faults, False
    config, more, names_are_known = _read({name: _default(name) for name in names})
    return config, faults + more, names_are_known


def _default(name: str) -> Any:
    fields = LLMConfig.model_fields
    setting = next(s for s in fields if name == s or name in variables_of(s))
    return fields[setting].get_default(call_default_factory=True)


def unknown_variables() -> list[tuple[str, str | None]]:
    """Variables that begin with ``LLM_`` and are no setting, each with the one that was meant."""
    known = {name.upper() for setting in LLMConfig.model_fields for name in variables_of(setting)}
    named = {name.upper(): name.upper().partition("__")[0] for name in os.environ}
    return [
        (name, next(iter(get_close_matches(first, known, 1)), None))
        for name, first in sorted(named.items())
        if name.startswith("LLM_") and first not in known
    ]


def environment_key() -> tuple[tuple[str, str], ...]:
    """What the settings depend on: equal keys mean equal settings."""
    return tuple(
        sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.upper().startswith("LLM_") or name.upper() in _LEGACY_NAMES
        )
    )


def _fault(entry: Any) -> str:
    names = takewhile(lambda part: isinstance(part, str), entry["loc"])  # 0 is a place in a list
    location = [name[:80] for name in names if name != "[key]"]
    message = str(entry["msg"]).removeprefix("Value error, ")
    return f"{_variable(location)}: {message}" if location else message


def _variable(location: list[str]) -> str:
    """The variable that the user set, of the several names that a setting may have."""
    if location[0] in LLMConfig.model_fields:
        return "__".join(["LLM_" + location[0].upper(), *(part.upper() for part in location[1:])])
    names = next(n for n in map(variables_of, LLMConfig.model_fields) if location[0] in n)
    return next((name for name in names if name in os.environ), location[0])


def variables_of(setting: str) -> list[str]:
    """The variables that a setting is read from, ours first."""
    alias = LLMConfig.model_fields[setting].validation_alias
    legacy = alias.choices if isinstance(alias, AliasChoices) else []
    return list(dict.fromkeys([f"LLM_{setting.upper()}", *map(str, legacy)]))


_LEGACY_NAMES = tuple(
    name
    for setting in LLMConfig.model_fields
    for name in variables_of(setting)
    if not name.startswith("LLM_")
)

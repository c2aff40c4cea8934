"""What the text of a setting may be, cleaned and checked: keys, URLs, mappings, levels."""

import json
import logging
import os
import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)
from pydantic_settings import NoDecode

from .types import CacheScope, PayloadMode

logger = logging.getLogger(__name__)

ApiFormat = Literal["responses", "chat"]
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_IN_A_KEY = re.compile(r"[^\x21-\x7e]")


def _clean_key(value: object) -> object:
    """A key pasted with a trailing newline works; one with anything else inside is refused here,
    because the HTTP library would quote it, whole, in its error.
    """
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        return value
    text = text.strip()
    if not text:
        raise ValueError("is empty: set a key or unset the variable")
    if _NOT_IN_A_KEY.search(text):
        raise ValueError("holds a space, a control character or a letter outside ASCII")
    return text


def _clean_url(value: str) -> str:
    if _NOT_IN_A_URL.search(value.strip()):
        raise ValueError("holds a space, a backslash or a control character")
    parts = urlsplit(value.strip())
    _ = parts.port  # raises what is wrong with it
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL such as https://api.example.com/v1")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password: use the API key's variable")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or a fragment")
    return value.strip().rstrip("/")


def _writable_folder(value: Path) -> Path:
    """A folder that takes a file now: permissions alone do not say whether it will."""
    if not value.is_dir():
        raise ValueError("is not a folder that exists")
    try:
        with tempfile.TemporaryFile(dir=value):
            return value.resolve()
    except OSError as error:
        raise ValueError(f"takes no files: {error.strerror}") from None


def _made_folder(value: Path) -> Path:
    """A folder of ours, made when it is not there; what we make is nobody else's to read."""
    try:
        value.expanduser().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot be made: {error.strerror}") from None
    return _writable_folder(value.expanduser())


@lru_cache
def state_folder(state_home: str | None) -> Path | None:
    """Where rows wait by default: the user's folder for what programs keep, else a temporary one;
    ``None`` when neither can be had, which is said once.

    ``state_home`` is ``XDG_STATE_HOME`` (XDG Base Directory Specification 0.8); relative ones are
    ignored, as it says.
    """
    try:
        given = Path(state_home or "")
        home = given if given.is_absolute() else Path.home() / ".local" / "state"
        return _made_folder(home / "llm_services" / "spool")
    except (ValueError, RuntimeError) as error:  # RuntimeError: the user has no home
        folder = _temporary_folder()
        logger.warning("LLM_SPOOL_DIR is not set; rows may wait in %s (%s)", folder, error)
        return folder


def _temporary_folder() -> Path | None:
    """Ours in the folder that everybody shares, unless somebody else has made it."""
    try:
        folder = _made_folder(Path(tempfile.gettempdir()) / f"llm_services-{os.getuid()}")
    except ValueError:
        return None
    return folder if folder.stat().st_uid == os.getuid() else None


def _redis_url(value: SecretStr) -> SecretStr:
    """A secret, for it may hold a password: no error quotes it."""
    scheme, _, rest = value.get_secret_value().strip().partition("://")
    if scheme not in {"redis", "rediss", "unix"} or not rest:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return SecretStr(f"{scheme}://{rest}")


def _mapping(value: object) -> object:
    """A mapping may also be given as one JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be JSON, or use one variable for each entry") from None


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


ApiKey = Annotated[SecretStr, BeforeValidator(_clean_key)]
BaseUrl = Annotated[str, AfterValidator(_clean_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
WritableFolder = Annotated[Path, AfterValidator(_writable_folder)]
OwnFolder = Annotated[Path, AfterValidator(_made_folder)]


class ProviderSettings(BaseModel):
    """Where a provider is reached. ``api`` says which of OpenAI's formats it speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: ApiKey | None = None
    base_url: BaseUrl | None = None
    api: ApiFormat | None = None


class LimitSettings(BaseModel):
    """What may be sent to a model: requests at once, requests and tokens in a minute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int | None = Field(None, ge=1)
    rpm: int | None = Field(None, ge=1)
    tpm: int | None = Field(None, ge=1)


Limits: TypeAlias = Annotated[dict[str, LimitSettings], NoDecode, BeforeValidator(_mapping)]
Providers: TypeAlias = Annotated[dict[str, ProviderSettings], NoDecode, BeforeValidator(_mapping)]
Roles: TypeAlias = Annotated[
    dict[str, Annotated[str, Field(min_length=1)]], NoDecode, BeforeValidator(_mapping)
]
LogLevel: TypeAlias = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]


class PayloadSettings(BaseModel):
    """What is kept of prompts and answers, and for how long."""

    payload_mode: PayloadMode = Field(
        "full",
        validation_alias=AliasChoices("LLM_PAYLOAD_MODE"),
        description="What the ledger keeps of prompts and answers: `full`, `redacted` or `none`; a "
        "call may ask for less, never for more.",
    )
    payload_max_chars: int = Field(
        65_536,
        validation_alias=AliasChoices("LLM_PAYLOAD_MAX_CHARS"),
        description="Characters that are kept of one text (a message, an answer); the rest is cut.",
        ge=1_000,
        le=10_000_000,
    )
    redactors: str = Field(
        "",
        validation_alias=AliasChoices("LLM_REDACTORS"),
        description="Redactors of your own, `package.module:function` with commas between them; "
        "they run after the built-in ones.",
    )
    payload_retention_days: int | None = Field(
        None,
        validation_alias=AliasChoices("LLM_PAYLOAD_RETENTION_DAYS"),
        description="Age at which `purge` removes prompts and answers; unset, never.",
        ge=1,
        le=36_500,
    )
    row_retention_days: int | None = Field(
        None,
        validation_alias=AliasChoices("LLM_ROW_RETENTION_DAYS"),
        description="Age at which `purge` deletes rows; unset, never. Daily sums stay.",
        ge=1,
        le=36_500,
    )


class LeaseSettings(BaseModel):
    """When a process that says nothing is taken to be gone."""

    lease_seconds: float = Field(
        20.0,
        validation_alias=AliasChoices("LLM_LEASE_SECONDS"),
        description="After so long without a sign of life a process's open rows are settled as "
        "interrupted; the same in all processes of a database.",
        ge=1,
        le=3_600,
    )


class CacheSettings(BaseModel):
    """Which answers may be given again, and where they are kept."""

    cache_enabled: bool = Field(
        default=False,
        validation_alias=AliasChoices("LLM_CACHE_ENABLED"),
        description="Whether calls that do not say `cache=` may be answered from the cache. Off: "
        "the same question may be meant to get another answer.",
    )
    cache_dir: str | None = Field(
        None,
        validation_alias=AliasChoices("LLM_CACHE_DIR"),
        description="Folder of the cache (on a local disk), for processes of one machine and "
        "over restarts; unset, it is in each process's memory.",
    )
    cache_ttl: float = Field(
        86_400,
        validation_alias=AliasChoices("LLM_CACHE_TTL"),
        description="Seconds for which an answer may be given again. A day: kept longer, it "
        "outlives the model that gave it unnoticed.",
        gt=0,
        le=31_536_000,
    )
    cache_max_mb: int = Field(
        64,
        validation_alias=AliasChoices("LLM_CACHE_MAX_MB"),
        description="Megabytes of memory (in each process) or of disk; some 20,000 answers. Redis "
        "is bounded by its own `maxmemory`.",
        ge=1,
        le=1_048_576,
    )
    cache_scope: CacheScope = Field(
        "tenant",
        validation_alias=AliasChoices("LLM_CACHE_SCOPE"),
        description="Who shares answers: one `tenant` (a user where there is none), one `user`, or "
        "all (`shared`). A prompt may hold what others must not see.",
    )
    redis_url: RedisUrl | None = Field(
        None,
        validation_alias=AliasChoices("LLM_REDIS_URL"),
        description="Redis for what processes share: limits, and the cache, which is there rather "
        "than in `LLM_CACHE_DIR`. Needs the extra `redis`.",
    )
    redis_timeout: float = Field(
        0.1,
        validation_alias=AliasChoices("LLM_REDIS_TIMEOUT"),
        description="Seconds that a call waits for Redis before it goes on without: far less than "
        "an answer takes.",
        gt=0,
        le=60,
    )


class GateSettings(BaseModel):
    """What may be sent to a model at once and in a minute, and what happens when it is down."""

    limits: Limits = Field(
        default_factory=dict,
        description="What may be sent to a model, as JSON: `provider:model` (with `*` and `?`) or "
        "`provider` to `concurrency` (requests at once), `rpm` and `tpm` (requests and tokens a "
        "minute). Without, only what answers tell is kept: a guess would slow down everybody.",
    )
    queue_limit: int = Field(
        1_000,
        validation_alias=AliasChoices("LLM_QUEUE_LIMIT"),
        description="Requests that may wait for a model; the end of a longer line is served late.",
        ge=0,
    )
    circuit_failures: int = Field(
        10,
        validation_alias=AliasChoices("LLM_CIRCUIT_FAILURES"),
        description="Requests to a model that fail in a row (no connection, no answer, 5xx) until "
        "nothing is sent to it; a call makes three by default, so that it takes several. 0: never.",
        ge=0,
    )
    circuit_seconds: float = Field(
        10.0,
        validation_alias=AliasChoices("LLM_CIRCUIT_SECONDS"),
        description="Seconds until one request tries a model that is down: enough for a restart.",
        gt=0,
        le=3_600,
    )

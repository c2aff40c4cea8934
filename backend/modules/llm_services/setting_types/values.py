"""What the text of a setting may be, cleaned and checked: keys, URLs, mappings, levels."""

import json
import logging
import os
import re
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
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

from modules.llm_services.types import Strategy

logger = logging.getLogger(__name__)

REPLY_MB, MOST_REPLY_MB = 64, 10_000
ApiFormat = Literal["responses", "chat"]
HttpTransport = Literal["auto", "aiohttp", "httpx2"]
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NOT_IN_A_KEY = re.compile(r"[^\x21-\x7e]")


def also_named(
    name: str, default: Any, description: str, other: str | None = None, **bounds: Any
) -> Any:
    """A setting read from ``LLM_<NAME>`` or, as users and vendors name it, from ``<NAME>`` (or
    ``other``).
    """
    aliases = AliasChoices(f"LLM_{name}", other or name)
    return Field(default, validation_alias=aliases, description=description, **bounds)


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


def _not_blank(value: object) -> object:
    """A variable that is set to nothing was hardly meant: for a path it would be the folder in
    which the process happens to run.
    """
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty: set it or unset the variable")
    return value


def _readable_file(value: Path) -> Path:
    try:
        with value.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ValueError(f"is not a file that can be read: {error.strerror}") from None
    return value


def _writable_folder(value: Path) -> Path:
    """A folder that takes a file now: permissions alone do not say whether it will."""
    try:
        if not value.is_dir():
            raise ValueError("is not a folder that exists")
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


def _name_of(kind: str) -> Callable[[str], str]:
    def check(name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{kind} name {name[:60]!r} must be letters, digits and _")
        return name

    return check


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


ApiKey = Annotated[SecretStr, BeforeValidator(_clean_key)]
BaseUrl = Annotated[str, AfterValidator(_clean_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
WritableFolder = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_writable_folder)]
ReadableFile = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_readable_file)]
OwnFolder = Annotated[Path, BeforeValidator(_not_blank), AfterValidator(_made_folder)]


class ProviderSettings(BaseModel):
    """Where a provider is reached. ``api`` says which of OpenAI's formats it speaks,
    ``reply_max_mb`` how large an answer may be; unset, what holds for all. With an ``api_version``
    Azure's classic deployments are asked. A ``token_provider`` gives tokens in place of a key:
    ``azure`` for Entra's default credential, or ``package.module:function``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: ApiKey | None = None
    base_url: BaseUrl | None = None
    api: ApiFormat | None = None
    http_transport: HttpTransport | None = None
    reply_max_mb: int | None = Field(None, ge=1, le=MOST_REPLY_MB)
    api_version: str | None = Field(None, pattern=r"^[\w.-]{1,40}$")
    token_provider: str | None = Field(None, pattern=r"^(azure|[\w.]+:\w+)$")

    @property
    def reply_limit(self) -> int:
        """Bytes of an answer, unpacked, that are read at most."""
        return (self.reply_max_mb or REPLY_MB) * 1_000_000


class LimitSettings(BaseModel):
    """What may be sent to a model: requests at once, requests and tokens in a minute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int | None = Field(None, ge=1)
    rpm: int | None = Field(None, ge=1)
    tpm: int | None = Field(None, ge=1)


Limits: TypeAlias = Annotated[dict[str, LimitSettings], NoDecode, BeforeValidator(_mapping)]
Providers: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_name_of("provider"))], ProviderSettings],
    NoDecode,
    BeforeValidator(_mapping),
]
Roles: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_name_of("role"))], Annotated[str, Field(min_length=1)]],
    NoDecode,
    BeforeValidator(_mapping),
]
TenantRoles: TypeAlias = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Roles],
    NoDecode,
    BeforeValidator(_mapping),
]
Strategies: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_name_of("role"))], Strategy],
    NoDecode,
    BeforeValidator(_mapping),
]
LogLevel: TypeAlias = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]

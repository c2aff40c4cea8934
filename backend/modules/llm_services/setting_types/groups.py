"""Settings that belong together; the configuration is made of them."""

from pydantic import (
    BaseModel,
    Field,
)

from modules.llm_services.types import CacheScope, PayloadMode

from .values import MOST_REPLY_MB, REPLY_MB, HttpTransport, Limits, RedisUrl, Roles, Strategies


class PayloadSettings(BaseModel):
    """What is kept of prompts and answers, and for how long."""

    payload_mode: PayloadMode = Field(
        "full",
        description="What the ledger keeps of prompts and answers: `full`, `redacted` or `none`; a "
        "call may ask for less, never for more.",
    )
    payload_max_chars: int = Field(
        65_536,
        description="Characters that are kept of one text (a message, an answer); the rest is cut.",
        ge=1_000,
        le=10_000_000,
    )
    redactors: str = Field(
        "",
        description="Redactors of your own, `package.module:function` with commas between them; "
        "they run after the built-in ones.",
    )
    payload_retention_days: int | None = Field(
        None,
        description="Age at which `purge` removes prompts and answers; unset, never.",
        ge=1,
        le=36_500,
    )
    row_retention_days: int | None = Field(
        None,
        description="Age at which `purge` deletes rows; unset, never. Daily sums stay.",
        ge=1,
        le=36_500,
    )


class TelemetrySettings(BaseModel):
    """What OpenTelemetry is told, when the program has set up an SDK."""

    telemetry: bool = Field(
        default=True,
        description="Spans and metrics of calls, for programs that have set up an OpenTelemetry "
        "SDK; the others pay nothing for it.",
    )
    telemetry_content: bool = Field(
        default=False,
        description="Whether spans have prompts and answers, as far as the ledger keeps them "
        "(`LLM_PAYLOAD_MODE`).",
    )


class RoutingSettings(BaseModel):
    """What roles stand for, and which of a role's models is asked first."""

    roles: Roles = Field(
        default_factory=dict,
        description="What a role stands for: `LLM_ROLES__<ROLE>=provider:model`, or several with "
        "commas between them, perhaps with weights: `openai:gpt-6-luna@3,azure_openai:luna@1`. The "
        "others are asked in turn when the first does not answer.",
    )
    role_strategies: Strategies = Field(
        default_factory=dict,
        description="How a role with several models comes to the first: "
        "`LLM_ROLE_STRATEGIES__<ROLE>` is `ordered`, `weighted`, `cheapest` or `fastest`; "
        "`weighted` when one of them has a weight, else `ordered`.",
    )


class LeaseSettings(BaseModel):
    """When a process that says nothing is taken to be gone."""

    lease_seconds: float = Field(
        20.0,
        description="After so long without a sign of life a process's open rows are settled as "
        "interrupted; the same in all processes of a database.",
        ge=1,
        le=3_600,
    )


class CacheSettings(BaseModel):
    """Which answers may be given again, and where they are kept."""

    cache_enabled: bool = Field(
        default=False,
        description="Whether calls that do not say `cache=` may be answered from the cache. Off: "
        "the same question may be meant to get another answer.",
    )
    cache_dir: str | None = Field(
        None,
        description="Folder of the cache (on a local disk), for processes of one machine and "
        "over restarts; unset, it is in each process's memory.",
    )
    cache_ttl: float = Field(
        86_400,
        description="Seconds for which an answer may be given again. A day: kept longer, it "
        "outlives the model that gave it unnoticed.",
        gt=0,
        le=31_536_000,
    )
    cache_max_mb: int = Field(
        64,
        description="Megabytes of memory (in each process) or of disk; some 20,000 answers. Redis "
        "is bounded by its own `maxmemory`.",
        ge=1,
        le=1_048_576,
    )
    cache_scope: CacheScope = Field(
        "tenant",
        description="Who shares answers: one `tenant` (a user where there is none), one `user`, or "
        "all (`shared`). A prompt may hold what others must not see.",
    )
    redis_url: RedisUrl | None = Field(
        None,
        description="Redis for what processes share: limits, and the cache, which is there rather "
        "than in `LLM_CACHE_DIR`. Needs the extra `redis`.",
    )
    redis_timeout: float = Field(
        0.1,
        description="Seconds that a call waits for Redis before it goes on without: far less than "
        "an answer takes.",
        gt=0,
        le=60,
    )


class TransportSettings(BaseModel):
    """By which library requests are sent."""

    http_transport: HttpTransport = Field(
        "auto",
        description="What sends the requests of OpenAI's formats: `aiohttp` (the extra `fast`: a "
        "third of the processor time), `httpx2` (the SDK's own), or `auto`: aiohttp where it is "
        "installed and no proxy is in the way.",
    )


class GateSettings(BaseModel):
    """What may be sent to a model at once and in a minute, what happens when it is down, and how
    much it may answer.
    """

    limits: Limits = Field(
        default_factory=dict,
        description="What may be sent to a model, as JSON: `provider:model` (with `*` and `?`) or "
        "`provider` to `concurrency` (requests at once), `rpm` and `tpm` (requests and tokens a "
        "minute). Without, only what answers tell is kept: a guess would slow down everybody.",
    )
    queue_limit: int = Field(
        1_000,
        description="Requests that may wait for a model; the end of a longer line is served late.",
        ge=0,
    )
    circuit_failures: int = Field(
        10,
        description="Requests to a model that fail in a row (no connection, no answer, 5xx) until "
        "nothing is sent to it; a call makes three by default, so that it takes several. 0: never.",
        ge=0,
    )
    circuit_seconds: float = Field(
        10.0,
        description="Seconds until one request tries a model that is down: enough for a restart.",
        gt=0,
        le=3_600,
    )
    reply_max_mb: int = Field(
        REPLY_MB,
        description="Megabytes of an answer, as it unpacks; more is refused while it comes, for a "
        "process has one memory. `LLM_PROVIDERS__<NAME>__REPLY_MAX_MB` goes before it. Files of "
        "batches are read line by line and have no limit.",
        ge=1,
        le=MOST_REPLY_MB,
    )

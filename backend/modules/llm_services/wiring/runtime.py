"""Everything that calls share, built once: the only file that knows every concrete class."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from modules.llm_services.batches import BatchRoad
from modules.llm_services.breaker import Breaker, Circuit
from modules.llm_services.cache import CacheStore, DiskStore, MemoryStore, RedisStore
from modules.llm_services.executor import Executor, Pause
from modules.llm_services.gate import Gate
from modules.llm_services.idempotency import Once
from modules.llm_services.limits import configured_limits
from modules.llm_services.loops import running_loop
from modules.llm_services.media import MediaStore
from modules.llm_services.pricing import PriceList, load_overrides
from modules.llm_services.pricing import warm as warm_prices
from modules.llm_services.providers.base import Heard, LLMProvider, ReadsCosts
from modules.llm_services.providers.factory import (
    create_costs_reader,
    create_llm_provider,
    provider_names,
)
from modules.llm_services.recording import (
    BatchLedger,
    Books,
    Caretaker,
    DailyUsageJob,
    GuardedOpening,
    KeyLedger,
    LedgerRetention,
    LedgerStatus,
    LedgerWriter,
    LoggedRequests,
    Pulse,
    Recorder,
    configured_budgets,
    configured_policy,
    ledger_engine,
    spool_of,
)
from modules.llm_services.remembering import Remembering
from modules.llm_services.repo import refresh_daily_usage
from modules.llm_services.roles import ModelChoice, resolve_model
from modules.llm_services.routing import Router
from modules.llm_services.telemetry import Telemetry

if TYPE_CHECKING:
    from modules.llm_services.config import LLMConfig

_Adapters = dict[str, "asyncio.Task[LLMProvider]"]
MakeAdapter: TypeAlias = "Callable[[LLMConfig, str, Heard], LLMProvider]"
_LEAVING = 2.0  # seconds that calls have to end in when nobody uses their runtime any more


class Runtime:
    """Everything that calls share: settings, prices, the road, the ledger's writer, clients."""

    def __init__(
        self,
        config: LLMConfig,
        engine: Engine,
        *,  # the testing kit brings its own
        make_adapter: MakeAdapter = create_llm_provider,
        prices: PriceList | None = None,
        pause: Pause = asyncio.sleep,
        gate: Gate | None = None,
    ) -> None:
        self.config = config
        self._make_adapter = make_adapter
        self.providers = provider_names(config)
        overrides = load_overrides(config.price_overrides) if config.price_overrides else ()
        self.prices = prices or PriceList(overrides)
        self.media = MediaStore(config.media_dir, config.media_base_url)
        ledger = self._ledger = ledger_engine(engine, config.write_timeout)
        spool = spool_of(config.spool_base(), engine.url)
        leases = partial(ledger_engine, engine, config.write_timeout)
        self._caretaker = Caretaker(leases, config.lease_seconds)
        self._writer = LedgerWriter(
            ledger, spool, patience=config.write_timeout, caretaker=self._caretaker
        )
        self._guarded = GuardedOpening(ledger, self._caretaker)
        policy = configured_policy(config, self.providers)
        self.budgets = configured_budgets(config, self.prices)
        telemetry = _telemetry(config, self.providers)
        recorder = Recorder(
            self._writer,
            patience=config.write_timeout,
            policy=policy,
            guarded=self._guarded,
            budgets=self.budgets,
            log_calls=config.log_requests,
            telemetry=telemetry,
        )
        self.remembering = Remembering(_store(config), _endpoints(config, self.providers))
        breaker = Breaker(config.circuit_failures, config.circuit_seconds)
        self.gate = gate or Gate(breaker, configured_limits(config))
        self.router = Router(self.prices)
        self.executor = Executor(recorder, self.prices, self.remembering, self.gate, pause)
        self.once = Once(KeyLedger(ledger))
        rows = BatchLedger(
            ledger,
            self._writer,
            policy=policy,
            log_calls=config.log_requests,
            telemetry=telemetry,
        )
        self.logged = LoggedRequests(ledger)
        self.retention = LedgerRetention(ledger, refresh_daily_usage)
        self._under_way = (recorder.under_way, rows.under_way)
        self.batches = BatchRoad(self.executor, rows, self.prices)
        self.daily_usage = DailyUsageJob(ledger)
        self.pulse, self.spools = Pulse(ledger, config.write_timeout), spool.folder is not None
        # Prices of its own: rows that are priced again are no calls without a price.
        self.books = Books(ledger, PriceList(overrides), self.daily_usage.refresh)
        self._adapters: WeakKeyDictionary[asyncio.AbstractEventLoop, _Adapters] = (
            WeakKeyDictionary()
        )
        self._users: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
        self.warned: set[str] = set()  # calling places that hold a transaction during a call

    async def provider(self, name: str) -> LLMProvider:
        """The adapter of a provider for the running loop, made on first use.

        Loading a vendor's SDK and its certificates takes seconds: that happens in a worker
        thread, once, while the loop goes on.
        """
        adapters = self._adapters.setdefault(running_loop(), {})
        making = adapters.get(name)
        if making is None:
            making = adapters[name] = asyncio.create_task(self._make(name))
        if not making.done():
            await asyncio.wait((making,))  # unlike awaiting it, leaves it to the others if we go
        if making.exception() is not None:
            adapters.pop(name, None)
        return making.result()

    def choose(self, word: object = None, tenant: str | None = None) -> ModelChoice:
        """See `resolve_model`: of a role's several models the one that is asked first."""
        return resolve_model(
            self.config.for_tenant(tenant), self.providers, word, self.router.order
        )

    async def costs_reader(self) -> ReadsCosts:
        """Reads what OpenAI bills; to be closed by whoever asks. Raises `LLMConfigurationError`."""
        return await asyncio.to_thread(create_costs_reader, self.config)

    async def _make(self, name: str) -> LLMProvider:
        await asyncio.to_thread(warm_prices)
        return await asyncio.to_thread(self._make_adapter, self.config, name, self.gate.limits.hear)

    def circuits(self) -> tuple[Circuit, ...]:
        """The models that have failed lately, and whether anything is sent to them."""
        return self.gate.circuits()

    async def ledger_status(self) -> LedgerStatus:
        """How the ledger is doing."""
        return await asyncio.to_thread(self._writer.status)

    async def drain(self, patience: float) -> int:
        """Bring what waits in the spool to the database; how many rows still do after
        ``patience`` seconds.
        """
        ends = time.monotonic() + patience
        while (left := (await self.ledger_status()).spooled) and time.monotonic() < ends:
            self._writer.begin(wake=True)
            await asyncio.sleep(_LEAVING / 40)
        return left

    def enter(self) -> None:
        """Somebody on the running loop uses this runtime until `leave`."""
        loop = running_loop()
        self._users[loop] = self._users.get(loop, 0) + 1
        self._writer.begin()
        self._caretaker.hold()

    def leave(self) -> None:
        """The counterpart of `enter`."""
        loop = running_loop()
        self._users[loop] -= 1
        if not self._users[loop]:
            del self._users[loop]

    @property
    def in_use(self) -> bool:
        """Whether anybody, on any loop, has entered and not left."""
        return bool(self._users)

    async def close_clients(self) -> bool:
        """Close the running loop's clients unless somebody there uses them; whether it had any.

        Calls that are just being cancelled get a moment to say so: a server that is told to end
        dies right after its lifespan.
        """
        loop = running_loop()
        if loop in self._users:
            return False
        await self.remembering.store.aclose()
        if loop not in self._adapters:
            return False
        await self._until_idle()
        for making in self._adapters.pop(loop).values():
            await asyncio.wait((making,))
            if making.exception() is None:
                await making.result().aclose()
        await self.gate.limits.aclose()
        return True

    async def _until_idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING):
                while any(self._under_way):  # noqa: ASYNC110 - on other loops, too
                    await asyncio.sleep(_LEAVING / 200)

    async def close_ledger(self) -> None:
        """Write what the ledger still waits for, and stop its thread."""
        await asyncio.to_thread(self.shut_ledger)

    def shut_ledger(self) -> None:
        """The same for whoever may block."""
        self._guarded.close()
        self._writer.close()
        self._ledger.dispose()  # jobs use it without the writer
        self.remembering.store.close()


def _telemetry(config: LLMConfig, providers: Iterable[str]) -> Telemetry:
    urls = {name: config.provider(name).base_url for name in providers}
    return Telemetry(
        enabled=config.telemetry,
        content=config.telemetry_content,
        endpoints={name: url for name, url in urls.items() if url},
    )


def _store(config: LLMConfig) -> CacheStore:
    """Where answers are kept: as widely shared as the settings allow."""
    if config.redis_url is not None:
        return RedisStore(config.redis_url.get_secret_value(), patience=config.redis_timeout)
    max_bytes = config.cache_max_mb * 1024 * 1024
    return (
        DiskStore(Path(config.cache_dir), max_bytes) if config.cache_dir else MemoryStore(max_bytes)
    )


def _endpoints(config: LLMConfig, providers: Iterable[str]) -> dict[str, str]:
    settings = {name: config.provider(name) for name in providers}
    return {name: f"{one.api or ''} {one.base_url or ''}" for name, one in settings.items()}

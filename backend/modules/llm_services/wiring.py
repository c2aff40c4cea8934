"""Builds the process-wide parts once and closes them: the only file that knows them all.

One `Runtime` serves one database under one configuration. It is found again by the engine of a
session and by the settings in the environment, so that an application that overrides
``get_session`` takes its ledger along, and two applications in one process do not mix.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from .batches import BatchRoad
from .breaker import Breaker, Circuit
from .cache import CacheStore, DiskStore, MemoryStore, RedisStore
from .executor import Executor, Pause
from .gate import Gate
from .limits import configured_limits
from .media import MediaStore
from .pricing import PriceList, load_overrides
from .pricing import warm as warm_prices
from .providers.base import Heard, LLMProvider, ReadsCosts
from .providers.factory import create_costs_reader, create_llm_provider, provider_names
from .recording import (
    BatchLedger,
    Books,
    Caretaker,
    DailyUsageJob,
    LedgerRetention,
    LedgerWriter,
    PayloadPolicy,
    Recorder,
    ledger_engine,
    spool_of,
)
from .redaction import load_redactors
from .remembering import Remembering
from .repo import refresh_daily_usage
from .roles import check_roles

if TYPE_CHECKING:
    from .config import LLMConfig

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
    ) -> None:
        self.config = config
        self._make_adapter = make_adapter
        self.providers = provider_names(config)
        check_roles(config, self.providers)
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
        policy = _policy(config, self.providers)
        recorder = Recorder(
            self._writer,
            patience=config.write_timeout,
            policy=policy,
            log_calls=config.log_requests,
        )
        self.remembering = Remembering(_store(config), _endpoints(config, self.providers))
        breaker = Breaker(config.circuit_failures, config.circuit_seconds)
        self.gate = Gate(breaker, configured_limits(config))
        self.executor = Executor(recorder, self.prices, self.remembering, self.gate, pause)
        rows = BatchLedger(ledger, self._writer, patience=config.write_timeout, policy=policy)
        self.retention = LedgerRetention(ledger, refresh_daily_usage)
        self._under_way = (recorder.under_way, rows.under_way)
        self.batches = BatchRoad(self.executor, rows, self.prices)
        self.daily_usage = DailyUsageJob(ledger)
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
        adapters = self._adapters.setdefault(asyncio.get_running_loop(), {})
        making = adapters.get(name)
        if making is None:
            making = adapters[name] = asyncio.create_task(self._make(name))
        if not making.done():
            await asyncio.wait((making,))  # unlike awaiting it, leaves it to the others if we go
        if making.exception() is not None:
            adapters.pop(name, None)
        return making.result()

    async def costs_reader(self) -> ReadsCosts:
        """Reads what OpenAI bills; to be closed by whoever asks. Raises `LLMConfigurationError`."""
        return await asyncio.to_thread(create_costs_reader, self.config)

    async def _make(self, name: str) -> LLMProvider:
        await asyncio.to_thread(warm_prices)
        return await asyncio.to_thread(self._make_adapter, self.config, name, self.gate.limits.hear)

    def circuits(self) -> tuple[Circuit, ...]:
        """The models that have failed lately, and whether anything is sent to them."""
        return self.gate.circuits()

    def enter(self) -> None:
        """Somebody on the running loop uses this runtime until `leave`."""
        loop = asyncio.get_running_loop()
        self._users[loop] = self._users.get(loop, 0) + 1
        self._writer.begin()
        self._caretaker.hold()

    def leave(self) -> None:
        """The counterpart of `enter`."""
        loop = asyncio.get_running_loop()
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
        loop = asyncio.get_running_loop()
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
        self._writer.close()
        self._ledger.dispose()  # jobs use it without the writer
        self.remembering.store.close()


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


def _policy(config: LLMConfig, providers: Iterable[str]) -> PayloadPolicy:
    keys = [config.provider(name).api_key for name in providers]
    return PayloadPolicy(
        mode=config.payload_mode,
        max_chars=config.payload_max_chars,
        redactors=load_redactors(config.redactors),
        keys=tuple({key.get_secret_value() for key in keys if key is not None}),
    )


_engines: WeakSet[Engine] = WeakSet()
_RUNTIMES = "_llm_services_runtimes"
_inherited: list[dict[object, Runtime]] = []


def _runtimes(engine: Engine) -> dict[object, Runtime]:
    """The engine's runtimes by settings, kept on the engine itself.

    The ledger's connections are made by the engine's own means and so refer to it: a table from
    engines to runtimes would keep every engine alive, also those of tests long past.
    """
    _engines.add(engine)
    found: dict[object, Runtime] = vars(engine).setdefault(_RUNTIMES, {})
    return found


def runtime_for(session: Session) -> Runtime:
    """The runtime of the session's database under the current settings."""
    return runtime_of(session.get_bind().engine)


def runtime_of(engine: Engine) -> Runtime:
    """The runtime of a database under the current settings, made when there is none."""
    from .config import environment_key  # loads pydantic-settings, which importing need not pay for

    known = _runtimes(engine)
    key = environment_key()
    if key not in known:
        known[key] = Runtime(_configured(), engine)
    return known[key]


def _configured() -> LLMConfig:
    from .config import create_llm_config_from_env

    config = create_llm_config_from_env()
    if config.log_level is not None:
        logging.getLogger(__package__).setLevel(config.log_level)
    return config


def media_store() -> MediaStore:
    """Where pictures are kept under the current settings; no database takes part in that."""
    config = _configured()
    return MediaStore(config.media_dir, config.media_base_url)


def hold(engine: Engine) -> Runtime:
    """Use a runtime until `release`."""
    runtime = runtime_of(engine)
    runtime.enter()
    return runtime


@asynccontextmanager
async def held(engine: Engine) -> AsyncIterator[Runtime]:
    """Use a runtime inside the context."""
    runtime = hold(engine)
    try:
        yield runtime
    finally:
        await release(runtime)


async def release(runtime: Runtime) -> None:
    """Stop using a runtime. What nobody on this loop uses any more is closed: this one, and those
    that requests brought to life for other databases.
    """
    runtime.leave()
    known = [other for engine in list(_engines) for other in _runtimes(engine).values()]
    for other in {runtime, *known}:  # ours may have been dropped by another loop's last user
        had_clients = await other.close_clients()
        if (other is runtime or had_clients) and not other.in_use:
            _drop(other)
            await other.close_ledger()


def _drop(runtime: Runtime) -> None:
    for engine in list(_engines):
        kept = {key: other for key, other in _runtimes(engine).items() if other is not runtime}
        vars(engine)[_RUNTIMES] = kept


def _forget_after_fork() -> None:
    """A child shares its parent's sockets and has none of its threads: it starts afresh, and
    keeps the parent's objects so that nothing closes the parent's connections.
    """
    _inherited.extend(vars(engine).pop(_RUNTIMES, {}) for engine in list(_engines))


getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_forget_after_fork)

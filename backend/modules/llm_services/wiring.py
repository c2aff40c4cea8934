"""Builds the process-wide parts once and closes them: the only file that knows them all.

One `Runtime` serves one database under one configuration. It is found again by the engine of a
session and by the settings in the environment, so that an application that overrides
``get_session`` takes its ledger along, and two applications in one process do not mix.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from .executor import Executor
from .pricing import PriceList, load_overrides
from .pricing import warm as warm_prices
from .providers.base import LLMProvider
from .providers.factory import create_llm_provider, provider_names
from .recording import LedgerWriter, Recorder, ledger_engine
from .roles import check_roles

if TYPE_CHECKING:
    from .config import LLMConfig

_Adapters = dict[str, "asyncio.Task[LLMProvider]"]


class Runtime:
    """Everything that calls share: settings, prices, the road, the ledger's writer, clients."""

    def __init__(self, config: LLMConfig, engine: Engine) -> None:
        self.config = config
        self.providers = provider_names(config)
        check_roles(config, self.providers)
        overrides = load_overrides(config.price_overrides) if config.price_overrides else ()
        self.prices = PriceList(overrides)
        self._writer = LedgerWriter(ledger_engine(engine, config.write_timeout))
        recorder = Recorder(
            self._writer, patience=config.write_timeout, log_calls=config.log_requests
        )
        self.executor = Executor(recorder, self.prices)
        self._adapters: WeakKeyDictionary[asyncio.AbstractEventLoop, _Adapters] = (
            WeakKeyDictionary()
        )
        self.users = 0
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

    async def _make(self, name: str) -> LLMProvider:
        await asyncio.to_thread(warm_prices)
        return await asyncio.to_thread(create_llm_provider, self.config, name)

    async def aclose(self) -> None:
        """Close this loop's clients, write what the ledger still waits for, stop its thread."""
        adapters = self._adapters.pop(asyncio.get_running_loop(), {})
        for making in adapters.values():
            await asyncio.wait((making,))
            if making.exception() is None:
                await making.result().aclose()
        await asyncio.to_thread(self._writer.close)

    def stop(self) -> None:
        """Tell the ledger's thread to finish, without waiting: its database is gone."""
        self._writer.stop()


_runtimes: WeakKeyDictionary[Engine, dict[object, Runtime]] = WeakKeyDictionary()
_inherited: list[object] = []


def runtime_for(session: Session) -> Runtime:
    """The runtime of the session's database under the current settings."""
    return runtime_of(session.get_bind().engine)


def runtime_of(engine: Engine) -> Runtime:
    """The runtime of a database under the current settings, made when there is none."""
    from .config import environment_key  # loads pydantic-settings, which importing need not pay for

    known = _runtimes.setdefault(engine, {})
    key = environment_key()
    if key not in known:
        known[key] = runtime = Runtime(_configured(), engine)
        weakref.finalize(engine, runtime.stop).atexit = False  # the writer drains itself then
    return known[key]


def _configured() -> LLMConfig:
    from .config import create_llm_config_from_env

    config = create_llm_config_from_env()
    if config.log_level is not None:
        logging.getLogger(__package__).setLevel(config.log_level)
    return config


def hold(engine: Engine) -> Runtime:
    """Use a runtime until `release`."""
    runtime = runtime_of(engine)
    runtime.users += 1
    return runtime


async def release(runtime: Runtime) -> None:
    """Stop using a runtime; the last user closes it."""
    runtime.users -= 1
    if runtime.users > 0:
        return
    for known in list(_runtimes.values()):
        for key, other in list(known.items()):
            if other is runtime:
                del known[key]
    await runtime.aclose()


def _forget_after_fork() -> None:
    """A child shares its parent's sockets and has none of its threads: it starts afresh, and
    keeps the parent's objects so that nothing closes the parent's connections.
    """
    _inherited.append(dict(_runtimes))
    _runtimes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

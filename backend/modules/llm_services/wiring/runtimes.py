"""Runtimes are found again, held while they are used, and closed after their last user.

One runtime serves one database under one configuration. It is found by the engine of a session and
by the settings in the environment, so that an application that overrides ``get_session`` takes its
ledger along, and two applications in one process do not mix.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from weakref import WeakSet

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from modules.llm_services.config import environment_key
from modules.llm_services.forks import fork_safe_lock
from modules.llm_services.media import MediaStore

from .retiring import warn_about_retiring
from .runtime import Runtime
from .startup import configured

_engines: WeakSet[Engine] = WeakSet()
_RUNTIMES = "_llm_services_runtimes"
_MAKING = fork_safe_lock()
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
    key = environment_key()
    return _runtimes(engine).get(key) or _made(engine, key)


def _made(engine: Engine, key: object) -> Runtime:
    """A runtime for all who ask in the same moment: FastAPI asks in many threads at once, and two
    of them would keep each limit twice.
    """
    with _MAKING:
        known = _runtimes(engine)
        if key not in known:
            known[key] = runtime = Runtime(configured(), engine)
            warn_about_retiring(runtime.config, runtime.providers, datetime.now(UTC).date())
        return known[key]


def media_store() -> MediaStore:
    """Where pictures are kept under the current settings; no database takes part in that."""
    config = configured()
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
    with _MAKING:
        for engine in list(_engines):
            kept = {key: other for key, other in _runtimes(engine).items() if other is not runtime}
            vars(engine)[_RUNTIMES] = kept


def _forget_after_fork() -> None:
    """A child shares its parent's sockets and has none of its threads: it starts afresh, and
    keeps the parent's objects so that nothing closes the parent's connections.
    """
    _inherited.extend(vars(engine).pop(_RUNTIMES, {}) for engine in list(_engines))


getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_forget_after_fork)

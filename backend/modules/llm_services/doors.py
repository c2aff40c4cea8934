"""The ways into the module: FastAPI's dependencies, and context managers for everything else.

Importing them is cheap: what lies behind is loaded by whoever first goes in, in a thread that may
wait for it. Plain dependencies have one anyway: FastAPI calls them in its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from fastapi import Depends
from sqlalchemy.orm import Session

from modules.shared.db import get_engine, get_session, session_factory

from .forks import fork_safe_lock
from .loops import running_loop
from .protocols import LLMServicesAdminProvider, LLMServicesProvider
from .types import LLMMessageDTO, LLMRequestDTO, LLMResponseDTO
from .types.images import GeneratedImage

if TYPE_CHECKING:
    from .wiring import Runtime

_loading = fork_safe_lock()


def llm_services_provider(session: Session = Depends(get_session)) -> LLMServicesProvider:
    """FastAPI's way in: ``llm: LLMServicesProvider = Depends(llm_services_provider)``.

    The session serves the reads. The ledger is written to the same database through connections
    of its own: it survives your rollback, and your work is never committed by us. Commit before
    you await a model, or your session holds its connection all the while.
    """
    _load()
    from .repo import LLMRequestRepo
    from .service import LLMService

    return LLMService(LLMRequestRepo(session))


def llm_services_admin_provider(
    session: Session = Depends(get_session),
) -> LLMServicesAdminProvider:
    """FastAPI's way in for operators. It reads everybody's rows: the route must be protected by a
    dependency of yours.
    """
    _load()
    from .repo import LLMRequestRepo
    from .service import LLMAdminService

    return LLMAdminService(LLMRequestRepo(session))


@asynccontextmanager
async def open_llm_services() -> AsyncIterator[LLMServicesProvider]:
    """The same outside FastAPI, for workers and scripts, on the database of ``DATABASE_URL``."""
    async with _held() as runtime:
        from .repo import LLMRequestRepo
        from .service import LLMService

        with session_factory()() as session:
            yield LLMService(LLMRequestRepo(session), runtime=runtime, owns_session=True)


@asynccontextmanager
async def open_llm_services_admin() -> AsyncIterator[LLMServicesAdminProvider]:
    """The operators' door outside FastAPI, on the database of ``DATABASE_URL``."""
    async with _held() as runtime:
        from .repo import LLMRequestRepo
        from .service import LLMAdminService

        with session_factory()() as session:
            yield LLMAdminService(LLMRequestRepo(session), runtime=runtime, owns_session=True)


@asynccontextmanager
async def llm_services_lifespan() -> AsyncIterator[None]:
    """For an application's lifespan: a wrong configuration fails at start, not at the first call,
    and what the ledger still has to write is written before the process ends.
    """
    async with _held():
        yield


@asynccontextmanager
async def _held() -> AsyncIterator["Runtime"]:
    """The runtime of ``DATABASE_URL`` while it is used."""
    running_loop()
    await asyncio.to_thread(_load)
    from .wiring import held

    async with held(get_engine()) as runtime:
        yield runtime


@cache
def _load() -> None:
    """Everything that a call goes through, the DTOs that all calls use, and the settings: reading
    them takes 70 ms for the first time. Raises `LLMConfigurationError`.
    """
    with _loading:
        from . import service  # noqa: F401 - loaded here so that it need not be on the loop
        from .wiring import configured

        configured()
        for dto in (LLMMessageDTO, LLMResponseDTO, LLMRequestDTO):
            dto.model_rebuild()


def read_image(url: str) -> GeneratedImage:
    """The bytes and the media type of a picture by the URL that `GeneratesImages` gave out.

    Reads ``data:`` URLs, files inside ``LLM_MEDIA_DIR``, and URLs below ``LLM_MEDIA_BASE_URL`` (as
    the files that they stand for). Nothing is fetched from the network: the URL of a provider is
    yours to fetch. Blocks while a file is read.

    Raises:
        LLMInputError: any other URL, or something there that is no PNG, JPEG, WebP or GIF.
        LLMConfigurationError: the settings of the media folder do not make sense.

    """
    from .wiring import media_store

    return media_store().read(url)

"""The ways into the module: FastAPI's dependencies, and context managers for everything else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends
from sqlalchemy.orm import Session

from modules.shared.db import get_engine, get_session, session_factory

from .protocols import LLMServicesAdminProvider, LLMServicesProvider
from .repo import LLMRequestRepo
from .service import LLMAdminService, LLMService
from .types.images import GeneratedImage
from .wiring import held, media_store


def llm_services_provider(session: Session = Depends(get_session)) -> LLMServicesProvider:
    """FastAPI's way in: ``llm: LLMServicesProvider = Depends(llm_services_provider)``.

    The session serves the reads. The ledger is written to the same database through connections
    of its own: it survives your rollback, and your work is never committed by us. Commit before
    you await a model, or your session holds its connection all the while.
    """
    return LLMService(LLMRequestRepo(session))


def llm_services_admin_provider(
    session: Session = Depends(get_session),
) -> LLMServicesAdminProvider:
    """FastAPI's way in for operators. It reads everybody's rows: the route must be protected by a
    dependency of yours.
    """
    return LLMAdminService(LLMRequestRepo(session))


@asynccontextmanager
async def open_llm_services() -> AsyncIterator[LLMServicesProvider]:
    """The same outside FastAPI, for workers and scripts, on the database of ``DATABASE_URL``."""
    async with held(get_engine()) as runtime:
        with session_factory()() as session:
            yield LLMService(LLMRequestRepo(session), runtime=runtime, owns_session=True)


@asynccontextmanager
async def open_llm_services_admin() -> AsyncIterator[LLMServicesAdminProvider]:
    """The operators' door outside FastAPI, on the database of ``DATABASE_URL``."""
    async with held(get_engine()) as runtime:
        with session_factory()() as session:
            yield LLMAdminService(LLMRequestRepo(session), runtime=runtime, owns_session=True)


@asynccontextmanager
async def llm_services_lifespan() -> AsyncIterator[None]:
    """For an application's lifespan: a wrong configuration fails at start, not at the first call,
    and what the ledger still has to write is written before the process ends.
    """
    async with held(get_engine()):
        yield


def read_image(url: str) -> GeneratedImage:
    """The bytes and the media type of a picture by the URL that `GeneratesImages` gave out.

    Reads ``data:`` URLs, files inside ``LLM_MEDIA_DIR``, and URLs below ``LLM_MEDIA_BASE_URL`` (as
    the files that they stand for). Nothing is fetched from the network: the URL of a provider is
    yours to fetch. Blocks while a file is read.

    Raises:
        LLMInputError: any other URL, or something there that is no PNG, JPEG, WebP or GIF.
        LLMConfigurationError: the settings of the media folder do not make sense.

    """
    return media_store().read(url)

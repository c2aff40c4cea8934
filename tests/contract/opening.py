"""The module for all tests of a file, on a database of its own, in an environment of theirs."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modules.llm_services.public import LLMServicesProvider, open_llm_services
from modules.shared.db import engine_for


@asynccontextmanager
async def opened_in(
    folder: Path, migrated: Path, variables: Mapping[str, str]
) -> AsyncIterator[LLMServicesProvider]:
    """The module on a copy of a migrated SQLite file, with these variables set meanwhile."""
    shutil.copyfile(migrated, folder / "backend.db")
    url = f"sqlite:///{folder / 'backend.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("LLM_SPOOL_DIR", str(folder / "spool"))
        patch.setenv("LLM_WRITE_TIMEOUT", "20")
        for name, value in variables.items():
            patch.setenv(name, value)
        async with open_llm_services() as opened:
            yield opened
    engine_for(url).dispose()
    engine_for.cache_clear()

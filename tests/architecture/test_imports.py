"""What importing the module costs: nothing that a process without a model call has to pay."""

import subprocess
import sys
from functools import cache

import pytest
from pydantic import BaseModel

from modules.llm_services import public
from modules.llm_services.public import LLMMessageDTO
from modules.llm_services.types.frozen import Frozen
from tests.architecture.sources import BACKEND

HEAVY = frozenset(
    (
        *("openai", "instructor", "genai_prices", "tiktoken", "bpe_openai", "httpx", "httpx2"),
        *("aiohttp", "requests", "tenacity", "psycopg", "jiter", "alembic", "uvicorn"),
        *("pydantic_settings", "dotenv", "typer", "rich", "anthropic", "google", "jinja2"),
        *("sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "sqlite3"),
    )
)
ROOMS = {
    *("public", "doors", "problems", "web", "attribution", "forks", "loops", "thresholds"),
    *("exceptions", "protocols", "types"),
}
"""What siblings see, and no room of the road that a call takes."""
MOST_MODULES = 70
"""What `public` may load beyond `BASE`, of ours and of others': 64, and a few new DTOs. Each costs
some 0.6 ms."""
BASE = "import sys, fastapi, pydantic, sqlalchemy.orm; base = set(sys.modules); "

# Tells which thread loads each module of the road.
_WATCH = """
import sys, threading

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("modules.", "pydantic_settings")):
            print(name, threading.current_thread().name)

"""
_OPENED = """
import asyncio
from modules.llm_services.public import LLMResponseDTO, open_llm_services

async def use():
    async with open_llm_services():
        assert LLMResponseDTO.__pydantic_complete__

sys.meta_path.insert(0, Watch())
asyncio.run(use())
"""
_DEPENDENCY = """
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from modules.llm_services.public import GeneratesText, llm_services_provider

app = FastAPI()

@app.get("/")
async def ask(llm: GeneratesText = Depends(llm_services_provider)) -> None:
    pass

sys.meta_path.insert(0, Watch())
TestClient(app).get("/").raise_for_status()
"""
_WORKERS = ("asyncio_", "AnyIO worker")


def printed_by(code: str) -> list[str]:
    """The lines that a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=BACKEND,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@cache
def loaded_by(module: str) -> frozenset[str]:
    """What importing a module's front door loads beyond `BASE`."""
    code = f"{BASE}import modules.{module}.public; print(*set(sys.modules) - base, sep='\\n')"
    return frozenset(printed_by(code))


@pytest.mark.parametrize("module", ["llm_services", "content_creation", "llm_usage"])
def test_the_front_door_is_light(module: str) -> None:
    """Importing ``public`` loads no SDK, no price list, no tokenizer and no database driver."""
    loaded = loaded_by(module)
    assert f"modules.{module}.public" in loaded
    assert HEAVY & loaded == set()


def test_the_front_door_loads_what_siblings_see() -> None:
    """The road of a call is loaded by the first call, not by whoever imports a DTO."""
    loaded = loaded_by("llm_services")
    ours = [name for name in loaded if name.startswith("modules.llm_services.")]
    assert {name.split(".")[2] for name in ours} == ROOMS
    assert len(loaded) <= MOST_MODULES


def test_validators_wait_until_they_are_used() -> None:
    """No DTO builds its validator when it is imported: most programs use a few of them."""
    shown = (getattr(public, name) for name in public.__all__)
    dtos = [one for one in shown if isinstance(one, type) and issubclass(one, BaseModel)]
    assert LLMMessageDTO in dtos
    assert [dto for dto in dtos if not issubclass(dto, Frozen)] == []
    assert Frozen.model_config == {"frozen": True, "defer_build": True}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("first_use", [_OPENED, _DEPENDENCY])
def test_the_road_is_loaded_off_the_loop(first_use: str, database_url: str) -> None:
    """Whoever goes in first has all of it loaded in a worker thread, the settings included."""
    where = dict(line.split(" ", 1) for line in printed_by(_WATCH + first_use))
    assert {"modules.llm_services.executor", "pydantic_settings"} <= where.keys()
    assert {name: one for name, one in where.items() if not one.startswith(_WORKERS)} == {}

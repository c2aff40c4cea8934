"""What importing the module costs: nothing that a process without a model call has to pay."""

import subprocess
import sys

import pytest

from tests.architecture.sources import BACKEND

HEAVY = frozenset(
    (
        *("openai", "instructor", "genai_prices", "tiktoken", "bpe_openai", "httpx", "httpx2"),
        *("aiohttp", "requests", "tenacity", "psycopg", "jiter", "alembic", "uvicorn"),
        *("pydantic_settings", "dotenv", "typer", "rich", "anthropic", "google", "jinja2"),
    )
)


@pytest.mark.parametrize("module", ["llm_services", "content_creation", "llm_usage"])
def test_the_front_door_is_light(module: str) -> None:
    """Importing ``public`` loads no SDK, no price list, no tokenizer and no database driver."""
    code = f"import sys, modules.{module}.public; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=BACKEND,
        check=True,
        capture_output=True,
        text=True,
    )
    assert HEAVY & set(done.stdout.split()) == set()

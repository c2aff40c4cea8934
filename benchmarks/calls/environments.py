"""A Python of its own for every peer: at its newest, whatever our pins are."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".bench"

PEERS: Mapping[str, str] = {
    "sdk_aiohttp": "openai[aiohttp]==3.3.0",
    "litellm": "litellm==1.106.2",
    "pydantic_ai": "pydantic-ai-slim[openai]==2.68.0",
    "langchain": "langchain-openai==1.7.3",
    "anyllm": "any-llm-sdk[openai]==1.40.2",
    "chart": "matplotlib>=3.9,<4",
}
"""What is installed for a peer; all other clients run in the project's own environment."""


def python_of(client: str) -> str:
    """The interpreter that a client runs in, made on first use."""
    requirement = PEERS.get(client)
    if requirement is None:
        return sys.executable
    python = FOLDER / client / "bin" / "python"
    ready = FOLDER / client / ".ready"
    if not (ready.exists() and ready.read_text() == requirement):
        print(f"setting up {client} (once) ...", file=sys.stderr)
        _run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER / client))
        _run("uv", "pip", "install", "--quiet", "--python", str(python), requirement)
        ready.write_text(requirement)
    return str(python)


def _run(*command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], check=True)

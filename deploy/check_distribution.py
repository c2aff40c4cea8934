"""Installs the built wheel in empty environments, and uses it: ``make dist-check``.

Without extras, with each of them and with all, for every Python that is named (``--python 3.12``,
again and again). Needs ``uv`` and a package index; what is installed is thrown away.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_FOR_USERS = frozenset({"dev", "docs"})
SMOKE = """
import asyncio, os, pathlib, sys
from importlib.metadata import version
from alembic.config import main as alembic
from sqlalchemy import create_engine, inspect

os.environ["DATABASE_URL"] = f"sqlite:///{pathlib.Path(sys.argv[1]) / 'backend.db'}"
from modules.llm_services.cli.migrations import upgrade
upgrade("alembic_version")
alembic(["-c", sys.argv[2], "upgrade", "head"])
engine = create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    assert inspect(connection).has_table("llm_requests")
engine.dispose()

import modules.llm_services.public as public
from llm_services_deploy import app as backend
assert public.__file__.startswith(sys.prefix) and backend.app.title
from modules.llm_services.public import LLMMessageDTO
from modules.llm_services.testing import FakeLLMServices

async def ask():
    with FakeLLMServices() as llm:
        llm.answers("sand")
        answer, _ = await llm.generate_response([LLMMessageDTO(role="user", content="What?")])
        return answer.content

assert asyncio.run(ask()) == "sand"
print("llm-services", version("llm-services"), "on Python", sys.version.split()[0])
"""


def extras_of(wheel: Path) -> list[str]:
    """The extras that the wheel offers its users."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(archive.read(name).decode())
    return sorted(set(said.get_all("Provides-Extra", [])) - NOT_FOR_USERS)


def variants(extras: Sequence[str]) -> list[tuple[str, ...]]:
    """What is tried: no extra, each alone, all together."""
    return [(), *((extra,) for extra in extras), tuple(extras)]


def try_out(wheel: Path, python: str, extras: Iterable[str]) -> str:
    """Install and use the wheel in an environment of its own; what it says. Raises ``SystemExit``
    with the words of whatever fails.
    """
    with tempfile.TemporaryDirectory(prefix="llm-dist-") as folder:
        home = Path(folder)
        _run("uv", "venv", "--quiet", "--python", python, str(home / "env"))
        target = home / "env" / "bin" / "python"
        chosen = ",".join(extras)
        asked = f"{wheel}[{chosen}]" if chosen else str(wheel)
        _run("uv", "pip", "install", "--quiet", "--python", str(target), asked)
        _run("uv", "pip", "check", "--quiet", "--python", str(target))
        ini = str(ROOT / "deploy" / "alembic.ini")
        # Isolated: PYTHONPATH would bring the sources in place of what was installed.
        return _run(str(target), "-I", "-W", "error", "-c", SMOKE, folder, ini, cwd=home)


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} {command[1]} failed:\n{done.stderr}")
    return done.stdout.strip()


def newest_wheel(folder: Path) -> Path:
    """The wheel that was built last. Raises ``SystemExit`` when there is none."""
    wheels = sorted(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise SystemExit(f"no wheel in {folder}: make dist builds it")
    return wheels[-1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Try every variant on every Python."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--python", action="append", help="a version or a path; this one when none")
    options = parser.parse_args(arguments)
    wheel = newest_wheel(options.dist)
    for python in options.python or [sys.executable]:
        for extras in variants(extras_of(wheel)):
            print(f"{try_out(wheel, python, extras)} with {', '.join(extras) or 'no extras'}")


if __name__ == "__main__":
    main()

"""The walls of pyproject.toml stand, and each of them bites.

A contract that matches nothing is kept for ever. Hence the canaries: a copy of the tree, one bad
line in it, and the contract that has to notice.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from importlinter.application.use_cases import create_report, read_user_options
from importlinter.configuration import configure
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract
from importlinter.domain.contract import Contract, registry

ROOT = Path(__file__).resolve().parents[2]
FLOORS = "floors: a room of llm_services imports lower rooms only"
KINDS: Mapping[str, type[Contract]] = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
    "protected": ProtectedContract,
}

CANARIES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "modules: siblings stand on llm_services, all stand on shared": {
        "shared-imports-a-module": ("modules/shared/db.py", "import modules.llm_services.types"),
        "llm-imports-a-sibling": (
            "modules/llm_services/repo/requests.py",
            "from modules.content_creation import models",
        ),
        "sibling-imports-a-sibling": (
            "modules/llm_usage/service.py",
            "from modules.content_creation import public",
        ),
        "module-without-a-floor": ("modules/billing/__init__.py", ""),
    },
    FLOORS: {
        "leaf-imports-executor": ("modules/llm_services/retry.py", "from . import executor"),
        "leaf-imports-leaf": ("modules/llm_services/retry.py", "from . import pricing"),
        "types-import-config": ("modules/llm_services/types.py", "from .config import LLMConfig"),
        "provider-imports-repo": (
            "modules/llm_services/providers/base.py",
            "import modules.llm_services.repo",
        ),
        "lazy-import": (
            "modules/llm_services/repo/requests.py",
            "def f(): from modules.llm_services import service",
        ),
        "typing-import": (
            "modules/llm_services/models.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING: from .recording import Recorder",
        ),
        "file-without-a-floor": ("modules/llm_services/extras.py", ""),
        "product-imports-fakes": (
            "modules/llm_services/public.py",
            "def f(): from .testing import FakeLLMServices",
        ),
        "product-imports-commands": ("modules/llm_services/doors.py", "from .cli import app"),
    },
    "floors of the providers": {
        "base-imports-formats": ("modules/llm_services/providers/base.py", "from . import formats"),
        "openai-imports-factory": (
            "modules/llm_services/providers/openai.py",
            "from . import factory",
        ),
        "file-without-a-floor": ("modules/llm_services/providers/nobody.py", ""),
    },
    "front door: siblings import public, nothing else": {
        "types": ("modules/content_creation/dto.py", "import modules.llm_services.types"),
        "deep": ("modules/content_creation/dto.py", "import modules.llm_services.providers.base"),
        "lazy": ("modules/content_creation/dto.py", "def f(): from ..llm_services import wiring"),
        "package": ("modules/content_creation/dto.py", "import modules.llm_services"),
        "usage-page": ("modules/llm_usage/service.py", "import modules.llm_services.repo"),
        "fakes": (
            "modules/content_creation/service.py",
            "from modules.llm_services.testing import FakeLLMServices",
        ),
    },
    "one SDK, one file: openai": {
        "executor": ("modules/llm_services/executor.py", "from openai import APIError"),
        "sibling": ("modules/content_creation/dto.py", "import openai.types"),
        "lazy-httpx2": ("modules/llm_services/wiring.py", "def f(): import httpx2"),
        "sandbox": ("sandbox/app.py", "import httpx2"),
    },
    "one SDK, one file: anthropic": {
        "openai": ("modules/llm_services/providers/openai.py", "from anthropic import APIError"),
        "format": ("modules/llm_services/providers/formats/messages.py", "import anthropic.types"),
    },
    "one SDK, one file: google": {
        "openai": ("modules/llm_services/providers/openai.py", "from google import genai"),
        "format": (
            "modules/llm_services/providers/formats/gemini/body.py",
            "from google.genai import types",
        ),
    },
    "one SDK, one file: azure": {
        "adapter": ("modules/llm_services/providers/openai.py", "import azure.identity"),
    },
    "one SDK, one file: instructor": {
        "adapter": ("modules/llm_services/providers/openai.py", "import instructor.v2"),
    },
    "one SDK, one file: genai_prices": {
        "estimating": ("modules/llm_services/estimating.py", "import genai_prices.types"),
    },
    "one SDK, one file: psycopg": {
        "shared": ("modules/shared/db.py", "from psycopg import errors"),
        "repo": ("modules/llm_services/repo/requests.py", "def f(): import psycopg"),
    },
    "one SDK, one file: redis": {
        "store": ("modules/llm_services/cache/memory.py", "import redis"),
        "lazy": ("modules/llm_services/wiring.py", "def f(): from redis.asyncio import Redis"),
    },
    "one SDK, one file: opentelemetry": {
        "recording": (
            "modules/llm_services/recording/recorder.py",
            "from opentelemetry import trace",
        ),
        "lazy": ("modules/llm_services/attribution.py", "def f(): import opentelemetry.trace"),
    },
    "only front doors and routes know the web framework": {
        "service": ("modules/llm_services/service.py", "from fastapi import Depends"),
        "shared": ("modules/shared/db.py", "from starlette.requests import Request"),
        "sibling-service": ("modules/content_creation/service.py", "import fastapi"),
        "usage-page": ("modules/llm_usage/service.py", "from fastapi import Request"),
    },
    "only the command line knows the terminal": {
        "door": ("modules/llm_services/public.py", "import typer"),
        "lazy": ("modules/llm_services/executor.py", "def f(): from rich import print"),
    },
    "only the testing kit knows pytest": {
        "kit": ("modules/llm_services/testing/fake.py", "import pytest"),
        "sibling": ("modules/content_creation/service.py", "def f(): import pytest"),
    },
    "no circles between neighbours": {
        "in-a-sibling": ("modules/content_creation/models.py", "from . import repo"),
        "in-a-room": ("modules/llm_services/recording/record.py", "from . import recorder"),
        "in-the-sandbox": ("sandbox/words.py", "import sandbox.app"),
    },
    "the modules and the sandbox do not know each other": {
        "sandbox-imports-shared": ("sandbox/app.py", "import modules.shared.db"),
        "module-imports-sandbox": ("modules/llm_services/wiring.py", "def f(): import sandbox"),
    },
    "nothing knows a composition root": {
        "main": ("modules/content_creation/service.py", "import main"),
        "demo": ("sandbox/app.py", "from demo import stage"),
        "migrations": ("modules/shared/db.py", "from alembic import op"),
    },
}


@pytest.fixture(scope="module", autouse=True)
def _import_linter() -> None:
    """What its command line does before it reads a configuration."""
    configure()
    for name, kind in KINDS.items():
        registry.register(kind, name)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``backend/`` and ``pyproject.toml``, where Python finds it and not the original."""
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "backend", tmp_path / "backend", ignore=junk)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    elsewhere = [entry for entry in sys.path if not (Path(entry) / "modules").is_dir()]
    monkeypatch.setattr(sys, "path", [str(tmp_path / "backend"), *elsewhere])
    for package in ("modules", "sandbox"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    return tmp_path


def broken_walls(tree: Path) -> set[str]:
    """The contracts that the tree breaks."""
    report = create_report(read_user_options(str(tree / "pyproject.toml")), cache_dir=None)
    assert not report.invalid_contract_options
    return {wall.name for wall, check in report.get_contracts_and_checks() if not check.kept}


def unguarded_walls(config: Path) -> set[str]:
    """The canaries' contracts that the configuration lacks, and its contracts without a canary."""
    walls = {str(wall["name"]) for wall in read_user_options(str(config)).contracts_options}
    return walls ^ CANARIES.keys()


def test_the_tree_keeps_every_wall(tree: Path) -> None:
    """No import of the product crosses a wall."""
    assert broken_walls(tree) == set()


@pytest.mark.parametrize(
    ("wall", "file", "line"),
    [
        pytest.param(wall, *bad, id=f"{wall} [{name}]")
        for wall, canaries in CANARIES.items()
        for name, bad in canaries.items()
    ],
)
def test_a_wall_bites(tree: Path, wall: str, file: str, line: str) -> None:
    """One bad import, or one file without a floor, breaks the contract that is there for it."""
    path = tree / "backend" / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    assert wall in broken_walls(tree)


def test_every_wall_has_its_canary() -> None:
    """No contract is gone from the configuration, and none came without a proof that it bites."""
    assert unguarded_walls(ROOT / "pyproject.toml") == set()


@pytest.mark.parametrize("wall", CANARIES)
def test_a_wall_that_is_gone_is_noticed(tmp_path: Path, wall: str) -> None:
    """A contract that is taken out of the configuration, or renamed, is named."""
    config = tmp_path / "pyproject.toml"
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    config.write_text(text.replace(f'"{wall}"', '"some other wall"'), encoding="utf-8")
    assert wall in unguarded_walls(config)


def test_the_readme_draws_the_same_floors() -> None:
    """The module's picture of its floors is the contract's, from the top to the ground."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    walls = {wall["name"]: wall for wall in config["tool"]["importlinter"]["contracts"]}
    floors = [set(layer.split(" | ")) for layer in walls[FLOORS]["layers"]]
    readme = (ROOT / "backend/modules/llm_services/README.md").read_text(encoding="utf-8")
    table = readme.partition("| floor |")[2].partition("\n\n")[0]
    drawn = re.findall(r"^\| (\d+) \| ([^|]+) \|", table, re.MULTILINE)
    assert [int(number) for number, _ in drawn] == list(range(len(floors), 0, -1))
    assert [set(re.findall(r"`(\w+)/?`", rooms)) for _, rooms in drawn] == floors

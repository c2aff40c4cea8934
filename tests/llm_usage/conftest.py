"""Fixtures of the usage page: an application with its pages, rows to show, and a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, sync_playwright

from modules.shared.db import engine_for
from tests.llm_usage.application import HERE, usage_app

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture
def client(sqlite_url: str) -> Iterator[TestClient]:
    """A browser on this machine, in front of the pages without a guard."""
    with TestClient(usage_app(), base_url=HERE, client=("127.0.0.1", 50_000)) as client:
        yield client


@pytest.fixture
def sqlite_url(
    migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A migrated database, on SQLite alone: what differs between databases is tested elsewhere."""
    path = tmp_path / "backend.db"
    shutil.copyfile(migrated_sqlite, path)
    url = f"sqlite:///{path}"
    monkeypatch.setenv("DATABASE_URL", url)
    yield url
    engine_for(url).dispose()
    engine_for.cache_clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; without it they are skipped, but not by CI.

    Of a module, not of the session: as long as it is there, its event loop runs in this thread.
    """
    found = shutil.which("chromium")
    if found is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*_FLAGS])
        yield browser
        browser.close()

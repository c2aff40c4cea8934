"""The pages in a real Chromium: nothing blocked, nothing broken, nobody shut out."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.llm_usage.application import REQUEST, a_ledger, usage_app

PATIENCE_MS = 30_000
LOOKS = [
    ("light", 1280, ("?days=7", "/requests?model=model-1")),
    ("dark", 360, ("?days=7", f"/requests/{REQUEST}")),
]
"""Each theme, each width and each page: axe takes seconds for each combination."""


@pytest.fixture
def address(sqlite_url: str) -> Iterator[str]:
    """The pages on a port, with something to see."""
    a_ledger()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who comes before the server is up waits, and is not refused
        config = uvicorn.Config(usage_app(), log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/llm-usage"
        server.should_exit = True
        thread.join()


def _page(browser: Browser, theme: str, width: int) -> tuple[Page, list[str]]:
    """A page of that look, and what it complains about."""
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": width, "height": 800},
    )
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


@pytest.mark.parametrize(("theme", "width", "paths"), LOOKS)
def test_everybody_can_read_every_page(
    browser: Browser, address: str, theme: str, width: int, paths: tuple[str, ...]
) -> None:
    """No violation that axe knows, no scrolling sideways, no error, and no script of a prompt."""
    page, complaints = _page(browser, theme, width)
    for path in paths:
        page.goto(address + path, wait_until="networkidle")
        if path.startswith("?"):
            page.wait_for_selector(".latency")
            page.wait_for_selector(".errors")
            assert page.locator("canvas").count() == 3
        violations = Axe().run(page).response["violations"]
        assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert "broken" not in page.title()
    assert complaints == []
    page.context.close()


def test_requests_are_browsed(browser: Browser, address: str) -> None:
    """Filters show what fits and stay in the address; older ones follow; each has its page."""
    page, complaints = _page(browser, "light", 1280)
    rows = page.locator(".row")
    page.goto(f"{address}/requests?days=30")
    page.get_by_role("link", name="Show older requests").click()
    expect(rows).to_have_count(100)
    page.get_by_label("Status").select_option("failed")
    expect(rows).to_have_count(1)
    page.wait_for_url("**status=failed**")
    page.go_back()
    expect(rows).to_have_count(50)
    page.get_by_label("Model").fill("model-3")
    page.get_by_role("button", name="Find").click()
    expect(rows).to_have_count(14)
    page.locator(".row").first.click()
    page.wait_for_selector("text=Download as JSON")
    assert "model-3" in page.inner_text("h1")
    assert complaints == []
    page.context.close()


def test_a_chart_tells_its_numbers(browser: Browser, address: str) -> None:
    """Whoever points at a day sees what it is made of, and the bars fit the window's theme."""
    page, complaints = _page(browser, "light", 1280)
    page.goto(f"{address}?days=7", wait_until="networkidle")
    page.locator(".plot .u-over").first.hover()
    page.wait_for_selector(".tip:not([hidden])")
    assert "in all" in page.locator(".tip").first.inner_text()
    page.emulate_media(color_scheme="dark")
    assert page.locator("canvas").count() == 3
    assert complaints == []
    page.context.close()

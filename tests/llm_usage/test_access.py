"""Who may look: whom the application's guard lets through, or without one this machine."""

from collections.abc import Iterator

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from main import create_app
from tests.llm_usage.application import HERE, usage_app

PAGES = ("", "/requests", f"/requests/{'0' * 32}", "/panels/users", "/static/usage.css")


def _status(client_address: str, url: str = HERE, **headers: str) -> int:
    with TestClient(usage_app(), base_url=url, client=(client_address, 50_000)) as client:
        return client.get("/llm-usage", headers=headers).status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.8.8.8", "::ffff:127.0.0.1"])
def test_this_machine_may_look(sqlite_url: str, address: str) -> None:
    """Without a guard, whoever sits at the machine sees the pages."""
    assert _status(address) == 200


@pytest.mark.parametrize("address", ["192.168.1.7", "::ffff:10.0.0.1", "testclient", "", "0.0.0.0"])  # noqa: S104
def test_nobody_else_may(sqlite_url: str, address: str) -> None:
    """Without a guard, another machine gets 403."""
    assert _status(address) == 403


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP"]
)
def test_a_proxy_fools_nobody(sqlite_url: str, header: str) -> None:
    """What came through a proxy came from elsewhere, whatever address it claims."""
    assert _status("127.0.0.1", **{header: "127.0.0.1"}) == 403


def test_another_name_for_this_machine_is_refused(sqlite_url: str) -> None:
    """A name elsewhere that was made to point here reads nothing through a visitor's browser."""
    assert _status("127.0.0.1", "http://evil.example") == 403
    assert _status("127.0.0.1", "http://[::1]:8000") == 200


@pytest.fixture
def guarded(sqlite_url: str) -> Iterator[TestClient]:
    def guard(key: str = "") -> None:
        if key != "operator":
            raise HTTPException(401)

    app = usage_app(guard, prefix="/usage")
    with TestClient(app, base_url="https://app.example", client=("10.0.0.1", 50_000)) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_the_guard_decides(guarded: TestClient, path: str) -> None:
    """With a guard, it alone says who sees any page or file, wherever they are."""
    assert guarded.get(f"/usage{path}").status_code == 401
    through = guarded.get(f"/usage{path}", params={"key": "operator"})
    assert through.status_code == (404 if "0000" in path else 200)


def test_the_backend_has_the_page(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is at /llm-usage, for this machine, and its refusal says what to do."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with TestClient(create_app(), base_url=HERE, client=("127.0.0.1", 5)) as client:
        assert client.get("/llm-usage").status_code == 200
    with TestClient(create_app()) as client:
        refused = client.get("/llm-usage")
    assert refused.status_code == 403
    assert "create_usage_router(guard=" in refused.json()["detail"]

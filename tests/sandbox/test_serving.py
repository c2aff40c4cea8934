"""Running the server: keys, the journal, many clients, a clean end, the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

import sandbox
from sandbox import __main__ as alone

ROOT = Path(__file__).parents[2]


def root_url(server: sandbox.Sandbox) -> str:
    return server.base_url.removesuffix("/v1")


async def test_keys(server: sandbox.Sandbox) -> None:
    """Any key will do, but none, and one that says `invalid`, will not."""
    async with AsyncOpenAI(base_url=server.base_url, api_key="sk-invalid", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.responses.create(model="gpt-6-luna", input="x")
    assert caught.value.code == "invalid_api_key"
    async with httpx2.AsyncClient() as bare:
        reply = await bare.post(f"{server.base_url}/responses", json={})
    assert reply.status_code == 401
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


async def test_the_journal_tells_what_happened(
    client: AsyncOpenAI, server: sandbox.Sandbox
) -> None:
    """Each request once, in order, over HTTP and directly, and no key anywhere."""
    usage = (await client.responses.create(model="gpt-6-luna", input="x")).usage
    with pytest.raises(openai.NotFoundError):
        await client.post("/nothing", cast_to=object, body={})
    async with httpx2.AsyncClient() as bare:
        told = (await bare.get(f"{root_url(server)}/sandbox/journal")).json()
        assert told["total"] == 2
        assert told["requests"] == [asdict(e) for e in server.journal()]
        first = server.journal()[0]
        assert usage is not None
        assert first.prompt_tokens == usage.input_tokens
        assert first.completion_tokens == usage.output_tokens
        assert (first.path, first.status) == ("/v1/responses", 200)
        assert "Bearer" not in str(told)
        await bare.delete(f"{root_url(server)}/sandbox/journal")
        assert server.journal() == []
        health = await bare.get(f"{root_url(server)}/sandbox/health")
    assert health.json() == {"status": "ok", "sandbox": True}


async def test_malformed_bodies_get_a_400(server: sandbox.Sandbox) -> None:
    """No JSON, or JSON that is no object."""
    async with httpx2.AsyncClient(headers={"authorization": "Bearer k"}) as bare:
        for body in (b"{", b"[1]", b"\xff\xfe", b"[" * 100_000):
            reply = await bare.post(f"{server.base_url}/responses", content=body)
            assert reply.status_code == 400
            assert reply.json()["error"]["type"] == "invalid_request_error"


async def test_many_slow_requests_are_answered_together(server: sandbox.Sandbox) -> None:
    """A hundred requests that wait are all in the journal while they wait."""
    async with AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
        asked = [
            client.responses.create(model="gpt-6-luna:slow=0.3", input=f"Topic {n}")
            for n in range(100)
        ]
        answers = await asyncio.gather(*asked)
    assert len({a.id for a in answers}) == 100
    assert {e.outcome for e in server.journal()} == {"completed"}


async def test_a_long_prompt_is_answered(client: AsyncOpenAI) -> None:
    """A megabyte of text is no trouble; more than the context window is refused."""
    text = "The river carries sand and mud to the sea every year. " * 20_000
    done = await client.responses.create(model="gpt-6-luna", input=text)
    assert "river" in done.output_text
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="gpt-6-luna", input=text * 5)
    assert caught.value.code == "context_length_exceeded"


def test_running_starts_and_ends_cleanly() -> None:
    """No thread is left, the port is free again, and a waiting request does not hold up the end."""
    threads = threading.active_count()
    with sandbox.running() as server:
        port = int(server.base_url.rsplit(":", 1)[1].removesuffix("/v1"))
        assert server.base_url == f"http://127.0.0.1:{port}/v1"
        waiting = threading.Thread(target=_ask_slowly, args=(server.base_url,))
        waiting.start()
        while not server.journal():
            pass
    waiting.join()
    assert threading.active_count() == threads
    with sandbox.running(port=port) as again:
        assert again.base_url == server.base_url


def _ask_slowly(base_url: str) -> None:
    body: Any = {"model": "gpt-6-luna:slow=60", "input": "x"}
    headers = {"authorization": "Bearer k"}
    try:
        with httpx2.Client(timeout=30) as client:
            client.post(f"{base_url}/responses", json=body, headers=headers)
    except httpx2.HTTPError:
        return


def test_two_servers_know_nothing_of_each_other() -> None:
    """Each has its own journal."""
    with sandbox.running() as one, sandbox.running() as two:
        httpx2.get(f"{one.base_url}/models", headers={"authorization": "Bearer k"})
        assert len(one.journal()) == 1
        assert two.journal() == []


def test_the_command_line_prints_what_to_set() -> None:
    """`python -m sandbox` says its address and both variables, and answers there."""
    command = [sys.executable, "-m", "sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT / "backend", stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(4)]
        url = lines[2].strip().removeprefix("export OPENAI_BASE_URL=")
        reply = httpx2.get(f"{url}/models", headers={"authorization": "Bearer k"})
        run.terminate()
    assert reply.status_code == 200
    assert lines[3] == "export OPENAI_API_KEY=sandbox\n"


def test_the_sandbox_knows_no_module_of_ours() -> None:
    """Importing it brings in nothing from `modules`."""
    code = "import sys, sandbox; sys.exit(any(m.split('.')[0] == 'modules' for m in sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT / "backend", check=False).returncode
        == 0
    )


def test_a_port_that_is_taken_is_a_line(
    server: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the way out, in place of a traceback."""
    port = server.base_url.rpartition(":")[2].removesuffix("/v1")
    monkeypatch.setattr(sys, "argv", ["sandbox", "--port", port])
    with pytest.raises(SystemExit) as ended:
        alone.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith("Address already in use; --port takes another\n")

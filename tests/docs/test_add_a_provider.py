"""Whoever follows ``docs/add-a-provider.md`` to the letter has added a provider."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox
from tests.docs.documents import ROOT, Block, blocks

PAGE = blocks((ROOT / "docs/add-a-provider.md").read_text(encoding="utf-8"))
ASK = """
import asyncio, json
from modules.llm_services.public import LLMError, LLMMessageDTO, open_llm_services

async def ask(llm, model, text):
    try:
        return await llm.generate_response(
            [LLMMessageDTO(role="user", content=text)], model=model, max_retries=0, max_tokens=50
        )
    except LLMError as error:
        return None, error.request_id

async def main():
    parrot = ("Hello there.", "I am tired.")
    asked = [*(("parrot:grey", text) for text in parrot), ("acme:gpt-4.1", "Hi")]
    async with open_llm_services() as llm:
        for model, text in asked:
            _, row = await ask(llm, model, text)
            print(llm.get_request(row).model_dump_json())
        async with llm.stream_response(
            [LLMMessageDTO(role="user", content="Hello again.")], model="parrot:grey"
        ) as stream:
            print(json.dumps("".join([piece async for piece in stream.text()])))

asyncio.run(main())
"""


def words(block: Block) -> dict[str, str]:
    """What the fence says of a block: ``create=`` a file of it, or put it ``into=`` one."""
    return dict(word.split("=", 1) for word in block.words if "=" in word)


def follow(block: Block, folder: Path) -> None:
    """Do what a block says."""
    said = words(block)
    if "create" in said:
        (folder / said["create"]).write_text(block.code, encoding="utf-8")
    if "into" in said:
        path = folder / said["into"]
        anchor, added = block.code.split("\n", 1)
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{anchor}\n") == 1, f"{said['into']} has no line {anchor!r}"
        path.write_text(text.replace(f"\n{anchor}\n", f"\n{anchor}\n{added}"), encoding="utf-8")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_is_followed(
    database_url: str, sandbox_server: sandbox.Sandbox, tmp_path: Path
) -> None:
    """Both providers answer, fail, stream and cost as all others do."""
    for package in ("modules", "sandbox"):
        source = ROOT / "backend" / package
        shutil.copytree(source, tmp_path / "backend" / package)
    for block in PAGE:
        follow(block, tmp_path)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "DATABASE_URL", "LLM_SPOOL_DIR")},
        "PYTHONPATH": str(tmp_path / "backend"),
        "LLM_PRICE_OVERRIDES": str(tmp_path / "prices.json"),
        "LLM_PROVIDERS__PARROT__API_KEY": "parrot-key",
        "LLM_PROVIDERS__ACME__API_KEY": "acme-key",
        "LLM_PROVIDERS__ACME__BASE_URL": sandbox_server.base_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, failed, acme, streamed = map(json.loads, done.stdout.splitlines())
    assert (said["status"], said["response_content"]) == ("completed", "Hello there.")
    assert (said["prompt_tokens"], said["cost_source"]) == (2, "override")
    assert said["cost_estimate"] == pytest.approx(2 * 2e-6 + 2 * 4e-6)
    assert (failed["status"], failed["error_type"]) == ("failed", "RateLimited")
    assert (acme["status"], acme["provider"]) == ("completed", "acme")
    assert streamed == "Hello again."


def test_every_block_is_followed_or_for_a_shell() -> None:
    """A block that nobody tries rots."""
    assert [block.line for block in PAGE if not words(block) and not block.is_in("sh")] == []

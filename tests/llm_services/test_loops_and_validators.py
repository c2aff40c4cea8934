"""Callers' code and callers' loops: validators that misbehave, calls where no loop runs."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio.from_thread
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, field_validator

import sandbox
from modules.llm_services.exceptions import LLMInputError, LLMValidationError
from modules.llm_services.public import (
    LLMServicesProvider,
    llm_services_lifespan,
    llm_services_provider,
    open_llm_services,
    open_llm_services_admin,
)
from tests.llm_services.wrong.arguments import said
from tests.llm_services.wrong.shapes import HostileText
from tests.llm_services.wrong.table import GOOD
from tests.support.ledger import rows

ASKED = [said(content="Tell me about Mars.")]
_PATIENCE = 60.0
_loop_lives = threading.Event()
seen: list[str] = []


class Moody(BaseModel):
    """Its validator raises what pydantic does not expect."""

    name: str

    @field_validator("name")
    @classmethod
    def _raise(cls, name: str) -> str:
        raise RuntimeError(f"I do not like {name[:0]}it")


class Slow(BaseModel):
    """Its validator waits until the event loop has done something else."""

    name: str

    @field_validator("name")
    @classmethod
    def _wait(cls, name: str) -> str:
        seen.append(name)
        assert _loop_lives.wait(_PATIENCE), "the event loop is blocked by a validator"
        return name


@pytest.fixture(autouse=True)
def _fresh() -> None:
    _loop_lives.clear()
    seen.clear()


async def _while_the_loop_lives(call: Any) -> Any:
    """The call's result; soon the loop shows that it goes on, if it does."""
    task = asyncio.ensure_future(call)
    asyncio.get_running_loop().call_later(0.05, _loop_lives.set)
    return await task


async def test_a_validator_that_raises_anything_is_a_misfit_that_was_paid(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """The caller learns what it raised, and the row keeps the tokens of every attempt."""
    async with open_llm_services() as llm:
        with pytest.raises(LLMValidationError, match="I do not like it") as caught:
            await llm.generate_structured_response(ASKED, Moody, max_retries=1)
    (row,) = rows()
    assert (row["status"], row["error_type"]) == ("failed", "Validation")
    assert len(vendor.journal()) == 2
    assert row["tokens_used"] > 0
    assert caught.value.usage is not None
    assert caught.value.usage.total_tokens == row["tokens_used"]


async def test_a_validator_that_takes_its_time_does_not_block_the_loop(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """Other calls go on while a caller's validator waits."""
    async with open_llm_services() as llm:
        call = llm.generate_structured_response(ASKED, Slow)
        planet, _ = await _while_the_loop_lives(call)
    assert seen == [planet.name]


@pytest.mark.parametrize("method", list(GOOD))
async def test_a_call_that_no_loop_drives_says_so(
    database_url: str, vendor: sandbox.Sandbox, method: str
) -> None:
    """Driven by hand, or by another library's loop: a clear error, nothing sent, no row."""
    async with open_llm_services() as llm, open_llm_services_admin() as admin:
        call = getattr(llm if hasattr(llm, method) else admin, method)
        said_ = await asyncio.to_thread(_driven_by_hand, call, GOOD[method])
    assert said_ is None or "no asyncio event loop is running here" in said_
    assert rows() == []
    assert vendor.journal() == []


def _driven_by_hand(call: Callable[..., Any], arguments: Any) -> str | None:
    """What a coroutine says to someone who drives it without a loop; plain functions work."""
    found = call(**arguments)
    found = found.__aenter__() if hasattr(found, "__aenter__") else found
    found = found.__anext__() if hasattr(found, "__anext__") else found
    if not hasattr(found, "send"):
        return None
    with pytest.raises(LLMInputError) as caught:
        found.send(None)
    return caught.value.message


def test_the_doors_say_so_too(database_url: str) -> None:
    """Neither door opens outside a loop."""
    for door in (open_llm_services(), open_llm_services_admin(), llm_services_lifespan()):
        with pytest.raises(LLMInputError, match="no asyncio event loop is running here"):
            door.__aenter__().send(None)


async def test_a_loop_within_a_loop_is_pythons_own_error(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """``asyncio.run`` where a loop runs already says what is wrong, and nothing was begun."""
    async with open_llm_services() as llm:
        call: Any = llm.generate_response(ASKED)
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            asyncio.run(call)
        call.close()
    assert rows() == []
    assert vendor.journal() == []


def test_a_plain_route_may_call_on_the_applications_loop(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """A worker thread has no loop, but the application's is within its reach: a row like any."""
    router = APIRouter()

    @router.get("/")
    def answer(llm: LLMServicesProvider = Depends(llm_services_provider)) -> str:
        response, _ = anyio.from_thread.run(llm.generate_response, ASKED)
        return response.content

    app = FastAPI(lifespan=lambda _app: llm_services_lifespan())
    app.include_router(router)
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
        assert client.get("/").status_code == 200
    assert [row["status"] for row in rows()] == ["completed", "completed"]


async def test_a_subclass_of_str_counts_as_its_text(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """What a class of the caller's makes of its text does not matter: it is sent and stored."""
    odd: Any = HostileText
    message = said(role=odd("user"), content=odd("Hello"), name=odd("ann"))
    async with open_llm_services() as llm:
        _, request_id = await llm.generate_response(
            [message],
            user_id=odd("12345678-1234-5678-1234-567812345678"),
            model=odd("fast"),
            feature=odd("lesson"),
            prompt_cache_key=odd("k"),
            metadata={"a": odd("b")},
        )
        kept = llm.get_request(request_id)
    assert kept is not None
    assert (kept.feature, kept.status) == ("lesson", "completed")
    assert kept.messages is not None
    (written,) = kept.messages
    assert (written["content"], written["name"]) == ("Hello", "ann")


def test_a_thread_without_a_loop_may_bring_its_own(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """``asyncio.run`` around the whole use, so that the thread's own client is closed in time."""

    async def use() -> str:
        async with open_llm_services() as llm:
            response, _ = await llm.generate_response(ASKED)
        return response.content

    threads = [threading.Thread(target=lambda: seen.append(asyncio.run(use()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)
    assert len(seen) == 2
    assert [row["status"] for row in rows()] == ["completed", "completed"]

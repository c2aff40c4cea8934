"""Batches: half the price, a row for each request, and a night between question and answer."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, field_validator
from sqlalchemy import text

import sandbox
from modules.llm_services import batches
from modules.llm_services.public import (
    BatchDTO,
    BatchRequest,
    BatchResult,
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMConnectionError,
    LLMInputError,
    LLMMessageDTO,
    LLMNotFoundError,
    LLMProviderError,
    LLMRateLimitError,
    LLMRecordingError,
    LLMServicesProvider,
    LLMTimeoutError,
    LLMValidationError,
    open_llm_services,
)
from modules.llm_services.recording import batches as recording_batches
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.support.ledger import rows, statuses


class Planet(BaseModel):
    """A planet."""

    name: str
    moons: int


class Picky(BaseModel):
    """What no answer fits."""

    name: str

    @field_validator("name")
    @classmethod
    def _refuse(cls, name: str) -> str:
        raise ValueError(f"{name} will not do")


def said(words: str) -> list[LLMMessageDTO]:
    """A conversation of one message."""
    return [LLMMessageDTO(role="user", content=words)]


PLANETS = [BatchRequest(messages=said(f"Planet number {n} has {n} moons.")) for n in range(3)]


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


async def ended(llm: LLMServicesProvider, batch: BatchDTO) -> str:
    """The id of a batch that the vendor is through with."""
    async with asyncio.timeout(30):
        while not (await llm.batch_status(batch.id)).ended:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
    return batch.id


async def collected(
    llm: LLMServicesProvider, batch_id: str, *models: type[BaseModel]
) -> dict[str, BatchResult]:
    """All results by their keys."""
    return {result.key: result async for result in llm.collect_batch(batch_id, models)}


def settled() -> list[dict[str, Any]]:
    """All rows as they are stored."""
    return rows("status <> 'pending'")


async def test_a_batch_from_submission_to_collection(llm: LLMServicesProvider) -> None:
    """Rows are pending until the answers are collected; then each has its tokens and its cost."""
    user = uuid4()
    batch = await llm.submit_batch(
        PLANETS, user_id=user, model="gpt-4o", feature="night", context={"run": 7}
    )
    assert list(batch.request_ids) == ["0", "1", "2"]
    assert statuses() == ["pending"] * 3
    status = await llm.batch_status(await ended(llm, batch))
    assert (status.status, status.total, status.completed, status.failed) == ("completed", 3, 3, 0)
    assert status.id == batch.id
    assert statuses() == ["pending"] * 3
    results = await collected(llm, batch.id)
    assert {key: result.request_id for key, result in results.items()} == batch.request_ids
    for number, result in results.items():
        row = llm.get_request(result.request_id)
        assert row is not None
        assert result.response is not None
        assert f"number {number}" in result.response.content
        assert (row.status, row.operation, row.response_content) == (
            "completed",
            "batch",
            result.response.content,
        )
        assert (row.user_id, row.feature, row.context_data) == (user, "night", {"run": 7})
        assert row.tokens_used == result.response.tokens_used
        assert row.cost_estimate == result.response.cost_estimate
        assert row.batch_id is not None
        assert row.attempts is not None
        assert [attempt["outcome"] for attempt in row.attempts] == ["answered"]
        assert row.additional_params == {"batch_key": number}


async def test_a_batch_costs_half(llm: LLMServicesProvider) -> None:
    """The same question in a batch has half the price of an answer at once."""
    whole, _ = await llm.generate_response(PLANETS[0].messages, model="gpt-4o")
    batch = await llm.submit_batch(PLANETS[:1], model="gpt-4o")
    results = await collected(llm, await ended(llm, batch))
    response = results["0"].response
    assert response is not None
    assert response.tokens_used == whole.tokens_used
    assert response.cost_estimate == pytest.approx((whole.cost_estimate or 0) / 2)


async def test_collecting_twice_changes_nothing(llm: LLMServicesProvider) -> None:
    """The second collection brings the same results and leaves every row as it was."""
    requests = [*PLANETS, BatchRequest(messages=said("x"), key="odd")]
    batch = await llm.submit_batch(requests, model="openai:gpt-4o:status=500,times=1")
    first = await collected(llm, await ended(llm, batch))
    before = settled()
    second = await collected(llm, batch.id)
    assert settled() == before
    assert {key: result.response for key, result in first.items() if result.error is None}.keys()
    assert [(r.key, r.request_id, str(r.error)) for r in first.values()] == [
        (r.key, r.request_id, str(r.error)) for r in second.values()
    ]


async def test_leaving_early_loses_nothing(llm: LLMServicesProvider) -> None:
    """Whoever stops collecting goes on later: what was not settled is still there."""
    batch = await llm.submit_batch(PLANETS, model="gpt-4o")
    async for _ in llm.collect_batch(await ended(llm, batch)):
        break
    assert len(await collected(llm, batch.id)) == 3
    assert statuses() == ["completed"] * 3


async def test_each_row_has_its_own_end(llm: LLMServicesProvider) -> None:
    """One request of a batch fails with the vendor's error, the others are answered."""
    batch = await llm.submit_batch(PLANETS, model="openai:gpt-4o:status=429,times=1")
    results = await collected(llm, await ended(llm, batch))
    error = results["0"].error
    assert isinstance(error, LLMRateLimitError)
    assert error.request_id == batch.request_ids["0"]
    assert [results[key].error for key in "12"] == [None, None]
    row = llm.get_request(batch.request_ids["0"])
    assert row is not None
    assert (row.status, row.error_type, row.http_status) == ("failed", "RateLimited", 429)
    assert (row.cost_estimate, row.tokens_used) == (None, None)
    assert statuses() == ["completed", "completed", "failed"]


async def test_objects_come_back_checked(llm: LLMServicesProvider) -> None:
    """An answer is an instance of its request's class, or an error that cost its tokens."""
    requests = [
        BatchRequest(messages=PLANETS[2].messages, response_model=model, key=model.__name__)
        for model in (Planet, Picky)
    ]
    batch = await llm.submit_batch(requests, model="gpt-4o")
    await ended(llm, batch)
    with pytest.raises(LLMInputError, match="lacks Picky, which"):
        await collected(llm, batch.id, Planet)
    assert statuses() == ["pending", "pending"]
    results = await collected(llm, batch.id, Planet, Picky)
    assert isinstance(results["Planet"].parsed, Planet)
    error = results["Picky"].error
    assert isinstance(error, LLMValidationError)
    [failed] = rows("status = 'failed'")
    assert failed["error_type"] == "Validation"
    assert failed["tokens_used"] > 0
    assert failed["cost_estimate"] == float(error.cost or 0) > 0
    [good] = rows("status = 'completed'")
    per_token = good["cost_estimate"] / good["tokens_used"]
    assert failed["cost_estimate"] / failed["tokens_used"] == pytest.approx(per_token, rel=0.5)


@pytest.mark.parametrize(
    ("end", "error", "error_type", "answered"),
    [
        ("expired", LLMTimeoutError, "Timeout", 2),
        ("cancelled", LLMProviderError, "ProviderError", 2),
        ("failed", LLMBadRequestError, "BadRequest", 0),
    ],
)
async def test_a_batch_that_ends_badly(
    llm: LLMServicesProvider, end: str, error: type[Exception], error_type: str, answered: int
) -> None:
    """What an expired or cancelled batch did answer is kept; the rest fails with the reason."""
    batch = await llm.submit_batch(PLANETS, model=f"openai:gpt-4o:batch={end},times=1")
    assert (await llm.batch_status(await ended(llm, batch))).status == end
    results = await collected(llm, batch.id)
    errors = [result.error for result in results.values() if result.error is not None]
    assert {type(found) for found in errors} == {error}
    assert len({id(found) for found in errors}) == len(errors) == 3 - answered
    assert {row["error_type"] for row in rows("status = 'failed'")} == {error_type}
    assert statuses().count("completed") == answered


async def test_a_batch_is_not_collected_before_its_end(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Too early is an error that says so, may be tried again, and settles nothing."""
    batch = await llm.submit_batch(PLANETS, model="gpt-4o")
    await ended(llm, batch)
    [kept] = vendor.state.batches._kept.values()
    kept["status"] = "in_progress"
    with pytest.raises(LLMProviderError, match="in_progress") as caught:
        await collected(llm, batch.id)
    assert caught.value.retryable
    assert statuses() == ["pending"] * 3


async def test_a_row_that_nothing_speaks_of(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """A request that the vendor's files leave out has failed; a stranger's line is left alone."""
    batch = await llm.submit_batch(PLANETS, model="gpt-4o")
    await ended(llm, batch)
    [kept] = vendor.state.batches._kept.values()
    lines = vendor.state.batches.files.get(kept["output_file_id"]).content.splitlines()
    strangers = [json.dumps({**json.loads(lines[0]), "custom_id": name}) for name in ("?", "")]
    strangers.append(json.dumps({**json.loads(lines[0]), "custom_id": str(uuid4())}))
    content = b"\n\n".join([*(line.encode() for line in strangers), lines[1], lines[1]])
    kept["output_file_id"] = vendor.state.batches.files.add(content, "batch_output")["id"]
    results = await collected(llm, batch.id)
    assert [str(results[key].error) for key in "02"] == [
        "the batch ended without an answer to this request"
    ] * 2
    assert results["1"].response is not None
    assert statuses() == ["completed", "failed", "failed"]


_SUBMIT = """
import asyncio, sys
from modules.llm_services.public import BatchRequest, LLMMessageDTO, open_llm_services
from pydantic import BaseModel

class Planet(BaseModel):
    name: str
    moons: int

async def main():
    async with open_llm_services() as llm:
        messages = [LLMMessageDTO(role="user", content="Mars has two moons.")]
        batch = await llm.submit_batch(
            [
                BatchRequest(messages=messages, key="mars", response_model=Planet),
                BatchRequest(messages=messages, parameters={"temperature": 0.5}),
            ],
            model="gpt-6-luna",
        )
    sys.stdout.write(batch.id)

asyncio.run(main())
"""


async def test_another_process_collects(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between submission and collection nothing lives but the database and the vendor."""
    monkeypatch.setenv("PYTHONPATH", str(Path(sandbox.__file__).parents[1]))
    submitted = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _SUBMIT], capture_output=True, check=True, text=True
    )
    assert statuses() == ["pending", "pending"]
    async with open_llm_services() as llm:
        batch = BatchDTO(id=submitted.stdout, request_ids={})
        results = await collected(llm, await ended(llm, batch), Planet)
    assert isinstance(results["mars"].parsed, Planet)
    response = results["1"].response
    assert response is not None
    assert response.dropped_params == ("temperature",)
    assert [row["status"] for row in rows()] == ["completed", "completed"]
    [row] = rows("dropped_params IS NOT NULL")
    assert row["temperature"] == 0.5


async def test_what_is_sent(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Each line is a request with its row's id; a parameter that only Chat takes moves them all."""
    requests = [
        BatchRequest(messages=said("one"), parameters={"max_tokens": 50}),
        BatchRequest(messages=said("two"), parameters={"seed": 3}, key="second"),
    ]
    batch = await llm.submit_batch(requests, model="gpt-4o")
    [kept] = vendor.state.batches._kept.values()
    content = vendor.state.batches.files.get(kept["input_file_id"]).content
    first, second = (json.loads(line) for line in content.splitlines())
    assert kept["endpoint"] == "/v1/chat/completions"
    [ours] = {str(row["batch_id"]) for row in rows()}
    assert kept["metadata"] == {"llm_services_batch": ours}
    assert [first["custom_id"], second["custom_id"]] == [
        str(batch.request_ids["0"]),
        str(batch.request_ids["second"]),
    ]
    assert first["body"]["max_completion_tokens"] == 50
    assert second["body"]["seed"] == 3
    assert {entry.client_request_id for entry in vendor.journal()} == {ours}


async def test_an_order_that_fails_fails_every_row(
    llm: LLMServicesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a batch no row stays pending, and the error carries the first row's id."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-invalid")
    async with open_llm_services() as other:
        with pytest.raises(LLMAuthenticationError) as caught:
            await other.submit_batch(PLANETS, model="gpt-4o")
    failed = rows("status = 'failed'")
    assert [row["error_type"] for row in failed] == ["Authentication"] * 3
    assert [row["maybe_paid"] for row in failed] == [False] * 3
    assert UUID(str(failed[0]["id"])) == caught.value.request_id


async def answered_by(llm: LLMServicesProvider, answer: Any) -> None:
    """Put an answer of ours in place of the vendor."""
    provider = await llm._runtime.provider("openai")  # type: ignore[attr-defined]
    provider._client = AsyncOpenAI(
        api_key="k",
        base_url="http://house.test/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )


async def test_a_submission_that_is_cancelled(llm: LLMServicesProvider) -> None:
    """Whoever goes away during the upload leaves no row behind that waits for ever."""
    uploading = asyncio.Event()

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        uploading.set()
        await asyncio.Event().wait()
        raise AssertionError

    await answered_by(llm, answer)
    task = asyncio.create_task(llm.submit_batch(PLANETS, model="gpt-4o"))
    await uploading.wait()
    assert statuses() == ["pending"] * 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert statuses() == ["cancelled"] * 3
    assert all(row["maybe_paid"] for row in rows())


async def test_a_lost_order_is_not_sent_again(llm: LLMServicesProvider) -> None:
    """An order that may have arrived would be paid for twice; the upload is simply repeated."""
    paths: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        if paths == ["/v1/files"]:
            return httpx2.Response(500, headers={"retry-after-ms": "1"})
        if request.url.path == "/v1/files":
            return httpx2.Response(200, json={"id": "file-1"})
        raise httpx2.ReadError("reset")

    await answered_by(llm, answer)
    with pytest.raises(LLMConnectionError):
        await llm.submit_batch(PLANETS, model="gpt-4o")
    assert paths == ["/v1/files", "/v1/files", "/v1/batches"]
    assert {(row["status"], bool(row["maybe_paid"])) for row in rows()} == {("failed", True)}


@pytest.mark.parametrize(
    ("requests", "options", "told"),
    [
        ([], {}, "requests is empty: give 1 to 50000 BatchRequest"),
        ("text", {}, "requests must be a list"),
        ([{"messages": []}], {}, r"requests\[0\] must be a BatchRequest"),
        ([BatchRequest(messages=[])], {}, r"requests\[0\]: messages is empty"),
        ([PLANETS[0], BatchRequest(messages=said("x"), key="0")], {}, "another request's"),
        ([BatchRequest(messages=said("x"), key=" ")], {}, r"requests\[0\].key"),
        ([BatchRequest(messages=said("x"), response_model=int)], {}, "subclass of pydantic"),  # type: ignore[arg-type]
        ([BatchRequest(messages=said("x"), parameters={"service_tier": "flex"})], {}, "unknown"),
        ([BatchRequest(messages=said("x"), parameters=7)], {}, "parameters must be a dict"),  # type: ignore[arg-type]
        ([BatchRequest(messages=said("x"), parameters={"temperature": 9})], {}, "temperature"),
        (PLANETS, {"temperature": 1}, "unknown keyword parameter"),
        (PLANETS, {"model": "nobody:x"}, "nobody"),
    ],
)
async def test_bad_input_costs_nothing(
    llm: LLMServicesProvider, vendor: Sandbox, requests: Any, options: Any, told: str
) -> None:
    """A wrong request is named before a row is written or a byte is sent."""
    with pytest.raises(LLMInputError, match=told):
        await llm.submit_batch(requests, **options)
    assert rows() == []
    assert vendor.journal() == []


@pytest.mark.parametrize("name", ["batch_1", "", "nobody:batch_1", 7, "openai:a b"])
async def test_ids_that_mean_nothing(llm: LLMServicesProvider, name: Any) -> None:
    """What submit_batch never returned is refused."""
    with pytest.raises(LLMInputError, match="batch_id"):
        await llm.batch_status(name)
    with pytest.raises(LLMInputError, match="batch_id"):
        await collected(llm, name)


async def test_a_batch_that_is_not_ours(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """An id that the vendor does not know, and a batch that no row belongs to, are not found."""
    with pytest.raises(LLMNotFoundError):
        await llm.batch_status("openai:batch_0")
    batch = await llm.submit_batch(PLANETS, model="gpt-4o")
    await ended(llm, batch)
    [kept] = vendor.state.batches._kept.values()
    for metadata in (None, {}, {"llm_services_batch": "x"}, {"llm_services_batch": str(uuid4())}):
        kept["metadata"] = metadata
        with pytest.raises(LLMNotFoundError, match="no rows"):
            await collected(llm, batch.id)
    assert statuses() == ["pending"] * 3


async def test_parameters_that_a_model_refuses_are_left_out(llm: LLMServicesProvider) -> None:
    """They are left out of the line, and the row and the response say so."""
    requests = [
        BatchRequest(messages=said("x"), parameters={"temperature": 0.5}),
        BatchRequest(messages=said("y")),
    ]
    batch = await llm.submit_batch(requests, model="gpt-6-luna")
    assert [row["dropped_params"] is None for row in rows()].count(False) == 1
    results = await collected(llm, await ended(llm, batch))
    dropped = [results[key].response for key in "01"]
    assert [response and response.dropped_params for response in dropped] == [("temperature",), ()]


@pytest.mark.parametrize("size", [2, 3])
async def test_many_results_come_in_groups(
    llm: LLMServicesProvider, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """However results and rows are grouped, each comes once."""
    monkeypatch.setattr(batches, "_GROUP", size)
    monkeypatch.setattr(recording_batches, "_GROUP", size)
    requests = [BatchRequest(messages=said(str(n))) for n in range(4)]
    batch = await llm.submit_batch(requests, model="gpt-4o")
    results = [result async for result in llm.collect_batch(await ended(llm, batch))]
    assert sorted(result.key for result in results) == ["0", "1", "2", "3"]
    assert statuses() == ["completed"] * 4


async def test_without_a_ledger_nothing_is_sent(empty_database_url: str, vendor: Sandbox) -> None:
    """A batch whose rows cannot be written is not submitted."""
    async with open_llm_services() as llm:
        with pytest.raises(LLMRecordingError, match="alembic upgrade head"):
            await llm.submit_batch(PLANETS, model="gpt-4o")
    assert vendor.journal() == []


async def test_a_ledger_that_is_busy(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch does not wait for a database that is locked: its rows follow."""
    monkeypatch.setenv("LLM_WRITE_TIMEOUT", "0.6")
    async with open_llm_services() as llm:
        with get_engine().begin() as connection:
            connection.execute(text("UPDATE llm_requests SET feature = 'held'"))
            if connection.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE llm_requests IN ACCESS EXCLUSIVE MODE"))
            await llm.submit_batch(PLANETS, model="gpt-4o")
    assert statuses() == ["pending"] * len(PLANETS)


async def test_a_writer_that_is_busy(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Rows that nobody takes in time stop the batch, and none of them stays open."""
    runtime = llm._runtime  # type: ignore[attr-defined]
    runtime._writer._patience = 0
    with pytest.raises(LLMRecordingError, match="in 0 s"):
        await llm.submit_batch(PLANETS, model="gpt-4o")
    await runtime.close_ledger()
    assert vendor.journal() == []
    assert "pending" not in statuses()


async def test_a_ledger_that_does_not_answer(llm: LLMServicesProvider) -> None:
    """Without the rows nothing is collected, and the error is one of ours."""
    batch = await llm.submit_batch(PLANETS, model="gpt-4o")
    await ended(llm, batch)
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE llm_requests RENAME TO elsewhere"))
    with pytest.raises(LLMRecordingError, match="did not answer"):
        await collected(llm, batch.id)

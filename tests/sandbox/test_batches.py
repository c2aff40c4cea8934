"""The sandbox's batches: files in, files out, and each line's own end."""

import asyncio
import json
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types import Batch

GOOD = {"model": "gpt-4o", "input": "Bees make honey."}


def a_line(name: str, **parts: Any) -> dict[str, Any]:
    """A line of an input file."""
    return {"custom_id": name, "method": "POST", "url": "/v1/responses", "body": GOOD, **parts}


async def processed(client: AsyncOpenAI, content: bytes) -> Batch:
    """A batch of a file, when it has ended."""
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    assert (await client.files.retrieve(file.id)).bytes == len(content)
    batch = await client.batches.create(
        input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
    )
    async with asyncio.timeout(30):
        while batch.status == "validating":  # another thread's work
            batch = await client.batches.retrieve(batch.id)
    return batch


async def lines(client: AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    """What a file says of each request."""
    content = await client.files.content(file_id or "")
    return {line["custom_id"]: line for line in map(json.loads, content.text.splitlines())}


async def test_each_line_has_its_own_end(client: AsyncOpenAI) -> None:
    """Answers come in one file and errors in another, as from the vendor."""
    asked = [
        a_line("good"),
        a_line("fault", body={**GOOD, "model": "gpt-4o:status=500"}),
        a_line("wrong", body={**GOOD, "tone": "friendly"}),
        a_line("unreadable", body={**GOOD, "input": [7]}),
    ]
    batch = await processed(client, "\n".join(map(json.dumps, asked)).encode())
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 4, "completed": 1, "failed": 3}
    good, bad = await lines(client, batch.output_file_id), await lines(client, batch.error_file_id)
    assert good["good"]["response"]["body"]["object"] == "response"
    statuses = {name: line["response"]["status_code"] for name, line in bad.items()}
    assert statuses == {"fault": 500, "wrong": 400, "unreadable": 400}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"nonsense", "invalid_json_line"),
        (json.dumps(a_line("x", url="/v1/embeddings")).encode(), "mismatched_url"),
        (json.dumps(a_line("x", body={"model": "m:slow=x"})).encode(), "invalid_json_line"),
        (b" " * 0, "token_limit_exceeded"),
    ],
)
async def test_a_file_that_is_wrong_fails_the_batch(
    client: AsyncOpenAI, content: bytes, code: str
) -> None:
    """Nothing of it is processed, and the batch says why."""
    batch = await processed(client, content)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [error.code for error in batch.errors.data] == [code]


async def test_what_does_not_exist(client: AsyncOpenAI) -> None:
    """Unknown files and batches are not found; an unknown endpoint is refused."""
    with pytest.raises(NotFoundError):
        await client.files.retrieve("file-0")
    with pytest.raises(NotFoundError):
        await client.batches.retrieve("batch_0")
    file = await client.files.create(file=("in.jsonl", b"x"), purpose="batch")
    with pytest.raises(BadRequestError):
        await client.batches.create(
            input_file_id=file.id, endpoint="/v1/videos", completion_window="24h"
        )

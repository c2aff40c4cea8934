"""Vectors: what is sent and in how many requests, what is believed, what the row keeps."""

import base64
import json
import math
import struct
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr

from modules.llm_services.exceptions import LLMBadResponseError, LLMError, LLMInputError
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.providers.formats.embeddings import MAX_BYTES, batches
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.public import LLMServicesProvider, open_llm_services
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, Usage
from modules.llm_services.use_cases.parts import Alike
from sandbox import Sandbox
from tests.support.ledger import rows

TEXTS = ["Lava flows from a volcano.", "A volcano throws out lava.", "Bees make honey."]
HTTP = "http://house.test/v1"


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


def likeness(left: list[float], right: list[float]) -> float:
    """The cosine of two unit vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


async def test_similar_texts_lie_near_each_other(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Vectors come in the order of the texts; row, tokens and the vendor's journal agree."""
    vectors, request_id = await llm.generate_embeddings(TEXTS, feature="search")
    assert [len(vector) for vector in vectors] == [1536] * 3
    assert likeness(vectors[0], vectors[1]) > likeness(vectors[0], vectors[2])
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.operation, row.feature) == ("completed", "embedding", "search")
    assert (row.requested_model, row.model) == ("embedding", "text-embedding-3-small")
    assert row.messages == [{"role": "user", "content": text} for text in TEXTS]
    assert row.additional_params == {"texts": 3}
    [seen] = vendor.journal()
    assert (row.prompt_tokens, row.completion_tokens) == (seen.prompt_tokens, None)
    assert row.cost_estimate is not None
    assert row.cost_estimate > 0
    raw = row.response_raw
    assert raw is not None
    assert [part["data"] for part in raw["parts"]] == [{"vectors": 3, "dimensions": 1536}]


async def test_dimensions_are_asked_for(llm: LLMServicesProvider) -> None:
    """A model that can shorten its vectors does."""
    vectors, request_id = await llm.generate_embeddings(TEXTS, dimensions=64)
    assert [len(vector) for vector in vectors] == [64] * 3
    row = llm.get_request(request_id)
    assert row is not None
    assert row.additional_params == {"dimensions": 64, "texts": 3}


async def test_an_array_holds_the_same_numbers(llm: LLMServicesProvider) -> None:
    """NumPy gets float32, texts by dimensions, equal to the lists."""
    lists, _ = await llm.generate_embeddings(TEXTS, dimensions=8)
    array, _ = await llm.generate_embeddings(TEXTS, dimensions=8, as_array=True)
    assert (array.dtype.name, array.shape) == ("float32", (3, 8))
    assert array.tolist() == lists


async def test_many_texts_are_one_row(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """More than a request takes goes in several, in order; the row sums them and shows twenty."""
    texts = [f"word{n} lava" for n in range(2_050)]
    vectors, request_id = await llm.generate_embeddings(texts, dimensions=16)
    again, _ = await llm.generate_embeddings([texts[0], texts[2_049]], dimensions=16)
    assert len(vectors) == 2_050
    assert [vectors[0], vectors[2_049]] == again
    row = llm.get_request(request_id)
    assert row is not None
    assert row.retry_attempt == 2
    journal = [e for e in vendor.journal() if e.client_request_id == str(request_id)]
    assert row.prompt_tokens == sum(entry.prompt_tokens or 0 for entry in journal)
    assert row.messages is not None
    assert [message["content"] for message in row.messages] == texts[:20]
    assert row.additional_params == {"dimensions": 16, "texts": 2_050}


async def test_a_long_text_is_shortened_in_the_row(llm: LLMServicesProvider) -> None:
    """The row keeps how a text begins, in whole words, and how long it was."""
    _, request_id = await llm.generate_embeddings(["lava " * 1_000], dimensions=2)
    row = llm.get_request(request_id)
    assert row is not None
    assert row.messages is not None
    begins, end = row.messages[0]["content"].split("… ")
    assert end == "[5000 characters]"
    assert set(begins.split()) == {"lava"}
    assert 3_900 < len(begins) <= 4_000


@pytest.mark.parametrize(
    ("fault", "error_type", "attempts"),
    [
        ("status=400", "BadRequest", 1),
        ("status=500,retry_after_ms=1", "ProviderError", 3),
        ("empty", "BadResponse", 2),
        ("html", "BadResponse", 2),
    ],
)
async def test_a_failure_is_a_row(
    llm: LLMServicesProvider, fault: str, error_type: str, attempts: int
) -> None:
    """What goes wrong at the vendor is in the row, with its attempts."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_embeddings(TEXTS, model=f"openai:text-embedding-3-small:{fault}")
    assert caught.value.request_id is not None
    row = llm.get_request(caught.value.request_id)
    assert row is not None
    assert (row.status, row.error_type, row.retry_attempt) == ("failed", error_type, attempts)


async def test_missing_usage_is_unknown(llm: LLMServicesProvider) -> None:
    """Tokens that were not reported are NULL, and so is their cost."""
    _, request_id = await llm.generate_embeddings(
        TEXTS, model="openai:text-embedding-3-small:no_usage"
    )
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.prompt_tokens, row.cost_estimate) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"texts": "lava"}, "texts must be a list of str, not str"),
        ({"texts": None}, "texts must be a list of str, not None"),
        ({"texts": []}, "texts is empty"),
        ({"texts": ["a"] * 20_001}, "20001 entries; at most 20000"),
        ({"texts": ["a", " \n"]}, r"texts\[1\] is blank"),
        ({"texts": ["a", 7]}, r"texts\[1\] must be a str, not int"),
        ({"texts": ["\ud800"]}, "lone surrogate"),
        ({"texts": ["a" * 5_000_001] * 2}, "hold more than 10000000 characters"),
        ({"texts": ["a b " * 10_000]}, r"texts\[0\] has about \d+ tokens"),
        ({"texts": ["a"], "dimensions": 1_537}, "dimensions must be a whole number from 1 to 1536"),
        ({"texts": ["a"], "dimensions": 0}, "dimensions must be"),
        ({"texts": ["a"], "dimensions": True}, "dimensions must be"),
        (
            {"texts": ["a"], "dimensions": 9, "model": "text-embedding-ada-002"},
            "always gives 1536",
        ),
        ({"texts": ["a"], "as_array": 1}, "as_array must be True or False"),
        ({"texts": ["a"], "model": ""}, "model"),
        ({"texts": ["a"], "user_id": "me"}, "user_id"),
        ({"texts": ["a"], "dimesions": 5}, "did you mean dimensions"),
        ({"texts": ["a"], "timeout": 0}, "timeout"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_bad_input_is_refused_first(
    llm: LLMServicesProvider, vendor: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    """The error names the argument; nothing is sent, nothing is written."""
    with pytest.raises(LLMInputError, match=said):
        await llm.generate_embeddings(**arguments)
    assert vendor.journal() == []
    assert rows() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_without_numpy_nothing_is_paid(
    llm: LLMServicesProvider, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array that cannot be made is refused before anything is sent."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(LLMInputError, match=r"llm-services\[arrays\]"):
        await llm.generate_embeddings(TEXTS, as_array=True)
    assert vendor.journal() == []


def test_batches_keep_to_the_limits() -> None:
    """Neither too many texts nor too many bytes go into one request, and none is lost."""
    texts = ["é" * 50_000, "b" * 200_000, "c" * 100_001, "d", "e" * 400_000, "f"]
    made = batches(texts, "any")
    assert [text for batch in made for text in batch] == texts
    assert [len(batch) for batch in made] == [2, 2, 1, 1]
    assert all(len(b) == 1 or sum(len(t.encode()) for t in b) <= MAX_BYTES for b in made)
    assert [len(batch) for batch in batches(["a"] * 4_097, "any")] == [2_048, 2_048, 1]
    assert batches(["a b " * 2_500], "text-embedding-3-small") == [["a b " * 2_500]]


def coded(*numbers: float) -> str:
    """Float32 as the wire has it."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def item(index: object, embedding: object) -> dict[str, object]:
    """One vector on the wire."""
    return {"object": "embedding", "index": index, "embedding": embedding}


async def answered(
    texts: list[str], content: str, dimensions: int | None = None
) -> tuple[Reply, dict[str, Any]]:
    """What the adapter makes of a reply to texts, and what it sent."""
    seen: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, text=content, headers={"x-request-id": "r-1"})

    settings = ProviderSettings(api_key=SecretStr("k"), base_url=HTTP)
    adapter = OpenAIProvider("house", settings, "responses")
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    adapter._client = AsyncOpenAI(api_key="k", base_url=HTTP, max_retries=0, http_client=client)
    try:
        reply = await adapter.embed(a_call(dimensions), Attempt(number=1, seconds_left=9), texts)
    finally:
        await adapter.aclose()
    return reply, seen[0]


def a_call(dimensions: int | None = None) -> Call:
    """A call as the service freezes it."""
    given = {"texts": 2} if dimensions is None else {"texts": 2, "dimensions": dimensions}
    return Call(
        id=uuid7(),
        operation="embedding",
        provider="house",
        model="m",
        requested_model=None,
        messages=(),
        parameters=given,
        timeout=10,
        max_retries=0,
    )


def whole(*data: object, **more: object) -> str:
    """A reply's JSON, in which infinity is a number that is too large."""
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return json.dumps({"data": data, "model": "m-1", "usage": usage, **more})


async def test_vectors_are_put_into_order() -> None:
    """Indices decide; numbers in place of base64 are as good."""
    reply, sent = await answered(
        ["a", "b"], whole(item(1, [0.5, 1]), item(0, coded(0.25, -2))), dimensions=2
    )
    assert sent == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 2,
    }
    assert [list(vector) for vector in cast("Any", reply.parsed)] == [[0.25, -2], [0.5, 1]]
    assert (reply.model, reply.usage, reply.text) == ("m-1", Usage(prompt_tokens=4), "")
    assert (reply.http_status, reply.provider_request_id) == (200, "r-1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (whole(item(0, coded(1))), "1 vectors that are not those of 2 texts"),
        (whole(item(0, coded(1)), item(0, coded(1))), "not those of 2 texts"),
        (whole(item(0, coded(1)), item(2, coded(1))), "not those of 2 texts"),
        (whole(item(0, coded(1)), item(1, coded(1)), item(2, coded(1))), "3 vectors"),
        (whole(item(0, coded(1)), item(1, coded(1, 2))), r"vectors of \[1, 2\] numbers"),
        (whole(item(0, coded(1)), item(1, "AAAA")), "vector 1 that is not float32"),
        (whole(item(0, coded(1)), item(1, "?")), "vector 1 that is not float32"),
        (whole(item(0, coded(math.nan)), item(1, coded(1))), "vector 0 that is empty or not"),
        (whole(item(0, coded(math.inf, -math.inf)), item(1, coded(1, 1))), "not finite"),
        (whole(item(0, [1e39]), item(1, [1])), "not finite"),
        (whole(item(0, []), item(1, "")), "vector 0 that is empty"),
        (whole(item(0, [10**400]), item(1, [1])), "unexpected shape|not float32|not finite"),
        (whole(item(0, [None]), item(1, [1])), "unexpected shape"),
        (whole(item(-1, [1]), item(1, [1])), "unexpected shape at 'data.0.index'"),
        (whole(item("0", [1]), item(1, [1])), "unexpected shape"),
        (whole(usage={"prompt_tokens": -1}), "unexpected shape at 'usage.prompt_tokens'"),
        ('{"data": null}', "unexpected shape at 'data'"),
        ("[]", "JSON list"),
        ("<html>", "not JSON"),
    ],
)
async def test_what_is_no_vector_is_refused(content: str, said: str) -> None:
    """A success is believed when there is one finite vector of equal length for each text."""
    with pytest.raises(LLMBadResponseError, match=said) as caught:
        await answered(["a", "b"], content)
    assert (caught.value.status_code, caught.value.provider_request_id) == (200, "r-1")


async def test_other_dimensions_than_asked_are_refused() -> None:
    """Vectors that are longer than asked for don't fit the caller's index; their tokens count."""
    with pytest.raises(LLMBadResponseError, match=r"vectors of \[2\] numbers") as caught:
        await answered(["a"], whole(item(0, coded(1, 2))), dimensions=3)
    assert caught.value.usage == Usage(prompt_tokens=4)


async def test_parts_that_do_not_fit_together_are_an_error() -> None:
    """Vectors of different models cannot be compared, so a call does not mix them."""
    lengths = iter([3, 3, 4])

    async def invoke(_call: Call, _attempt: Attempt) -> Reply:
        return Reply(text="", model="m", parsed=next(lengths), usage=Usage(prompt_tokens=1))

    part: Callable[..., Any] = Alike(lambda reply: reply.parsed, "length").part(invoke)
    first = Attempt(number=1, seconds_left=9)
    assert [(await part(a_call(), first)).parsed for _ in range(2)] == [3, 3]
    with pytest.raises(LLMBadResponseError, match="differ in their length") as caught:
        await part(a_call(), first)
    assert caught.value.usage == Usage(prompt_tokens=1)

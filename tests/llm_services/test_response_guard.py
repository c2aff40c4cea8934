"""What a reply passes before it is read, on the HTTP client's own transport for tests."""

import gzip
import zlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from modules.llm_services.exceptions import LLMBadResponseError, LLMConnectionError
from modules.llm_services.providers import response_guard
from modules.llm_services.providers.key_mask import KeyMask
from modules.llm_services.providers.response_guard import content, guard, unconnected

LIMIT = 2**30
KEY = "SENTINEL+key/7f3a9c41d2e8b650="


class Pieces(httpx2.AsyncByteStream):
    """A body that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def guarded(status: int, packing: str | None, *pieces: bytes) -> httpx2.Response:
    """A reply as the SDK gets it, not read."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-encoding": packing} if packing else {}
        return httpx2.Response(status, headers=headers, stream=Pieces(*pieces))

    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport, event_hooks={"response": [guard]}) as http:
        request = http.build_request("GET", "http://house.test/", headers={"authorization": KEY})
        return await http.send(request, stream=True)


@pytest.mark.parametrize(
    ("packing", "packed"),
    [
        (None, b"hello"),
        ("identity", b"hello"),
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("GZIP", gzip.compress(b"hello", mtime=0)),
        ("x-gzip", gzip.compress(b"hello", mtime=0)),
        ("deflate", zlib.compress(b"hello")),
    ],
)
async def test_a_body_is_unpacked_however_it_is_cut(packing: str | None, packed: bytes) -> None:
    """A byte at a time, or all at once."""
    for pieces in ([packed], [packed[n : n + 1] for n in range(len(packed))]):
        assert await content(await guarded(200, packing, *pieces), LIMIT) == b"hello"


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip", "x" * 999, "gzip", "deflate"])
async def test_a_body_that_cannot_be_unpacked_is_no_answer(packing: str) -> None:
    """What was not asked for is refused, and so is what is not what it says."""
    with pytest.raises(LLMBadResponseError, match="packed as") as caught:
        await content(await guarded(200, packing, b"hello"), LIMIT)
    assert caught.value.status_code == 200
    assert len(caught.value.message) < 200


async def test_many_blanks_come_a_little_at_a_time() -> None:
    """However much a piece unfolds to, what is handed on at once is small."""
    response = await guarded(200, "gzip", gzip.compress(bytes(10**6)))
    sizes = [len(piece) async for piece in response.aiter_bytes()]
    assert sum(sizes) == 10**6
    assert max(sizes) <= 2**16


@pytest.mark.parametrize(("packing", "body"), [("gzip", b"no"), ("br", b"no"), ("gzip", b"")])
async def test_a_failure_that_cannot_be_unpacked_is_still_a_failure(
    packing: str, body: bytes
) -> None:
    """Its status says what it is."""
    assert await content(await guarded(500, packing, body), LIMIT) == b""


async def test_the_body_of_a_failure_is_cut() -> None:
    """Whoever reads a failure whole gets its beginning."""
    pieces = [b"x" * 10**5] * 10
    assert (
        len(await content(await guarded(500, None, *pieces), LIMIT))
        == response_guard._FAILURE_LIMIT
    )


async def test_the_key_leaves_with_the_request() -> None:
    """Errors hold the request, and what they hold is shown."""
    response = await guarded(200, None, b"")
    assert "authorization" not in response.request.headers
    await response.aclose()


async def test_a_reply_that_is_there_already_is_left_alone() -> None:
    """Some transports read the body themselves."""
    reply = httpx2.Response(200, content=b"hello", request=httpx2.Request("GET", "http://a.test"))
    reply.stream = httpx2.ByteStream(b"hello")
    await guard(reply)
    assert await reply.aread() == b"hello"


def test_no_connection_says_why() -> None:
    """Also when the SDK does not know."""
    assert isinstance(unconnected("a.test", None), LLMConnectionError)
    assert "unknown reason" in unconnected("a.test", None).message


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"Incorrect key: {KEY}.", "Incorrect key: ***."),
        ("the key SENTINEL**** is wrong", "the key *** is wrong"),
        ("SENTINEL%2Bkey%2F7f3a9c41d2e8b650%3D", "***"),
        ("U0VOVElORUwra2V5LzdmM2E5YzQxZDJlOGI2NTA9", "***"),
        ("nothing here", "nothing here"),
    ],
)
def test_a_key_is_masked_in_every_form(said: str, left: str) -> None:
    """Whole, begun, as URLs have it, and in base64."""
    assert KeyMask(KEY)(said) == left


def test_a_placeholder_masks_nothing() -> None:
    """A key of a few letters is part of too many words."""
    assert KeyMask("key")("the key is wrong") == "the key is wrong"
    assert KeyMask("house-key")("the house-key is house-made") == "the *** is house-made"


def test_all_words_of_an_error_are_masked() -> None:
    """Its facts, and what it prints."""
    error = LLMConnectionError(f"no {KEY}", provider_request_id=KEY, response_body=f"<{KEY}>")
    KeyMask(KEY).error(error)
    assert KEY[:8] not in f"{error} {error!r} {vars(error)}"
    other = ValueError(5, KEY)
    KeyMask(KEY).error(other)
    assert other.args == (5, "***")

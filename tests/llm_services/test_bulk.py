"""Megabytes: in a thread, piece by piece, and the same as when they are done at once."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from modules.llm_services import bulk
from modules.llm_services.public import (
    AudioPart,
    DocumentPart,
    ImagePart,
    LLMMessageDTO,
    TextPart,
    open_llm_services,
)
from modules.llm_services.types import Call
from sandbox import Sandbox
from tests.llm_services.test_openai_provider import FIRST, GOOD, a_call, provider
from tests.support.ledger import rows

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8)
LARGE_PNG = PNG + bytes(range(256)) * 4_000


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that a few characters are many of them."""
    monkeypatch.setattr(bulk, "_BYTES", 6)
    monkeypatch.setattr(bulk, "_CHARACTERS", 8)
    monkeypatch.setattr(bulk, "LARGE", 5)
    monkeypatch.setattr(bulk, "_JSON", 0)


PATCHED = settings(max_examples=50, deadline=None)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(0, 9) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.usefixtures("small_pieces")
def test_base64_in_pieces_is_base64() -> None:
    """There and back."""

    @PATCHED
    @given(st.binary(max_size=60), st.text(max_size=3))
    def check(data: bytes, head: str) -> None:
        text = bulk.encoded(data)
        assert text == base64.b64encode(data).decode()
        assert bulk.decoded(head + text, len(head)) == data

    check()


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "text", ["a", "ab-_", "abcdefg=abcd", "abcdabcd=", "abcdabcdabé=", "====" * 3]
)
def test_what_is_no_base64_is_refused_in_pieces_too(text: str) -> None:
    """Also padding that only looks right where a piece ends."""
    with pytest.raises(ValueError, match=r"(?i)padding|base64|ascii"):
        bulk.decoded(text)


@pytest.mark.usefixtures("small_pieces")
def test_json_in_pieces_is_json() -> None:
    """Every value that a request may hold, escapes included, and no piece that is needless."""

    @PATCHED
    @given(st.dictionaries(st.text(), TREES))
    def check(value: dict[str, Any]) -> None:
        pieces = bulk.json_pieces(value)
        assert json.loads(b"".join(pieces)) == json.loads(json.dumps(value))
        assert all(len(piece) >= 5 for piece in pieces[:-1])

    check()


ESCAPED = st.text('a"\\\\/\n\x7fé河\U0001f30a\ud83d\ude00', min_size=8, max_size=60)
DAMAGE = [b"NaN", b"-Infinity", b'"', b"\\", b"\xff", b"\xed\xa0\x80", b"\n", b"]"]


@pytest.mark.usefixtures("small_pieces")
def test_json_is_read_in_pieces_as_at_once() -> None:
    """Whatever it holds and however it is escaped; pairs of escapes are not torn apart."""

    @PATCHED
    @given(
        st.lists(TREES | ESCAPED) | st.dictionaries(ESCAPED, ESCAPED),
        st.sampled_from([True, False]),
    )
    def check(value: object, is_ascii: Any) -> None:
        text = json.dumps(value, ensure_ascii=is_ascii)
        try:
            body = text.encode()
        except UnicodeEncodeError:
            return
        try:
            read = bulk.parsed_json(body)
        except ValueError:  # a lone surrogate in a name: the fast parser says no
            assert "\\ud" in text
        else:
            assert read == json.loads(text)

    check()


@pytest.mark.usefixtures("small_pieces")
def test_what_is_no_json_is_none_in_pieces() -> None:
    """Wherever it is damaged: the same value, or the same complaint, as at once."""

    @PATCHED
    @given(
        st.lists(st.text(max_size=30) | st.floats(0, 9)),
        st.sampled_from(DAMAGE),
        st.integers(0, 60),
    )
    def check(value: object, damage: bytes, place: int) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        damaged = body[:place] + damage + body[place:]
        assert outcome(bulk.parsed_json, damaged) == outcome(at_once, damaged)

    check()


def at_once(body: bytes) -> object:
    """What the fast parser says."""
    return from_json(body, allow_inf_nan=False)


def outcome(parse: Callable[[bytes], object], body: bytes) -> object:
    """A value, or that there is none."""
    try:
        return parse(body)
    except ValueError as error:
        return str(error)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "value",
    [
        "a" * 100,
        "\\" * 99,
        '"\\"' * 30,
        "\U0001f30a" * 20,
        "\ud83d" * 20,
        {"a": ["b" * 90, {"c": 1.5, "d": -7, "e": None}, "f" * 90]},
    ],
    ids=repr,
)
def test_large_json_is_read_in_turns(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the parser that lets others have their turn, and not by the one that is fast."""
    monkeypatch.delattr(bulk, "from_json")
    assert bulk.parsed_json(json.dumps(value).encode()) == value


def test_small_json_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what nearly all of it is."""
    monkeypatch.delattr(bulk, "json")
    assert bulk.parsed_json(b'{"a": [1, "b"]}') == {"a": [1, "b"]}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("text", "place"), [("河" * 20, -1), ("a" * 20, -1), ("河" * 20 + "\udc00", 20), ("\ud800", 0)]
)
def test_half_a_character_is_found_in_pieces(text: str, place: int) -> None:
    """Its place is that in the whole."""
    assert bulk.lone_surrogate(text) == place


UNCHECKED: Any = TextPart


def said(*parts: object) -> list[LLMMessageDTO]:
    """A message of these parts."""
    return [LLMMessageDTO(role="user", content=parts)]


@pytest.mark.parametrize(
    ("messages", "weight"),
    [
        (None, 0),
        ("text", 0),
        ([], 0),
        ([None, "a", 7], 0),
        ([LLMMessageDTO.model_construct(role="user")], 0),
        ([LLMMessageDTO(role="user", content="four")] * 2, 8),
        ((LLMMessageDTO(role="user", content=7),), 0),
        (said(None, 7, TextPart(text="four"), UNCHECKED.model_construct(text=7)), 4),
        (said(ImagePart(data=b"12345"), DocumentPart(data=7), AudioPart()), 5),
        (said(ImagePart(url="https://a")), 9),
        (said(ImagePart(url="FILE:///a")), bulk.LARGE),
        ([None] * 501, bulk.LARGE),
    ],
)
def test_a_conversation_is_weighed_before_it_is_checked(messages: object, weight: int) -> None:
    """Whatever a caller hands in has a weight, and none of it an error."""
    assert bulk.weight(messages) == weight


async def test_only_what_is_large_pays_for_a_thread() -> None:
    """Small work is done where it is."""
    here = threading.get_ident()
    assert await bulk.off_loop(bulk.LARGE - 1, threading.get_ident) == here
    assert await bulk.off_loop(bulk.LARGE, threading.get_ident) != here


def showing(data: bytes) -> Call:
    """A call with a picture that is checked already."""
    part = ImagePart(data=data, media_type="image/png")
    return replace(a_call(), messages=(LLMMessageDTO(role="user", content=(part,)),))


@pytest.mark.parametrize("data", [PNG, LARGE_PNG], ids=["small", "large"])
async def test_a_body_is_the_same_however_it_was_made(data: bytes) -> None:
    """Its length is said, for not every server takes a body without one."""
    seen: list[tuple[httpx2.Headers, bytes]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.headers, request.content))
        return httpx2.Response(200, json=GOOD)

    adapter = provider(answer)
    await adapter.generate_text(showing(data), FIRST)
    await adapter.aclose()
    [(headers, body)] = seen
    assert int(headers["content-length"]) == len(body)
    assert "transfer-encoding" not in headers
    assert headers["content-type"] == "application/json"
    [message] = json.loads(body)["input"]
    assert message["content"][0]["image_url"] == (
        "data:image/png;base64," + base64.b64encode(data).decode()
    )


@pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["responses", "chat"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_large_call_is_a_call(
    options: Any,
    database_url: str,
    vendor: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From bytes, from a data URL and from a file, streamed or not: answered and recorded."""
    monkeypatch.setenv("LLM_MEDIA_DIR", str(tmp_path))
    file = tmp_path / "large.png"
    file.write_bytes(LARGE_PNG)
    url = "data:image/png;base64," + base64.b64encode(LARGE_PNG).decode()
    shown = [ImagePart(data=LARGE_PNG), ImagePart(url=url), ImagePart(url=file.as_uri())]
    async with open_llm_services() as llm:
        for part in shown:
            asked = said(TextPart(text="What is this?"), part)
            response, _ = await llm.generate_response(asked, model="gpt-4o", **options)
            assert response.content
        async with llm.stream_response(said(shown[0]), model="gpt-4o", **options) as stream:
            assert [piece async for piece in stream.text()]
    for row in rows():
        assert row["status"] == "completed"
        assert hashlib.sha256(LARGE_PNG).hexdigest() in str(row["messages"])
    assert len(vendor.journal()) == 4

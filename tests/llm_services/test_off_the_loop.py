"""Megabytes, and code that is not ours, keep nobody waiting: they are worked on in threads."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator, model_validator

import sandbox
from modules.llm_services import bulk, recorded_stream, tokens
from modules.llm_services.limits.rules import demand
from modules.llm_services.providers import openai, streaming
from modules.llm_services.public import BatchRequest, LLMMessageDTO, open_llm_services
from modules.llm_services.redaction import (
    beginning_without_files,
    binaries,
    without_encoded_files,
)
from modules.llm_services.use_cases import streams
from tests.llm_services.test_openai_provider import FIRST, GOOD, a_call, provider
from tests.llm_services.test_payload import BASE64
from tests.support.ledger import rows

ONE_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SHORT = [LLMMessageDTO(role="user", content="Name a planet.")]
LONG = [LLMMessageDTO(role="user", content="Sand. " * 50_000)]


class Places:
    """The threads in which functions ran, which do what they always do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.seen: list[int] = []

    def note(self, module: object, name: str) -> None:
        """Note where a function runs from now on."""
        real: Callable[..., Any] = getattr(module, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.here()
            return real(*args, **kwargs)

        self._monkeypatch.setattr(module, name, noted)

    def here(self) -> None:
        """Note the thread that asks."""
        self.seen.append(threading.get_ident())

    @property
    def on_the_loop(self) -> set[bool]:
        """Whether that was the loop's thread, which is the one that asks now."""
        return {ident == threading.get_ident() for ident in self.seen}


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    """Nothing seen yet."""
    return Places(monkeypatch)


@pytest.mark.parametrize("size", [10, bulk.LARGE])
async def test_a_large_answer_is_read_in_a_thread(size: int, places: Places) -> None:
    """A small one is not: the way to a thread would take longer."""
    said = json.loads(json.dumps(GOOD))
    said["output"][0]["content"][0]["text"] = "x" * size
    adapter = provider(lambda _: httpx2.Response(200, json=said))
    places.note(openai, "read_reply")
    reply = await adapter.generate_text(a_call(), FIRST)
    await adapter.aclose()
    assert len(reply.text) == size
    assert places.on_the_loop == {size < bulk.LARGE}


async def test_the_large_event_of_a_stream_is_read_in_a_thread(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one of the Responses API repeats the whole answer; the others are small."""
    said = json.loads(json.dumps(GOOD))
    said["output"][0]["content"][0]["text"] = "x" * bulk.LARGE
    delta = {"type": "response.output_text.delta", "delta": "x"}
    events = [delta, {"type": "response.completed", "response": said}]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    head = {"content-type": "text/event-stream"}
    adapter = provider(lambda _: httpx2.Response(200, content=body, headers=head))
    stream = await adapter.stream_text(replace(a_call(), stream=True), FIRST)
    real = stream._reader.feed

    def feed(event: Any) -> Any:
        places.here()
        return real(event)

    monkeypatch.setattr(stream._reader, "feed", feed)
    assert [piece async for piece in stream]
    await stream.aclose()
    await adapter.aclose()
    loop = threading.get_ident()
    assert [ident == loop for ident in places.seen] == [True, False]
    assert isinstance(stream, streaming.ProviderStream)


@ONE_SQLITE
@pytest.mark.parametrize("messages", [SHORT, LONG], ids=["cold", "long"])
async def test_what_a_broken_stream_took_is_counted_in_a_thread(
    messages: list[LLMMessageDTO],
    database_url: str,
    vendor: sandbox.Sandbox,
    places: Places,
) -> None:
    """A long prompt takes a while, and the first one loads the encoding, which takes a second."""
    places.note(recorded_stream, "count_messages")
    if messages is SHORT:
        tokens._load_encoding.cache_clear()
    else:
        tokens.warm()
    async with (
        open_llm_services() as llm,
        llm.stream_response(messages, model="gpt-4o") as stream,
    ):
        await anext(aiter(stream))
    [row] = rows()
    assert (row["status"], row["usage_source"]) == ("cancelled", "estimated")
    assert row["prompt_tokens"] > 0
    assert places.on_the_loop == {False}


@ONE_SQLITE
async def test_validators_of_a_batch_run_in_a_thread(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """Hundreds of answers are validated when a batch is collected."""
    places: list[int] = []

    class Planet(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _note(cls, name: str) -> str:
            places.append(threading.get_ident())
            return name

    wanted = [BatchRequest(key=str(n), messages=SHORT, response_model=Planet) for n in range(3)]
    async with open_llm_services() as llm:
        batch = await llm.submit_batch(wanted, model="gpt-4o")
        while not (await llm.batch_status(batch.id)).ended:
            pass
        found = [one async for one in llm.collect_batch(batch.id, [Planet])]
    assert all(isinstance(one.parsed, Planet) for one in found)
    assert len(places) >= 3
    assert threading.get_ident() not in places


@ONE_SQLITE
async def test_validators_of_a_growing_object_run_in_a_thread(
    database_url: str, vendor: sandbox.Sandbox
) -> None:
    """What they raise of an object that is half known, and be it anything, says nothing yet."""
    places: list[int] = []

    class Planet(BaseModel):
        name: str
        moons: list[str]

        @model_validator(mode="after")
        def _count(self) -> "Planet":
            places.append(threading.get_ident())
            assert len(self.moons) >= 0  # a TypeError while they are not known
            return self

    async with (
        open_llm_services() as llm,
        llm.stream_structured_response(SHORT, Planet, model="gpt-4o") as stream,
    ):
        grown = [one async for one in stream]
        assert grown[-1].name == stream.result.name
    assert threading.get_ident() not in places


@ONE_SQLITE
async def test_a_long_object_is_read_now_and_then(
    database_url: str, vendor: sandbox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with every piece: the whole would be read as often as it has pieces."""
    monkeypatch.setattr(streams, "_LONG", 0)
    monkeypatch.setattr(streams, "_WORTH_READING", 100)

    class Planet(BaseModel):
        name: str
        moons: list[str]

    async with (
        open_llm_services() as llm,
        llm.stream_structured_response(SHORT, Planet, model="gpt-4o") as stream,
    ):
        grown = [one async for one in stream]
        assert len(grown) <= 1
        assert stream.result.name


def test_long_texts_are_told_apart_by_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made in pieces; of short ones the text itself stands there."""
    monkeypatch.setattr(bulk, "_CHARACTERS", 8)
    assert bulk.identity("12345678") == "12345678"
    assert bulk.identity("123456789") == bulk.identity("1234" + "56789")
    assert bulk.identity("123456789") != bulk.identity("123456780")
    assert bulk.identity("\ud800" * 9) != bulk.identity("\ud801" * 9)


def test_the_beginning_of_a_text_is_what_it_was() -> None:
    """Files in it are replaced as in the whole, wherever the piece that is looked at ends."""
    pieces = st.sampled_from(["word ", "河流", BASE64, f"data:image/png;base64,{BASE64}== ", "\n"])

    @settings(max_examples=100, deadline=None)
    @given(st.lists(pieces, max_size=12).map("".join), st.integers(1, 3_000))
    def check(text: str, wanted: int) -> None:
        whole = without_encoded_files(text)
        assert beginning_without_files(text, wanted)[:wanted] == whole[:wanted]

    check()


def test_of_a_long_prompt_the_beginning_says_how_much_it_takes() -> None:
    """Limits need to know it at once, and roughly."""
    call = replace(a_call(), messages=(LLMMessageDTO(role="user", content="河流" * 100_000),))
    assert demand(call) == 500 + 150_001


def test_a_long_text_is_estimated_piece_by_piece() -> None:
    """With the same result but for what is cut."""
    text = "Rivers carry sand to the sea. " * 5_000
    once = tokens._estimated_tokens(text)
    assert tokens.estimate_text_tokens(text) == pytest.approx(once, rel=0.01)


def test_files_are_found_in_pieces_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search through megabytes gives nobody else a turn."""
    monkeypatch.setattr(binaries, "_PIECE", 7)
    letters = "[A-Za-z0-9+/_-]"
    data_url = r"data:([\w.+/-]{1,80})(?:;[\w.=-]{1,40}){0,3};base64,"
    at_once = re.compile(rf"(?:{data_url})?({letters}{{512,}}=*)")
    half = BASE64[: len(BASE64) // 2]
    heads = ["data:image/png;base64,", "data:a;b=c;base64,", "data:;base64,", "data:", ";base64,"]
    pieces = st.sampled_from([*heads, BASE64, half, "A" * 600, "a" * 200, "=", " ", ",", "河"])

    def told(run: re.Match[str]) -> str:
        described = without_encoded_files(run[2])
        return described.replace("base64", run[1] or "base64") if described != run[2] else run[0]

    @settings(max_examples=200, deadline=None)
    @given(st.lists(pieces, max_size=12).map("".join))
    def check(text: str) -> None:
        assert without_encoded_files(text) == at_once.sub(told, text)

    check()

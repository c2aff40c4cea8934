"""A canary in prompts and answers turns up in no sink, whatever becomes of the call."""

import asyncio
import io
import json
import wave
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from modules.llm_services.public import (
    BatchRequest,
    DocumentPart,
    LLMError,
    LLMMessageDTO,
    LLMServicesProvider,
    TextPart,
    open_llm_services,
)
from modules.llm_services.types import JsonValue
from sandbox import Sandbox, png
from tests.support.canary import (
    CARD,
    KEY,
    PERSON,
    WORD,
    Sinks,
    quoting_vendor,
    watched,
)
from tests.support.ledger import rows

Ask = Callable[[LLMServicesProvider], Awaitable[Any]]

TOLD = f"Tell of {WORD}: write to {PERSON}, pay with {CARD}, the key is {KEY}."
ASKED = [LLMMessageDTO(role="user", content=TOLD)]
CONTEXT: Mapping[str, JsonValue] = {"about": TOLD, PERSON: 1}
PICTURE = png.encode(16, 16, [bytes(16)] * 16, [(9, 9, 9)])


def _sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 800, "NONE", ""))
        sound.writeframes(bytes(1600))
    return file.getvalue()


class Bird(BaseModel):
    """Something that an answer can be."""

    name: str
    about: str


class Picky(BaseModel):
    """Refuses every answer, and says which."""

    name: str

    @field_validator("name")
    @classmethod
    def _refuse(cls, value: str) -> str:
        raise ValueError(f"not {value!r}, and not {WORD}, {PERSON} or {CARD}")


def look_up(bird: str) -> str:
    """Look up a bird."""
    return f"{bird}: {TOLD}"


def break_down(bird: str) -> str:
    """Look up a bird, in vain."""
    raise ValueError(f"{bird}: {TOLD}")


async def _stream(llm: LLMServicesProvider, model: str, *, most: int = 10**6) -> None:
    async with llm.stream_response(ASKED, model=model) as stream:
        async for _ in stream:
            most -= 1
            if most <= 0:
                break


async def _object_stream(llm: LLMServicesProvider) -> None:
    async with llm.stream_structured_response(ASKED, Bird) as stream:
        async for _ in stream:
            pass


async def _cancelled(llm: LLMServicesProvider) -> None:
    before = len(rows())
    call = asyncio.create_task(llm.generate_response(ASKED, model="openai:gpt-4o:slow=60"))
    while len(rows()) == before:  # noqa: ASYNC110 - another thread writes it
        await asyncio.sleep(0.05)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call


async def _batch(llm: LLMServicesProvider) -> None:
    requests = [
        BatchRequest(messages=ASKED, parameters={"metadata": {"who": PERSON}}),
        BatchRequest(messages=ASKED, response_model=Picky),
    ]
    batch = await llm.submit_batch(requests, model="gpt-4o")
    while not (await llm.batch_status(batch.id)).ended:  # noqa: ASYNC110 - the vendor's
        await asyncio.sleep(0.05)
    async for _ in llm.collect_batch(batch.id, [Picky]):
        pass


def _parts() -> list[LLMMessageDTO]:
    document = DocumentPart(data=b"%PDF-1.4\n%%EOF", filename="canary.pdf")
    return [LLMMessageDTO(role="user", content=[TextPart(text=TOLD), document], name="ann")]


FEW: Mapping[str, Ask] = {
    "text": lambda llm: llm.generate_response(
        ASKED, model="gpt-4o", stop=[PERSON], metadata={PERSON: WORD}, context=CONTEXT
    ),
    "stream": lambda llm: _stream(llm, "gpt-4o"),
    "validation": lambda llm: llm.generate_structured_response(ASKED, Picky),
    "batch": _batch,
}
MANY: Mapping[str, Ask] = {
    **FEW,
    "parts": lambda llm: llm.generate_response(_parts()),
    "object": lambda llm: llm.generate_structured_response(ASKED, Bird),
    "broken object": lambda llm: llm.generate_structured_response(
        ASKED, Bird, model="openai:gpt-4o:broken_json"
    ),
    "refusal": lambda llm: llm.generate_response(ASKED, model="openai:gpt-4o:refuse"),
    "filter": lambda llm: llm.generate_response(ASKED, model="openai:gpt-4o:filter"),
    "failed": lambda llm: llm.generate_response(ASKED, model="openai:gpt-4o:failed"),
    "garbage": lambda llm: llm.generate_response(ASKED, model="openai:gpt-4o:garbage"),
    "unauthorised": lambda llm: llm.generate_response(ASKED, model="openai:gpt-4o:status=401"),
    "cancel": _cancelled,
    "cut stream": lambda llm: _stream(llm, "openai:gpt-4o:cut=8"),
    "severed stream": lambda llm: _stream(llm, "openai:gpt-4o:sever=8"),
    "left stream": lambda llm: _stream(llm, "gpt-4o", most=3),
    "object stream": _object_stream,
    "tools": lambda llm: llm.run_tools(
        [LLMMessageDTO(role="user", content=f"Call look_up for {WORD}. {TOLD}")], [look_up]
    ),
    "broken tools": lambda llm: llm.run_tools(
        [LLMMessageDTO(role="user", content=f"Call break_down for {WORD}. {TOLD}")], [break_down]
    ),
    "image": lambda llm: llm.generate_image(TOLD, style=f"like {WORD}"),
    "edited image": lambda llm: llm.edit_image(TOLD, PICTURE),
    "search": lambda llm: llm.search_web([TOLD], location={"city": WORD}),
    "embeddings": lambda llm: llm.generate_embeddings([TOLD, "x" * 3_990 + " " + PERSON]),
    "speech": lambda llm: llm.generate_audio(TOLD, instructions=TOLD),
    "transcript": lambda llm: llm.transcribe_audio(_sound(), prompt=TOLD, keywords=[WORD]),
}


@pytest.fixture
def sinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, vendor: Sandbox
) -> Iterator[Sinks]:
    """Everything that is written anywhere; on SQLite the database's own files, too."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("LLM_REDACTORS", "tests.support.canary:without_the_word")
    with watched(tmp_path, monkeypatch) as sinks:
        yield sinks


async def _run(kinds: Mapping[str, Ask], sinks: Sinks) -> None:
    async with open_llm_services() as llm:
        for ask in kinds.values():
            try:
                await ask(llm)
            except LLMError as error:
                sinks.errors.append(error)


def _kinds(database_url: str) -> Mapping[str, Ask]:
    return MANY if database_url.startswith("sqlite") else FEW


@pytest.mark.parametrize("mode", ["none", "redacted"])
async def test_no_sink_holds_a_canary(
    mode: str, sinks: Sinks, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, files, the database's own pages and all logs at DEBUG: nothing anybody said."""
    monkeypatch.setenv("LLM_PAYLOAD_MODE", mode)
    kinds = _kinds(database_url)
    await _run(kinds, sinks)
    assert sinks.found() == []
    assert sinks.key_in_errors() == []
    logged = rows()
    assert len(logged) >= len(kinds)
    assert {row["payload_state"] for row in logged} == {mode}
    assert all(row["prompt_tokens"] for row in logged if row["operation"] == "structured")
    if mode == "none":
        assert not any(row["response_content"] or row["output_preview"] for row in logged)


async def test_the_key_is_kept_nowhere_in_full(sinks: Sinks, database_url: str) -> None:
    """What is kept in full is kept without the keys in it; everything else is there."""
    await _run(FEW, sinks)
    assert sinks.found(KEY) == []
    assert sinks.key_in_errors() == []
    assert sinks.found(WORD, PERSON, CARD)
    assert not [line for line in sinks.lines if WORD in line]


@pytest.mark.parametrize("mode", ["none", "redacted"])
@pytest.mark.parametrize("path", ["400/v1", "429/v1", "500/v1", "page/v1", "odd/v1"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_vendor_that_quotes_tells_no_sink(
    path: str, mode: str, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, a page or an odd reply that quotes prompt and key is not written down."""
    monkeypatch.setenv("LLM_PAYLOAD_MODE", mode)
    monkeypatch.setenv("MAX_RETRIES", "0")
    with quoting_vendor() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/{path}")
        await _run({"text": FEW["text"], "stream": FEW["stream"]}, sinks)
    assert sinks.found() == []
    assert len(sinks.errors) == 2
    assert not [error for error in sinks.errors if KEY in repr(error)]
    for row in rows():
        assert row["status"] == "failed"
        assert row["error_type"]
        assert row["error_message"].startswith("LLM" if mode == "none" else ("HTTP", "the"))


async def test_a_call_may_ask_for_less_but_not_for_more(
    sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stricter of the setting and the call's keyword wins."""
    async with open_llm_services() as llm:
        await llm.generate_response(ASKED, payload_mode="none")
        await llm.generate_embeddings([TOLD], payload_mode="redacted")
    monkeypatch.setenv("LLM_PAYLOAD_MODE", "redacted")
    async with open_llm_services() as llm:
        await llm.generate_response(ASKED, payload_mode="full")
    assert [row["payload_state"] for row in rows()] == ["none", "redacted", "redacted"]
    assert sinks.found() == []


@pytest.mark.parametrize("name", ["that_fails", "that_gives_nothing"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_a_redactor_chokes_on_is_withheld(
    name: str, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is written without content, the caller gets the answer, the log says why once."""
    monkeypatch.setenv("LLM_REDACTORS", f"tests.support.canary:{name}")
    monkeypatch.setenv("LLM_PAYLOAD_MODE", "redacted")
    async with open_llm_services() as llm:
        for _ in range(3):
            response, _id = await llm.generate_response(ASKED)
            assert response.content
    assert sinks.found() == []
    assert [row["payload_state"] for row in rows()] == ["none"] * 3
    assert len([line for line in sinks.lines if "is withheld" in line]) <= 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_prompt_forges_no_line_of_a_log(
    sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks like a line of a log is stored as it was said, and is in no log."""
    forged = "x\r\n2026-11-22 ERROR admin forged\u2028\x1b[31mforged\x85forged"
    asked = [LLMMessageDTO(role="user", content=forged)]
    with quoting_vendor() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/400/v1")
        await _run({"text": lambda llm: llm.generate_response(asked)}, sinks)
    [row] = rows()
    assert json.loads(row["messages"])[0]["content"] == forged
    assert not [line for line in sinks.lines if "forged" in line]

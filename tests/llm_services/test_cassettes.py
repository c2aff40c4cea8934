"""What real calls answered is played to tests, to the very requests that were made."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from modules.llm_services.public import (
    LLMError,
    LLMMessageDTO,
    LLMServicesProvider,
    LLMValidationError,
    open_llm_services,
)
from modules.llm_services.testing import FakeLLMServices, UnscriptedError, cassette_from
from sandbox import Sandbox
from tests.contract.kinds import SOUND, get_weather

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Bird(BaseModel):
    """Something that an answer can be."""

    name: str
    eggs: int


def ask(text: str) -> list[LLMMessageDTO]:
    """A conversation of one message."""
    return [LLMMessageDTO(role="user", content=text)]


async def talk(llm: LLMServicesProvider) -> tuple[list[Any], list[UUID]]:
    """Calls of every kind that can be played, what they answered, and their rows."""
    text, one = await llm.generate_response(ask("Tell of owls."), temperature=0, model="gpt-4o")
    bird, two = await llm.generate_structured_response(ask("An owl."), Bird, model="fast")
    weather = ask("Call get_weather for Oslo: do I need a coat?")
    run, _ = await llm.run_tools(weather, [get_weather])
    heard, three = await llm.transcribe_audio(SOUND)
    async with llm.stream_response(ask("Stream owls.")) as stream:
        told = "".join([piece async for piece in stream.text()])
    said = [text.content, text.tokens_used, bird, run.response.content, heard.text, told]
    return said, [one, two, *run.request_ids, three, stream.request_id]


@pytest.fixture
async def real(database_url: str, vendor: Sandbox) -> Any:
    """The real module; its vendor is the sandbox."""
    async with open_llm_services() as llm:
        yield llm


async def test_a_cassette_answers_as_the_vendor_did(
    real: LLMServicesProvider, tmp_path: Path
) -> None:
    """Text, objects, streams, tools, transcripts: the same words and tokens, without a vendor."""
    said, request_ids = await talk(real)
    cassette_from(real, request_ids, tmp_path / "owls.json")
    with FakeLLMServices.from_cassette(tmp_path / "owls.json") as fake:
        assert (await talk(fake))[0] == said
        with pytest.raises(UnscriptedError, match="every take has been played"):
            await fake.generate_response(ask("Tell of owls."), temperature=0, model="gpt-4o")


async def test_a_chat_endpoints_tools_are_played(
    real: LLMServicesProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls of tools are read from the vendor's own JSON, of either format."""
    monkeypatch.setenv("LLM_PROVIDERS__OPENAI__API", "chat")
    weather = ask("Call get_weather for Oslo: do I need a coat?")
    async with open_llm_services() as chat:
        response, request_id = await chat.generate_response(weather, tools=[get_weather])
        cassette_from(chat, [request_id], tmp_path / "chat.json")
    assert response.tool_calls
    with FakeLLMServices.from_cassette(tmp_path / "chat.json") as fake:
        played, again = await fake.generate_response(weather, tools=[get_weather])
        assert [(c.id, c.arguments) for c in played.tool_calls] == [
            (c.id, c.arguments) for c in response.tool_calls
        ]
        cassette_from(fake, [again], tmp_path / "again.json")
    kept = [json.loads((tmp_path / name).read_text()) for name in ("chat.json", "again.json")]
    assert kept[0] == kept[1]


Change = Callable[[LLMServicesProvider], Awaitable[Any]]
CHANGES: dict[str, tuple[Change, str]] = {
    "words": (lambda llm: llm.generate_response(ask("Tell of rooks.")), "Tell of rooks."),
    "temperature": (
        lambda llm: llm.generate_response(ask("Tell of owls."), temperature=0.5),
        '"temperature": 0.5',
    ),
    "model": (
        lambda llm: llm.generate_response(ask("Tell of owls."), model="gpt-4o"),
        '"model": "gpt-4o"',
    ),
    "kind": (
        lambda llm: llm.generate_structured_response(ask("Tell of owls."), Bird),
        '"response_model": "Bird"',
    ),
    "option": (lambda llm: llm.generate_response(ask("Tell of owls."), top_p=0.5), '"top_p"'),
}


@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=list(CHANGES))
async def test_any_other_request_is_refused(
    change: Change, told: str, real: LLMServicesProvider, tmp_path: Path
) -> None:
    """The failure shows what differs from the nearest take."""
    _, request_id = await real.generate_response(ask("Tell of owls."))
    cassette_from(real, [request_id], tmp_path / "owls.json")
    with FakeLLMServices.from_cassette(tmp_path / "owls.json") as fake:
        with pytest.raises(UnscriptedError, match="not on the cassette") as caught:
            await change(fake)
        assert any(told in line for line in str(caught.value).splitlines() if line[0] == "+")
        fake.answers("scripted", times=1)
        assert (await fake.generate_response(ask("Else.")))[0].content == "scripted"


async def test_failures_are_played(real: LLMServicesProvider, tmp_path: Path) -> None:
    """With their class and what had been said."""
    model = "openai:gpt-4o:invalid_json"
    with pytest.raises(LLMValidationError) as first:
        await real.generate_structured_response(ask("Owl."), Bird, model=model, max_retries=0)
    with pytest.raises(LLMError) as second:
        await real.generate_response(ask("Owl."), model="openai:gpt-4o:status=404", max_retries=0)
    rows = [caught.value.request_id for caught in (first, second)]
    cassette_from(real, [row for row in rows if row], tmp_path / "owls.json")
    with FakeLLMServices.from_cassette(tmp_path / "owls.json") as fake:
        with pytest.raises(LLMValidationError) as played:
            await fake.generate_structured_response(ask("Owl."), Bird, model=model)
        assert played.value.last_text == first.value.last_text
        with pytest.raises(type(second.value)):
            await fake.generate_response(ask("Owl."), model="openai:gpt-4o:status=404")


async def test_a_cassette_is_redacted(real: LLMServicesProvider, tmp_path: Path) -> None:
    """By the ledger's policy, and by a function that recorder and player share."""
    told = ask("Tell ann@example.com of Minerva's owl.")
    _, masked = await real.generate_response(told, payload_mode="redacted")
    _, plain = await real.generate_response(told, temperature=0.5)

    def redact(text: str) -> str:
        return text.replace("Minerva", "somebody")

    path = tmp_path / "owls.json"
    cassette_from(real, [masked, plain], path, redact=redact)
    kept = json.loads(path.read_text())
    assert "Minerva" not in path.read_text()
    assert "ann@example.com" not in json.dumps(kept["takes"][0])
    with FakeLLMServices.from_cassette(path, redact=redact) as fake:
        await fake.generate_response(told)
        await fake.generate_response(told, temperature=0.5)
    with FakeLLMServices.from_cassette(path) as fake, pytest.raises(UnscriptedError):
        await fake.generate_response(told)


async def test_what_cannot_be_played_is_refused_by_name(
    real: LLMServicesProvider, tmp_path: Path
) -> None:
    """Before anything is written: rows that are not there, not over, of other kinds, or empty."""
    _, picture = await real.generate_image("An owl")
    _, empty = await real.generate_response(ask("Owl."), payload_mode="none")
    async with real.stream_response(ask("Owl.")) as stream:
        await anext(aiter(stream))
    path, unknown = tmp_path / "owls.json", uuid4()
    for request_id, told in (
        (unknown, f"request {unknown} is not in the ledger"),
        (picture, "kind 'image' answers is not in the ledger"),
        (empty, r"its content is not there \(none\)"),
        (stream.request_id, "it is cancelled"),
    ):
        with pytest.raises(ValueError, match=told):
            cassette_from(real, [request_id], path)
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"takes": []}', '{"format": 9, "takes": []}'])
@pytest.mark.usefixtures("database_url")
def test_another_file_is_no_cassette(text: str, tmp_path: Path) -> None:
    """It is told by name."""
    path = tmp_path / "owls.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"owls\.json (is no cassette|has the format 9)"):
        FakeLLMServices.from_cassette(path)

"""Pictures, searches, vectors and transcripts fall back, too, each with what its model takes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from modules.llm_services.public import (
    LLMConnectionError,
    LLMInputError,
    LLMProviderError,
    LLMServicesProvider,
    open_llm_services,
)
from modules.llm_services.routing import following, with_fallback
from modules.llm_services.types import Candidate, Usage
from sandbox import Sandbox
from tests.contract.kinds import PICTURE, SILENCE
from tests.llm_services.test_fallback import attempts, house
from tests.llm_services.test_recording import a_call
from tests.support.ledger import rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
__all__ = ["house"]
DOWN = "status=500"


@pytest.fixture
async def llm(
    database_url: str, house: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LLMServicesProvider]:
    """The provider with two vendors, both of which are the sandbox."""
    del database_url
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__API", "responses")
    async with open_llm_services() as provider:
        yield provider


def asked() -> list[tuple[str, str | None, list[str]]]:
    """Of each row: who answered, in whose place, and who was asked."""
    return [
        (
            f"{row['provider']}:{row['model']}",
            row["fallback_from"],
            [one["provider"] for one in attempts(row)],
        )
        for row in rows()
    ]


async def test_every_kind_falls_back(llm: LLMServicesProvider) -> None:
    """The next model is asked with parameters of its own, in the same row."""
    dead: dict[str, Any] = {"model": f"openai:gpt-image-1.5:{DOWN}", "resend": True}
    await llm.generate_image("Mars", quality="hd", fallback=["house:gpt-image-2.5-flare"], **dead)
    await llm.edit_image("Mars", PICTURE, fallback=["house:gpt-image-1.5"], **dead)
    lost = f"openai:text-embedding-3-small:{DOWN}"
    same = [f"house:{lost.removeprefix('openai:')}", "house:text-embedding-3-small"]
    with pytest.raises(LLMInputError, match="vectors of another model"):
        await llm.generate_embeddings(["Mars"], model=lost, fallback=same)
    with pytest.raises(LLMProviderError):
        await llm.generate_embeddings(["Mars"], model=lost, fallback=same[:1])
    silent = f"openai:gpt-transcribe:{DOWN}"
    transcript, _ = await llm.transcribe_audio(SILENCE, model=silent, fallback=["house:whisper-1"])
    assert transcript.text
    dead = {"model": f"openai:gpt-6-luna:{DOWN}", "resend": True}
    answers, _ = await llm.search_answers(["lava", "ash"], fallback=["house:gpt-6-luna"], **dead)
    assert all(answer.text for answer in answers)
    both = ["openai", "house"]
    picture, edited, vectors, heard, found = asked()
    assert picture == ("house:gpt-image-2.5-flare", f"openai:gpt-image-1.5:{DOWN}", both)
    assert edited[2] == vectors[2] == heard[2] == both
    assert (found[0], sorted(found[2])) == ("house:gpt-6-luna", ["house"] * 2 + ["openai"] * 2)
    stored = rows()[0]["additional_params"]
    assert "high" in str(stored)  # as the first model says hd


async def test_what_a_model_cannot_take_is_told_before(
    llm: LLMServicesProvider, house: Sandbox
) -> None:
    """A size, a language or a kind of call that the next model does not have is refused by name."""
    with pytest.raises(LLMInputError, match=r"fallback house:dall-e-3: .*size"):
        await llm.generate_image("Mars", size="1536x1024", fallback=["house:dall-e-3"])
    with pytest.raises(LLMInputError, match=r"fallback house:dall-e-3: .*style"):
        await llm.generate_image("Mars", style="vivid", fallback=["house:dall-e-3"])
    with pytest.raises(LLMInputError, match="fallback house:whisper-1"):
        await llm.transcribe_audio(SILENCE, keywords=["Mars"], fallback=["house:whisper-1"])
    with pytest.raises(LLMInputError, match="fallback azure_openai:x"):
        await llm.search_web(["lava"], fallback=["azure_openai:x"])
    with pytest.raises(LLMInputError, match="unknown keyword parameter 'fallback'"):
        await llm.generate_audio("Mars", fallback=["house:tts-1"])  # type: ignore[call-arg]
    assert house.journal() == []


async def test_a_roles_models_follow_each_other(
    house: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the role of vectors only the same model does."""
    del database_url
    monkeypatch.setenv("LLM_PROVIDERS__HOUSE__API", "responses")
    model = "text-embedding-3-small"
    role = f"openai:{model},house:text-embedding-3-large,house:{model}"
    monkeypatch.setenv("LLM_ROLES__EMBEDDING", role)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    async with open_llm_services() as llm:
        [vector], _ = await llm.generate_embeddings(["Mars"])
    assert vector
    assert asked() == [(f"house:{model}", f"openai:{model}", ["openai", "house"])]
    assert len(house.journal()) == 1


def test_what_may_be_paid_is_not_sent_to_another(database_url: str) -> None:
    """Without ``resend`` a request that may have been charged ends the call."""
    del database_url
    call = with_fallback(a_call(resend=False), [Candidate(provider="b", model="c")])
    assert following(call, LLMConnectionError("cut", maybe_billed=True)) is None
    assert following(call, LLMConnectionError("bad", usage=Usage(prompt_tokens=1))) is None
    another = following(call, LLMConnectionError("refused"))
    assert another is not None
    assert (another.provider, another.model, another.fallback) == ("b", "c", ())

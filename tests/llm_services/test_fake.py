"""What the fake promises to the tests of those who call models."""

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import BaseModel

from modules.llm_services.providers.base import BatchAtVendor, LLMProvider, SearchesWeb
from modules.llm_services.public import (
    BatchRequest,
    BatchStatusDTO,
    GeneratedImage,
    LLMError,
    LLMMessageDTO,
    LLMNotFoundError,
    LLMRateLimitError,
    LLMServicesProvider,
    LLMTimeoutError,
    LLMValidationError,
    RequestFilter,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Transcript,
    read_image,
)
from modules.llm_services.testing import FakeLLMServices, RecordedCall, UnscriptedError
from modules.llm_services.testing.adapter import ScriptedAdapter
from modules.llm_services.testing.batches import ScriptedBatches
from modules.llm_services.testing.script import Script
from modules.llm_services.testing.streaming import ScriptedStream
from modules.llm_services.types import Usage
from modules.llm_services.types.audio import AudioFormat


class Bird(BaseModel):
    """Something that an answer can be."""

    name: str
    eggs: int


def ask(text: str = "Which bird?") -> list[LLMMessageDTO]:
    """A conversation of one message."""
    return [LLMMessageDTO(role="user", content=text)]


@pytest.fixture
def fake() -> Iterator[FakeLLMServices]:
    with FakeLLMServices() as fake:
        yield fake


async def said(fake: FakeLLMServices, text: str = "Which bird?", model: str | None = None) -> str:
    """What the fake says to a text."""
    return (await fake.generate_response(ask(text), model=model))[0].content


async def test_it_is_a_provider_and_answers_without_a_script(fake: FakeLLMServices) -> None:
    """It has the type that siblings ask for, and its answers are always the same."""
    llm: LLMServicesProvider = fake
    first, request_id = await llm.generate_response(ask())
    second, _ = await llm.generate_response(ask())
    assert first.content == second.content == "Fake answer to: Which bird?"
    assert first.tokens_used == second.tokens_used
    assert first.cost_estimate is not None
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.response_content) == ("completed", first.content)


async def test_rules_are_for_the_calls_that_fit(fake: FakeLLMServices) -> None:
    """By words, pattern, function, model as asked for or as it is, feature and user."""
    user = uuid4()
    fake.answers("words", when="heron")
    fake.answers("pattern", when=re.compile(r"\bowls?\b"))
    fake.answers("function", when=lambda call: len(call.prompt) > 30)
    fake.answers("role", model="smart")
    fake.answers("model", model="openai:gpt-4o")
    fake.answers("feature", feature="quiz")
    fake.answers("user", user_id=user)
    assert await said(fake, "a heron") == "words"
    assert await said(fake, "two owls") == "pattern"
    assert await said(fake, "x" * 31) == "function"
    assert await said(fake, model="smart") == "role"
    assert await said(fake, model="gpt-4o") == "model"
    assert (await fake.generate_response(ask(), feature="quiz"))[0].content == "feature"
    assert (await fake.generate_response(ask(), user_id=user))[0].content == "user"
    assert await said(fake, "something else") == "Fake answer to: something else"


async def test_limited_rules_go_first_and_the_last_rule_wins(fake: FakeLLMServices) -> None:
    """A fixture's rule is refined by a test's; what is said a number of times comes before."""
    fake.answers("fixture")
    fake.answers("test")
    fake.answers("first", times=1)
    fake.answers("second", times=2)
    assert [await said(fake) for _ in range(4)] == ["first", "second", "second", "test"]


async def test_answers_in_all_their_forms(fake: FakeLLMServices) -> None:
    """Objects for those who ask for them, dicts as JSON, functions of the call, async ones, too."""

    async def later(call: RecordedCall) -> str:
        return call.prompt.upper()

    fake.answers(lambda call: f"said to {call.prompt}", times=1)
    fake.answers(later, times=1)
    fake.answers({"name": "Rook", "eggs": 5})
    fake.answers(Bird(name="Owl", eggs=3))
    assert await said(fake, "you") == "said to you"
    assert await said(fake, "you") == "YOU"
    assert (await fake.generate_structured_response(ask(), Bird))[0] == Bird(name="Owl", eggs=3)
    assert await said(fake) == '{"name": "Rook", "eggs": 5}'
    fake.answers("no bird", response_model=Bird)
    with pytest.raises(LLMValidationError):
        await fake.generate_structured_response(ask(), Bird)


@pytest.mark.parametrize("wrong", [7, [], [1], None])
def test_what_is_no_answer_is_refused_when_it_is_scripted(
    fake: FakeLLMServices, wrong: object
) -> None:
    """Not hours later in a call."""
    with pytest.raises(TypeError, match="an answer is text"):
        fake.answers(wrong)


def test_wrong_terms_are_refused_when_they_are_scripted(fake: FakeLLMServices) -> None:
    """Conditions and pictures that cannot be meant, by name."""
    with pytest.raises(TypeError, match="no condition wehn; there are when"):
        fake.answers("x", wehn="y")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no condition modle"):
        fake.assert_called(modle="y")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="times is 0"):
        fake.answers("x", times=0)
    with pytest.raises(TypeError, match="a picture is PNG"):
        fake.pictures(b"words")
    with pytest.raises(TypeError, match="pages are dicts with a url"):
        fake.finds({"title": "Owls"})


async def test_streams_bring_the_pieces(fake: FakeLLMServices) -> None:
    """As they are scripted, else word by word; calls of tools, too."""
    fake.answers(["One", " owl"], times=1)
    fake.answers("Two owls", times=1)
    fake.answers([ToolCall(id="c1", name="Bird", arguments={"name": "Owl", "eggs": 3})])
    found: list[list[StreamEvent]] = []
    tool_calls: list[ToolCall] = []
    for _ in range(3):
        async with fake.stream_response(ask(), tools=[Bird]) as stream:
            found.append([piece async for piece in stream])
        tool_calls.extend(stream.response.tool_calls)
    assert found[0] == [TextDelta("One"), TextDelta(" owl")]
    assert found[1] == [TextDelta("Two "), TextDelta("owls")]
    [call] = found[2]
    assert isinstance(call, ToolCallDelta)
    assert (call.name, call.arguments) == ("Bird", '{"name": "Owl", "eggs": 3}')
    assert [made.parsed for made in tool_calls] == [Bird(name="Owl", eggs=3)]


async def test_a_tool_that_must_be_called_is_called(fake: FakeLLMServices) -> None:
    """With arguments that fit it, whether it is named or any will do."""
    for choice in ("Bird", "required"):
        response, _ = await fake.generate_response(ask(), tools=[Bird], tool_choice=choice)
        [call] = response.tool_calls
        assert call.parsed == Bird(name="text 1", eggs=1)
        assert response.finish_reason == "tool_calls"


async def test_errors_are_new_ones_each_time(fake: FakeLLMServices) -> None:
    """As an instance, a class or a function; each knows its own row."""
    error = LLMRateLimitError("slow down", retry_after=5)
    fake.fails_with(error, times=2)
    fake.fails_with(LLMNotFoundError, times=1)
    fake.fails_with(lambda call: LLMError(call.prompt))
    caught = []
    for _ in range(4):
        with pytest.raises(LLMError) as raised:
            await fake.generate_response(ask())
        caught.append(raised.value)
    assert [type(one) for one in caught[:3]] == [LLMRateLimitError] * 2 + [LLMNotFoundError]
    assert str(caught[3]) == "Which bird?"
    assert len({one.request_id for one in caught}) == 4
    assert error.request_id is None


async def test_retries_are_made_when_they_are_asked_for_and_take_no_time() -> None:
    """By default an error is the caller's; with retries it is an attempt of the same call."""
    with FakeLLMServices(max_retries=1) as fake:
        fake.fails_with(LLMRateLimitError("slow down", retry_after=100), times=1)
        response, _ = await fake.generate_response(ask())
        assert response.attempts == 2
        assert len(fake.calls) == 1


async def test_latencies_count_without_being_waited_for(fake: FakeLLMServices) -> None:
    """A deadline passes that is shorter than the answer takes."""
    fake.answers("late", latency=30)
    started = time.monotonic()
    assert await said(fake) == "late"
    with pytest.raises(LLMTimeoutError, match="deadline of 10 s") as caught:
        await fake.generate_response(ask(), timeout=10)
    assert caught.value.maybe_billed
    assert time.monotonic() - started < 30


async def test_latencies_in_real_time() -> None:
    """Who wants to can wait for them."""
    with FakeLLMServices(real_time=True) as fake:
        fake.answers("late", latency=0.05)
        response, _ = await fake.generate_response(ask())
        assert response.execution_time_ms is not None
        assert response.execution_time_ms >= 50


async def test_an_answer_is_held_back(fake: FakeLLMServices) -> None:
    """The test knows when the call waits, and lets it go."""
    gate = fake.hangs(when="wait")
    calling = asyncio.create_task(fake.generate_response(ask("wait for it")))
    await gate.reached.wait()
    assert await said(fake, "others go on") == "Fake answer to: others go on"
    gate.open()
    assert (await calling)[0].content == "Fake answer to: wait for it"


async def test_tokens_and_costs_are_what_a_test_says(fake: FakeLLMServices) -> None:
    """A cost, an unknown one, tokens of every class; by default a dollar for a million."""
    fake.answers("dear", when="dear", cost=0.25)
    fake.answers("unknown", when="unknown", cost="unknown")
    fake.answers("used", when="used", usage=Usage(prompt_tokens=900_000, completion_tokens=100_000))
    costs, tokens = {}, []
    for text in ("dear", "unknown", "used"):
        response, request_id = await fake.generate_response(ask(text))
        row = fake.get_request(request_id)
        assert row is not None
        assert row.cost_estimate == response.cost_estimate
        costs[text] = response.cost_estimate
        tokens.append(response.prompt_tokens)
    assert costs == {"dear": 0.25, "unknown": None, "used": 1.0}
    assert tokens[-1] == 900_000


async def test_pictures(fake: FakeLLMServices) -> None:
    """One grey pixel by default, a test's bytes, or the provider's URL."""
    url, _ = await fake.generate_image("An owl")
    pixel = read_image(url)
    assert pixel.media_type == "image/png"
    gif = b"GIF89a" + bytes(10)
    fake.pictures(gif, when="gif")
    fake.pictures(GeneratedImage("image/gif", gif), when="whole")
    fake.pictures("https://example.com/owl.png", when="url")
    assert read_image((await fake.generate_image("a gif"))[0]).data == gif
    assert read_image((await fake.edit_image("whole", pixel.data))[0]).data == gif
    assert (await fake.generate_image("url"))[0] == "https://example.com/owl.png"


async def test_vectors(fake: FakeLLMServices) -> None:
    """They depend on the text alone, or are a test's: by text, in order, or by function."""
    [owl, rook, again], _ = await fake.generate_embeddings(["owl", "rook", "owl"], dimensions=8)
    assert owl == again != rook
    assert sum(number**2 for number in owl) == pytest.approx(1)
    assert len((await fake.generate_embeddings(["owl"]))[0][0]) == 1536
    fake.vectors({"owl": [1.0, 0.0]}, times=1)
    fake.vectors([[0.5], [0.25]], times=1)
    fake.vectors(lambda text: [float(len(text))], times=1)
    assert (await fake.generate_embeddings(["owl"]))[0] == [[1.0, 0.0]]
    assert (await fake.generate_embeddings(["a", "b"]))[0] == [[0.5], [0.25]]
    assert (await fake.generate_embeddings(["four"]))[0] == [[4.0]]


@pytest.mark.parametrize("vectors", [{"owl": [1.0]}, [[1.0], [2.0]]])
async def test_a_vector_that_is_missing_is_told(
    fake: FakeLLMServices, vectors: dict[str, list[float]] | list[list[float]]
) -> None:
    """A gap in the test is no outage of the vendor."""
    fake.vectors(vectors)
    with pytest.raises(UnscriptedError, match=r"no vector|2 vectors"):
        await fake.generate_embeddings(["rook"])


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_sound(fake: FakeLLMServices, form: AudioFormat) -> None:
    """A file of the format that was asked for; long texts are joined."""
    made, _ = await fake.generate_audio("Owls. " * 100, format=form)
    assert made.data
    assert made.format == form
    fake.speaks(made.data, when="other")
    assert (await fake.generate_audio("other", format=form))[0].data == made.data


async def test_recordings(fake: FakeLLMServices) -> None:
    """A transcript in words, or whole."""
    wav = (await fake.generate_audio("Owls.", format="wav"))[0].data
    assert (await fake.transcribe_audio(wav))[0].text == "Fake transcript."
    fake.hears("Hoo.", times=1)
    fake.hears(Transcript(text="Hoo hoo.", language="en"), when="owls")
    assert (await fake.transcribe_audio(wav))[0].text == "Hoo."
    heard, _ = await fake.transcribe_audio(wav, prompt="owls", model="gpt-4o-transcribe")
    assert heard.language == "en"


async def test_pages(fake: FakeLLMServices) -> None:
    """One for each query by default; a test's, with what the answer says of them; or none."""
    found, _ = await fake.search_web(["owls", "rooks"])
    assert [page["query"] for page in found] == ["owls", "rooks"]
    fake.finds(
        {"url": "https://example.org/owl", "title": "Owls", "snippet": "They hoot."},
        {"url": "https://example.org/bird"},
        when="owls",
    )
    fake.finds(when="nothing")
    [owls, bare], _ = await fake.search_web(["owls"])
    assert (owls["title"], owls["snippet"]) == ("Owls", "They hoot.")
    assert bare["url"] == bare["title"] == "https://example.org/bird"
    assert (await fake.search_web(["nothing"]))[0] == []
    assert fake.calls[0].prompts == ("owls", "rooks")


async def test_a_query_that_fails_costs_only_itself(fake: FakeLLMServices) -> None:
    """A rule is asked for each query."""
    fake.fails_with(LLMNotFoundError, when="rooks")
    answers, _ = await fake.search_answers(["owls", "rooks"])
    assert [answer.error_type for answer in answers] == [None, "NotFound"]


async def test_batches() -> None:
    """They take as many looks as a test wants; each request has its own end."""
    with FakeLLMServices(batch_looks=1) as fake:
        fake.fails_with(LLMNotFoundError, when="rook")
        fake.answers(Bird(name="Owl", eggs=3))
        batch = await fake.submit_batch(
            [
                BatchRequest(messages=ask("owl"), response_model=Bird),
                BatchRequest(messages=ask("rook")),
            ]
        )
        assert [(await fake.batch_status(batch.id)).status for _ in range(2)] == [
            "in_progress",
            "completed",
        ]
        owl, rook = [one async for one in fake.collect_batch(batch.id, [Bird])]
        assert owl.parsed == Bird(name="Owl", eggs=3)
        assert isinstance(rook.error, LLMNotFoundError)
        with pytest.raises(LLMNotFoundError, match="no batch batch_9"):
            await fake.batch_status("openai:batch_9")
        with pytest.raises(LLMError, match=r"requests\[0\]: max_tokens is 5"):
            await fake.submit_batch([BatchRequest(messages=ask(), parameters={"max_tokens": 5})])


async def test_calls_are_remembered(fake: FakeLLMServices) -> None:
    """For whom and for what, with all that was said."""
    user = uuid4()
    with pytest.raises(AssertionError, match="no call reached"):
        _ = fake.last
    with pytest.raises(AssertionError, match="there were no calls"):
        fake.assert_called()
    await fake.generate_structured_response(
        ask(), Bird, user, "fast", temperature=0.5, feature="quiz", context={"n": 1}
    )
    call = fake.assert_called(response_model=Bird, operation="structured", times=1)
    assert call == fake.last == fake.calls_of(user_id=user)[0]
    assert (call.user_id, call.feature, call.context) == (user, "quiz", {"n": 1})
    assert (call.requested_model, call.parameters) == ("fast", {"temperature": 0.5})
    fake.assert_not_called(operation="image")
    with pytest.raises(AssertionError, match=r"2 calls expected with feature='quiz', 1 found") as e:
        fake.assert_called(feature="quiz", times=2)
    assert "structured -> Bird openai:gpt-6-luna 'Which bird?'" in str(e.value)
    with pytest.raises(AssertionError, match="no call expected with no conditions, 1 found"):
        fake.assert_not_called()


async def test_it_is_an_adapter_like_the_others() -> None:
    """Also where the road does not look today: a stream is its own iterator, a line may be lost."""
    adapter: LLMProvider = ScriptedAdapter("openai", Script(), real_time=False, batch_looks=0)
    stream = ScriptedStream([TextDelta("Owl")], LLMError("over"))
    assert aiter(stream) is stream
    assert isinstance(adapter, SearchesWeb)
    desk = ScriptedBatches(adapter.check, adapter.generate_text, 0)
    status = BatchStatusDTO(
        id="batch_1",
        status="completed",
        total=1,
        completed=1,
        failed=0,
        created_at=datetime.now(UTC),
    )
    lost = BatchAtVendor(status=status, path="", files=(), problem=(None, ""), ours=None)
    assert isinstance(desk.unanswered(lost), LLMNotFoundError)
    await adapter.aclose()


async def test_the_operators_door(fake: FakeLLMServices) -> None:
    """It looks at the fake's ledger."""
    _, request_id = await fake.generate_response(ask(), feature="quiz")
    page = fake.admin.find(RequestFilter(feature="quiz"))
    assert [row.id for row in page.items] == [request_id]
    assert fake.admin.totals().requests == 1


def test_it_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's settings change no test; a test's own do."""
    monkeypatch.setenv("OPENAI_MODEL", "acme:nothing")
    monkeypatch.setenv("LLM_ROLES__FAST", "openai:other")
    with FakeLLMServices(roles={"fast": "openai:mine"}) as fake:
        asyncio.run(fake.generate_response(ask()))
        fake.assert_called(model="mine")


async def test_it_leaves_nothing_behind() -> None:
    """Its database is gone with it, also when it is closed twice."""
    fake = FakeLLMServices()
    await fake.generate_response(ask())
    folder = Path(fake._engine.url.database or "").parent
    assert folder.is_dir()
    fake.close()
    fake.close()
    assert not folder.exists()


def test_the_package_has_what_it_names() -> None:
    """It loads late, and says so like any module."""
    import modules.llm_services.testing as kit

    assert all(getattr(kit, name) for name in kit.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'FakeLLM'"):
        _ = kit.FakeLLM

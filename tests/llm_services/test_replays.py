"""Logged requests on other models: one again, many side by side, or only what they would cost."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from modules.llm_services.public import (
    DocumentPart,
    ImagePart,
    LLMInputError,
    LLMMessageDTO,
    LLMProviderError,
    LLMRecordingError,
    LLMServicesProvider,
    RequestFilter,
    TextPart,
    attribution,
    open_llm_services,
    open_llm_services_admin,
)
from modules.llm_services.testing import FakeLLMServices
from modules.llm_services.types import ToolCall
from modules.llm_services.use_cases.likeness import agreement, difference
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.support.ledger import rows

ASK = [
    LLMMessageDTO(role="system", content="You teach."),
    LLMMessageDTO(role="user", content="Tell me about Mars and its moons.", name="ann"),
]
ONE_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider on the sandbox."""
    del database_url, vendor
    async with open_llm_services() as provider:
        yield provider


class Planet(BaseModel):
    """A planet."""

    name: str
    moons: list[str]


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


async def test_a_logged_request_is_made_again_as_it_was(llm: LLMServicesProvider) -> None:
    """Messages and parameters come from the row; the new row says whose request it replays."""
    user = uuid4()
    _, request_id = await llm.generate_response(
        ASK, user, "gpt-4.1", 0.2, 300, top_p=0.9, feature="quiz", tenant="acme"
    )
    response, replay_id = await llm.replay(request_id, "gpt-4o", user)
    assert (response.model, response.cached) == ("gpt-4o", False)
    first, again = llm.get_request(request_id), llm.get_request(replay_id)
    assert first is not None
    assert again is not None
    assert (again.replay_of, first.replay_of) == (request_id, None)
    assert again.messages == first.messages
    same = ("user_id", "feature", "tenant", "temperature", "max_tokens", "additional_params")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    plain, _ = await llm.replay(request_id, user_id=user)
    assert plain.model == "gpt-4.1"


@ONE_SQLITE
async def test_money_for_replays_is_no_use(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of money leave replays out; budgets do not, for it is spent."""
    del database_url, vendor
    monkeypatch.setenv("LLM_BUDGETS", '[{"scope": "all", "period": "day", "usd": 5}]')
    async with open_llm_services() as llm, open_llm_services_admin() as admin:
        first, request_id = await llm.generate_response(ASK, model="gpt-4o")
        again, _ = await llm.replay(request_id, "gpt-4.1")
        totals = admin.totals()
        [budget] = llm.budget_status()
    assert first.cost_estimate is not None
    assert again.cost_estimate is not None
    assert (totals.requests, totals.unpriced) == (2, 0)
    assert float(totals.cost or 0) == pytest.approx(first.cost_estimate, abs=1e-9)
    spent = first.cost_estimate + again.cost_estimate
    assert budget.spent_usd == pytest.approx(spent, abs=1e-8)


@ONE_SQLITE
async def test_objects_tools_and_addresses_are_made_again(llm: LLMServicesProvider) -> None:
    """What the ledger keeps by name only is handed in; what it keeps whole comes from there."""
    shown = [TextPart(text="What is this?"), ImagePart(url="https://example.com/a.png")]
    seen = [LLMMessageDTO(role="user", content=[*shown, DocumentPart(url="https://e.com/a.pdf")])]
    _, pictured = await llm.generate_response(seen)
    response, _ = await llm.replay(pictured, "gpt-4o")
    assert response.content
    _, planet = await llm.generate_structured_response(ASK, Planet)
    response, _ = await llm.replay(planet, "gpt-4o", response_model=Planet)
    assert Planet.model_validate_json(response.content).name
    with pytest.raises(LLMInputError, match="its answer is a Planet"):
        await llm.replay(planet)
    asked = [LLMMessageDTO(role="user", content="Call get_weather for Oslo: do I need a coat?")]
    run, last = await llm.run_tools(asked, [get_weather])
    assert run.rounds == 2
    response, _ = await llm.replay(last, "gpt-4o", tools=[get_weather])
    assert response.content
    with pytest.raises(LLMInputError, match="offered the tools get_weather"):
        await llm.replay(last)


@ONE_SQLITE
async def test_what_is_not_held_whole_cannot_be_made_again(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """The error says why, before anything is sent."""
    png = bytes.fromhex("89504e470d0a1a0a") + bytes(40)
    seen = [LLMMessageDTO(role="user", content=[TextPart(text="?"), ImagePart(data=png)])]
    signed = [LLMMessageDTO(role="user", content=[ImagePart(url="https://e.com/a.png?sig=1")])]
    cases = [
        ("payload_state none", (await llm.generate_response(ASK, payload_mode="none"))[1]),
        ("payload_state redacted", (await llm.generate_response(ASK, payload_mode="redacted"))[1]),
        ("of the kind 'embedding'", (await llm.generate_embeddings(["Mars"]))[1]),
        (r"a file \(image\)", (await llm.generate_response(seen))[1]),
        (r"a file \(image\)", (await llm.generate_response(signed))[1]),
    ]
    sent = len(vendor.journal())
    for told, request_id in cases:
        with pytest.raises(LLMInputError, match=f"{request_id} cannot be replayed: .*{told}"):
            await llm.replay(request_id, "gpt-4o")
    result = await llm.compare([request_id for _, request_id in cases], ["gpt-4o"])
    assert (result.requests, len(result.left_out), result.answers) == (0, 5, ())
    assert len(vendor.journal()) == sent


@ONE_SQLITE
async def test_nobody_replays_what_is_another_users(llm: LLMServicesProvider) -> None:
    """A user's own requests only, by argument or attribution; operators those of everybody."""
    ann, bob = uuid4(), uuid4()
    _, of_ann = await llm.generate_response(ASK, ann)
    _, of_nobody = await llm.generate_response(ASK)
    for user, request_id in ((bob, of_ann), (None, of_ann), (ann, of_nobody), (ann, uuid4())):
        with pytest.raises(LLMInputError, match=f"there is no request {request_id} of this user"):
            await llm.replay(request_id, "gpt-4o", user)
        with pytest.raises(LLMInputError, match="there is no request"):
            await llm.compare([request_id], ["gpt-4o"], user, estimate_only=True)
    with attribution(user_id=ann):
        await llm.replay(of_ann, "gpt-4o")
        mine = await llm.compare(RequestFilter(), ["gpt-4o"], estimate_only=True)
    with attribution(user_id=bob):
        none = await llm.compare(RequestFilter(user_id=ann), ["gpt-4o"], estimate_only=True)
    assert (mine.requests, none.requests) == (1, 0)
    async with open_llm_services_admin() as admin:
        _, replay_id = await admin.replay(of_ann, "gpt-4o")
        everybody = await admin.compare(RequestFilter(), ["gpt-4o"], estimate_only=True)
        of_one = await admin.compare(RequestFilter(), ["gpt-4o"], ann, estimate_only=True)
    assert (everybody.requests, of_one.requests) == (2, 1)
    assert {str(row["user_id"]) for row in rows("replay_of IS NOT NULL")} == {str(ann)}
    assert llm.get_request(replay_id) is not None


async def test_models_are_compared_side_by_side(fake_llm: FakeLLMServices) -> None:
    """Cost, time, tokens, agreement and what differs; a model that fails is part of the result."""
    fake_llm.answers("Mars has two moons. They are small.", model="old", cost=0.25)
    fake_llm.answers("Mars has two moons. They are tiny.", model="new", cost=0.5)
    fake_llm.answers("Mars has two moons. They are small.", model="free", cost="unknown")
    fake_llm.fails_with(LLMProviderError, model="down")
    ids = [(await fake_llm.generate_response(ASK, model="old"))[1] for _ in range(2)]
    names = ["new", "free", "down"]
    result = await fake_llm.compare(ids, names)
    assert (result.requests, result.more, result.estimated) == (2, False, False)
    assert (result.logged.cost, result.logged.answered) == (Decimal("0.5"), 2)
    new, free, down = result.models
    assert (new.model, new.cost, new.answered) == ("openai:new", Decimal("1.0"), 2)
    assert new.agreement == pytest.approx(6 / 7)
    assert new.median_ms is not None
    assert (free.agreement, free.cost, free.unpriced) == (1.0, None, 2)
    assert (down.answered, down.failed, down.agreement) == (0, 2, None)
    shown = {one.model: one for one in result.answers if one.request_id == ids[0]}
    assert "-They are small.\n+They are tiny." in (shown["openai:new"].difference or "")
    assert shown["openai:free"].difference == ""
    assert shown["openai:down"].error_type == "ProviderError"
    replay = fake_llm.get_request(shown["openai:new"].replay_id or uuid4())
    assert replay is not None
    assert replay.replay_of == ids[0]
    table = str(result).splitlines()
    assert table[0] == "replayed: 2 requests; 0 left out"
    assert [line.split()[0] for line in table[1:]] == [
        "model",
        "as",
        *(f"openai:{n}" for n in names),
    ]


async def test_an_answer_without_words_agrees_with_nothing(fake_llm: FakeLLMServices) -> None:
    """Calls of tools, and answers that are no longer there, are counted and not compared."""
    call = ToolCall(id="c", name="get_weather", arguments={"city": "Oslo"})
    fake_llm.answers(call, model="t")
    _, request_id = await fake_llm.generate_response(ASK, model="old", tools=[get_weather])
    result = await fake_llm.compare([request_id], ["t"], tools=[get_weather])
    [answer] = result.answers
    assert (answer.error_type, answer.agreement, answer.difference) == (None, None, None)


@ONE_SQLITE
async def test_an_estimate_sends_nothing(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """What last week would have cost on another model, also where no content is kept."""
    spent = [
        (await llm.generate_response(ASK, model="gpt-4o", payload_mode="none"))[0] for _ in range(3)
    ]
    await llm.generate_embeddings(["Mars"])
    sent, before = len(vendor.journal()), len(rows())
    week = RequestFilter(since=datetime.now(UTC) - timedelta(days=7))
    result = await llm.compare(week, ["gpt-4o", "nobody-knows", "fast"], estimate_only=True)
    assert (len(vendor.journal()), len(rows())) == (sent, before)
    same, unknown, _ = result.models
    logged = sum(one.cost_estimate or 0 for one in spent)
    assert float(same.cost or 0) == float(result.logged.cost or 0) == pytest.approx(logged)
    assert (same.prompt_tokens, same.answered) == (result.logged.prompt_tokens, 3)
    assert (unknown.cost, unknown.unpriced) == (None, 3)
    assert (result.estimated, result.answers, same.median_ms) == (True, (), None)
    two = await llm.compare(week, ["claude-sonnet-4-5"], estimate_only=True, limit=2)
    assert (two.requests, two.more) == (2, True)
    assert two.models[0].prompt_tokens > two.logged.prompt_tokens
    assert str(two).startswith("estimated for 2 requests, and there are more; 0 left out")


@ONE_SQLITE
@pytest.mark.parametrize(
    ("requests", "models", "options", "told"),
    [
        ("x", ["gpt-4o"], {}, "requests must be a list"),
        (UUID(int=7), ["gpt-4o"], {}, "requests must be a list"),
        ([], ["gpt-4o"], {}, "requests is empty"),
        (["x"], ["gpt-4o"], {}, r"requests\[0\] must be a uuid"),
        ([UUID(int=7)] * 21, ["gpt-4o"], {}, "at most 20"),
        (RequestFilter(status="x"), ["gpt-4o"], {}, "requests.status"),
        (RequestFilter(), [], {}, "models is empty"),
        (RequestFilter(), "gpt-4o", {}, "models must be a list"),
        (RequestFilter(), ["gpt 4"], {}, "model 'gpt 4'"),
        (RequestFilter(), ["m"] * 11, {}, "at most 10"),
        (RequestFilter(), ["m"], {"limit": 201}, "limit must be a whole number from 1 to 200"),
        (RequestFilter(), ["m"], {"estimate_only": 1}, "estimate_only"),
        (RequestFilter(), ["m"], {"temperature": 1}, "unknown keyword parameter 'temperature'"),
        (RequestFilter(), ["m"], {"response_models": [int]}, "response_models"),
        (RequestFilter(), ["m"], {"user_id": "me"}, "user_id must be a uuid"),
    ],
)
async def test_bad_input_is_named(
    llm: LLMServicesProvider, requests: Any, models: Any, options: Any, told: str
) -> None:
    """What cannot be meant is refused before anything is read or sent."""
    with pytest.raises(LLMInputError, match=told):
        await llm.compare(requests, models, **options)


@ONE_SQLITE
async def test_without_the_ledger_nothing_is_replayed(llm: LLMServicesProvider) -> None:
    """A database that does not answer is an error of its own."""
    with get_engine().begin() as connection:
        connection.execute(text("ALTER TABLE llm_requests RENAME TO away"))
    with pytest.raises(LLMRecordingError, match="did not answer"):
        await llm.replay(uuid4())


@pytest.mark.parametrize(
    ("logged", "answer", "agree"),
    [
        ("a b c d", "a b c d", 1.0),
        ("a b c d", "a b x d", 0.75),
        ("a", "b", 0.0),
        ('{"a": 1, "b": [1, 2]}', '{"b": [1, 2], "a": 1}', 1.0),
        ('{"a": 1, "b": [1, 2]}', '{"a": 1, "b": [1, 3]}', 2 / 3),
        ('{"a": {}}', '{"a": {"b": null}}', 0.0),
        ("{}", "{}", 1.0),
        ("[" * 100_000, "[]", 0.0),
        ("3", "3", 1.0),
    ],
)
def test_agreement_is_a_share(logged: str, answer: str, agree: float) -> None:
    """Of words for text, of values for JSON, whatever the order of their names."""
    assert agreement(logged, answer) == pytest.approx(agree)


def test_differences_are_readable() -> None:
    """Text by sentences, JSON by lines, and never without end."""
    assert difference("One. Two.", "One. Three.").splitlines()[2:] == [
        "@@ -1,2 +1,2 @@", " One.", "-Two.", "+Three.",
    ]  # fmt: skip
    assert '- "a": 1\n+ "a": 2' in difference('{"a": 1}', '{"a": 2}')
    assert difference("same", "same") == ""
    assert len(difference("x " * 9_000, "y " * 9_000)) < 4_100

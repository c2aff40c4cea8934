"""The cache as callers meet it: exact requests only, a row for each call, nobody else's answers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, field_validator

from modules.llm_services.cache import MemoryStore, Selection, cache_key
from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMError,
    LLMProviderError,
    LLMTimeoutError,
)
from modules.llm_services.executor import Executor, Invoke
from modules.llm_services.pricing import PriceList
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.public import (
    LLMInputError,
    LLMMessageDTO,
    LLMServicesProvider,
    open_llm_services,
    open_llm_services_admin,
)
from modules.llm_services.recording import LedgerWriter, Recorder, ledger_engine
from modules.llm_services.remembering import Remembering
from modules.llm_services.types import Attribution, CachePolicy, Call
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import a_call, answer, never, until
from tests.support.ledger import rows

MARS = [LLMMessageDTO(role="user", content="Tell me about Mars and its moons.")]
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the database."""


class Planet(BaseModel):
    """A planet."""

    name: str

    @field_validator("name")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if _REFUSED and value == _REFUSED.pop():
            raise ValueError("not again")
        return value


_REFUSED: list[str] = []


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The module on the test's database and the sandbox."""
    async with open_llm_services() as opened:
        yield opened


async def test_a_hit_is_a_row_of_its_own(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """The second of two equal calls takes nothing, says so, and knows whose answer it has."""
    first, paid = await llm.generate_response(MARS, cache=True, feature="moons")
    second, request_id = await llm.generate_response(MARS, cache=True)
    assert (first.cached, second.cached) == (False, True)
    assert second.content == first.content
    assert (second.cost_estimate, second.tokens_used, second.attempts) == (0.0, 0, 0)
    assert len(vendor.journal()) == 1
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.status, row.cached, row.cached_from_id) == ("completed", True, paid)
    assert (row.cost_estimate, row.cost_source, row.saved_cost) == (0, "cache", first.cost_estimate)
    assert (row.tokens_used, row.usage_source, row.attempts) == (0, "cache", [])
    assert (row.retry_attempt, row.http_status, row.response_raw) == (0, None, None)
    assert row.response_content == first.content
    source = llm.get_request(paid)
    assert source is not None
    assert (source.cached, source.cached_from_id, source.cache_key) == (False, None, row.cache_key)


@SQLITE
async def test_nobody_is_cached_unasked(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word nothing is cached; the setting is a word for all, and a call may differ."""
    async with open_llm_services() as llm:
        answers = [(await llm.generate_response(MARS))[0] for _ in range(2)]
        assert [one.cached for one in answers] == [False, False]
        async with llm.stream_response(MARS) as stream:
            [_ async for _ in stream]
        assert not stream.response.cached
        assert {row["cache_key"] for row in rows()} == {None}
    monkeypatch.setenv("LLM_CACHE_ENABLED", "true")
    async with open_llm_services() as llm:
        answers = [(await llm.generate_response(MARS))[0] for _ in range(2)]
        assert [one.cached for one in answers] == [False, True]
        assert not (await llm.generate_response(MARS, cache=False))[0].cached
        asked = [LLMMessageDTO(role="user", content="Call get_weather for Oslo: need a coat?")]
        for _ in range(2):  # what tools do and find changes
            run, _ = await llm.run_tools(asked, [get_weather])
            assert not run.response.cached
        with pytest.raises(LLMInputError, match="rounds of run_tools are never cached"):
            await llm.run_tools(asked, [get_weather], cache=True)  # type: ignore[call-arg]


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Fog in {city}."


@SQLITE
async def test_an_answer_may_be_too_old(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Seconds say how old an answer may be, and how long this one is kept."""
    await llm.generate_response(MARS, cache=True)
    late, _ = await llm.generate_response(MARS, cache=0.000_001)
    again, _ = await llm.generate_response(MARS, cache=60)
    assert (late.cached, again.cached) == (False, False)  # the late one was kept in its place
    assert (await llm.generate_response(MARS, cache=60))[0].cached


@SQLITE
async def test_objects_are_new_and_valid(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Each caller gets an object of its own, checked by the class as it is now."""
    first, _ = await llm.generate_structured_response(MARS, Planet, cache=True)
    second, request_id = await llm.generate_structured_response(MARS, Planet, cache=True)
    assert first == second
    assert first is not second
    row = llm.get_request(request_id)
    assert row is not None
    assert row.cached

    _REFUSED.append(first.name)  # whatever is kept, the class has the last word
    third, request_id = await llm.generate_structured_response(MARS, Planet, cache=True)
    assert third == first
    assert len(vendor.journal()) == 2


@SQLITE
async def test_calls_of_tools_come_back_with_their_arguments(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """A kept answer that asks for tools is read as strictly as a new one."""
    asked = [LLMMessageDTO(role="user", content="Call get_weather for Oslo: need a coat?")]
    first, _ = await llm.generate_response(asked, tools=[get_weather], cache=True)
    second, _ = await llm.generate_response(asked, tools=[get_weather], cache=True)
    assert second.cached
    assert second.tool_calls == first.tool_calls
    assert second.tool_calls[0].parsed == first.tool_calls[0].parsed
    async with llm.stream_response(asked, tools=[get_weather], cache=True) as stream:
        pieces = [piece async for piece in stream]
    assert stream.response.cached
    assert len(pieces) == len(first.tool_calls)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"user_id": UUID(int=1)}, {"user_id": UUID(int=2)}, False),
        ({"user_id": UUID(int=1)}, {}, False),
        ({"tenant": "a"}, {"tenant": "b"}, False),
        ({"tenant": "a", "user_id": UUID(int=1)}, {"tenant": "a", "user_id": UUID(int=2)}, True),
        ({"tenant": "a", "cache_scope": "user"}, {"tenant": "a"}, False),
        (
            {"tenant": "a", "user_id": UUID(int=1), "cache_scope": "user"},
            {"tenant": "b", "user_id": UUID(int=1), "cache_scope": "user"},
            False,
        ),
        ({"user_id": UUID(int=1), "cache_scope": "shared"}, {"cache_scope": "shared"}, True),
        ({"cache_scope": "shared"}, {}, False),
    ],
)
def test_answers_are_not_given_to_others(
    one: dict[str, Any], other: dict[str, Any], *, shared: bool
) -> None:
    """A tenant shares, a user without one does not, and everybody only on purpose."""

    def key(said: dict[str, Any]) -> str:
        scope = said.get("cache_scope", "tenant")
        named = {name: value for name, value in said.items() if name != "cache_scope"}
        policy = CachePolicy(seconds=60, scope=scope)
        return cache_key(a_call(attribution=Attribution(**named), cache=policy), "")

    assert (key(one) == key(other)) is shared


@SQLITE
async def test_nothing_is_kept_of_what_must_not_be(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """A call of which the ledger keeps nothing leaves nothing in the cache either."""
    for _ in range(2):
        response, _ = await llm.generate_response(MARS, cache=True, payload_mode="none")
        assert not response.cached
    assert {row["cache_key"] for row in rows()} == {None}


@SQLITE
async def test_a_user_who_is_erased_is_not_cached(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Nor are answers that a tenant shares, when they were that user's."""
    ann = uuid4()
    await llm.generate_response(MARS, ann, cache=True, tenant="acme")
    async with open_llm_services_admin() as admin:
        await admin.erase_user(ann)
    assert not (await llm.generate_response(MARS, cache=True, tenant="acme"))[0].cached


@SQLITE
async def test_the_scope_reaches_the_key(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """What a caller says of users and scopes is what the key is made of."""
    ann, bob = uuid4(), uuid4()
    await llm.generate_response(MARS, ann, cache=True)
    assert not (await llm.generate_response(MARS, bob, cache=True))[0].cached
    await llm.generate_response(MARS, ann, cache=True, cache_scope="shared")
    assert (await llm.generate_response(MARS, bob, cache=True, cache_scope="shared"))[0].cached


@SQLITE
@pytest.mark.parametrize("fault", ["truncate", "filter", "refuse", "status=400"])
async def test_what_is_no_whole_answer_is_asked_for_again(
    fault: str, llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Cut off, filtered, refused and failed answers are never kept."""
    for _ in range(2):
        try:
            response, _ = await llm.generate_response(
                MARS, model=f"openai:gpt-4o:{fault}", cache=True
            )
            assert not response.cached
        except LLMError:
            pass
    assert len(vendor.journal()) == 2


@SQLITE
async def test_streams_take_and_keep_answers(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """A stream that was read to its end is kept; a kept answer is a stream of one piece."""
    async with llm.stream_response(MARS, cache=True) as left_early:
        await anext(aiter(left_early))
    async with llm.stream_response(MARS, cache=True) as first:
        text = "".join([piece async for piece in first.text()])
    async with llm.stream_response(MARS, cache=True) as second:
        pieces = [piece async for piece in second.text()]
    assert pieces == [text]
    assert (first.response.cached, second.response.cached) == (False, True)
    assert (await llm.generate_response(MARS, cache=True))[0].cached
    assert len(vendor.journal()) == 2
    async with llm.stream_structured_response(MARS, Planet, cache=True) as growing:
        [_ async for _ in growing]
    async with llm.stream_structured_response(MARS, Planet, cache=True) as again:
        [_ async for _ in again]
    assert again.result == growing.result
    assert again.response.cached
    async with llm.stream_response(MARS, cache=True) as unread:
        pass
    row = llm.get_request(unread.request_id)
    assert row is not None
    assert (row.status, row.cached, row.cost_estimate) == ("cancelled", True, 0)


@SQLITE
async def test_vectors_are_kept_for_exactly_these_texts(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """All texts count, also those that the row does not show."""
    texts = [f"moon {n}" for n in range(30)]
    first, _ = await llm.generate_embeddings(texts, dimensions=4, cache=True)
    second, request_id = await llm.generate_embeddings(texts, dimensions=4, cache=True)
    assert first == second
    row = llm.get_request(request_id)
    assert row is not None
    assert (row.cached, row.response_raw) == (True, None)
    await llm.generate_embeddings([*texts[:-1], "another"], dimensions=4, cache=True)
    assert [row["cached"] for row in rows()] == [False, True, False]


@SQLITE
async def test_a_folder_keeps_answers_over_restarts(
    database_url: str, vendor: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one process has paid for, the next one has."""
    monkeypatch.setenv("LLM_CACHE_DIR", str(tmp_path / "answers"))
    for cached in (False, True):
        async with open_llm_services() as llm:
            assert (await llm.generate_response(MARS, cache=True))[0].cached is cached


async def test_operators_see_and_clear_the_cache(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Statistics come from the ledger; what is cleared is asked for again."""
    begin = datetime.now(UTC) - timedelta(minutes=5)
    ann = uuid4()
    for _ in range(3):
        await llm.generate_response(MARS, cache=True, feature="moons", tenant="acme")
    await llm.generate_response(MARS, ann, cache=True, feature="suns")
    async with open_llm_services_admin() as admin:
        seen = admin.cache_statistics(begin)
        assert (seen.hits, seen.misses, seen.unpriced_hits) == (2, 2, 0)
        [paid, *_] = rows()
        assert seen.saved_cost == pytest.approx(2 * paid["cost_estimate"])
        assert [(use.feature, use.hits, use.misses) for use in seen.groups] == [
            ("moons", 2, 1),
            ("suns", 0, 1),
        ]
        assert admin.cache_statistics(begin, begin).hits == 0
        assert await admin.clear_cache(model="gpt-4o") == 0
        assert await admin.clear_cache(feature="other") == 0
        assert await admin.clear_cache(older_than=timedelta(days=1)) == 0
        assert await admin.clear_cache(tenant="acme", model=f"openai:{paid['model']}") == 1
        assert await admin.clear_cache(user_id=ann) == 1
        assert await admin.clear_cache() == 0
    assert not (await llm.generate_response(MARS, ann, cache=True))[0].cached


@SQLITE
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cache": 0}, "cache must be a number above 0.*or True, or False"),
        ({"cache": "yes"}, "cache must be"),
        ({"cache_scope": "world"}, "cache_scope must be one of tenant, user, shared"),
        ({"cash": True}, "did you mean cache"),
    ],
)
async def test_a_wrong_word_is_refused(
    given: Any, message: str, llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """Nothing is sent or written for it."""
    with pytest.raises(LLMInputError, match=message):
        await llm.generate_response(MARS, **given)
    assert rows() == []


@SQLITE
async def test_operators_wrong_words_are_refused(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """A time without a zone, or an age that is none, clears and counts nothing."""
    async with open_llm_services_admin() as admin:
        with pytest.raises(LLMInputError, match="since must be a datetime with a zone"):
            admin.cache_statistics(datetime(2026, 1, 1))  # noqa: DTZ001
        with pytest.raises(LLMInputError, match="older_than must be a timedelta"):
            await admin.clear_cache(older_than=timedelta(seconds=-1))
        with pytest.raises(LLMInputError, match="tenant must be text"):
            await admin.clear_cache(tenant="")


async def test_five_hundred_ask_and_one_pays(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """On a cold cache: one request upstream, 500 rows, 499 of them cached and free."""
    asked = [llm.generate_response(MARS, cache=True, timeout=120) for _ in range(500)]
    answers = await asyncio.gather(*asked)
    assert len(vendor.journal()) == 1
    stored = rows()
    assert len(stored) == 500
    [paid] = [row for row in stored if not row["cached"]]
    assert {str(row["cached_from_id"]) for row in stored if row["cached"]} == {str(paid["id"])}
    assert sum(row["cost_estimate"] for row in stored) == paid["cost_estimate"]
    assert len({response.content for response, _ in answers}) == 1


async def test_a_leader_that_leaves_is_replaced(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Whoever waited is answered, by one more request at most."""
    model = "openai:gpt-4o:slow=3"
    leader = asyncio.create_task(_text(llm.generate_response(MARS, model=model, cache=True)))
    await until(lambda: len(vendor.journal()) == 1)
    followers = [
        asyncio.create_task(
            _text(llm.generate_response(MARS, model=model, cache=True, timeout=120))
        )
        for _ in range(100)
    ]
    await until(lambda: len(rows("status = 'pending'")) == 101)
    leader.cancel()
    assert len(set(await asyncio.gather(*followers))) == 1
    assert len(vendor.journal()) <= 2
    stored = rows()
    assert sorted({row["status"] for row in stored}) == ["cancelled", "completed"]
    assert sum(bool(row["cached"]) for row in stored) == 99


async def _text(call: Any) -> str:
    response, _ = await call
    return str(response.content)


@pytest.fixture
async def executor(database_url: str) -> AsyncIterator[Executor]:
    """The road on the test's database, with a cache in memory."""
    writer = LedgerWriter(ledger_engine(get_engine(), 20))
    remembering = Remembering(MemoryStore(1_000_000), {})
    yield Executor(Recorder(writer, patience=20), PriceList(), remembering)
    await asyncio.to_thread(writer.close)


def cached_call(**changes: Any) -> Call:
    """The same request each time, that the cache may answer."""
    return a_call(cache=CachePolicy(seconds=60), **changes)


async def _together(executor: Executor, invoke: Invoke) -> list[Any]:
    """How three calls end, of which one leads while the others wait for it."""
    leading, go = asyncio.Event(), asyncio.Event()

    async def gated(call: Call, attempt: Attempt) -> Reply:
        leading.set()
        await go.wait()
        return await invoke(call, attempt)

    leader = asyncio.create_task(executor.run(cached_call(), gated))
    await leading.wait()
    others = [asyncio.create_task(executor.run(cached_call(), gated)) for _ in range(2)]
    await until(lambda: _waiting(executor) == len(others))
    go.set()
    return await asyncio.gather(leader, *others, return_exceptions=True)


def _waiting(executor: Executor) -> int:
    flights = executor._remembering._flights._loops[asyncio.get_running_loop()]
    return sum(len(flight._callbacks or ()) for flight in flights.values())


@SQLITE
async def test_a_passing_fault_is_the_leaders_own(executor: Executor) -> None:
    """The next in line asks; the others have its answer."""
    asked: list[UUID] = []

    async def fails_once(call: Call, attempt: Attempt) -> Reply:
        asked.append(call.id)
        if len(asked) == 1:
            raise LLMProviderError("away")
        return replace(await answer(call, attempt), finish_reason="stop")

    first, *others = await _together(executor, fails_once)
    assert type(first) is LLMProviderError
    assert len(asked) == 2
    assert sorted(other.cached for other in others) == [False, True]


@SQLITE
async def test_a_lasting_fault_is_everybodys(executor: Executor) -> None:
    """What the vendor would refuse five hundred times is sent once; each call has its own error."""
    asked: list[UUID] = []

    async def refuse(call: Call, attempt: Attempt) -> Reply:
        asked.append(call.id)
        raise LLMBadRequestError("no such thing", status_code=400)

    ends = await _together(executor, refuse)
    assert len(asked) == 1
    assert {type(end) for end in ends} == {LLMBadRequestError}
    assert len({end.request_id for end in ends}) == 3
    stored = rows()
    assert {row["error_type"] for row in stored} == {"BadRequest"}
    assert sorted(row["retry_attempt"] for row in stored) == [0, 0, 1]


@SQLITE
async def test_half_a_text_is_shared_and_not_kept(executor: Executor) -> None:
    """Those who asked together share what came; whoever asks later asks anew."""

    async def cut(call: Call, attempt: Attempt) -> Reply:
        return replace(await answer(call, attempt), finish_reason="length")

    ends = await _together(executor, cut)
    assert [end.cached for end in ends] == [False, True, True]
    assert not (await executor.run(cached_call(), cut)).cached


@SQLITE
async def test_who_waits_has_a_deadline_of_ones_own(executor: Executor) -> None:
    """A leader that hangs takes nobody along."""
    leader = asyncio.create_task(executor.run(cached_call(), never))
    await until(lambda: len(rows("status = 'pending'")) == 1)
    with pytest.raises(LLMTimeoutError, match="left to another call"):
        await executor.run(cached_call(timeout=0.2), never)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert sorted(row["status"] for row in rows()) == ["cancelled", "failed"]


async def test_clearing_what_cannot_be_cleared_says_so() -> None:
    """An operator must not believe that answers are gone."""

    class Away(MemoryStore):
        async def clear(self, selection: Selection) -> int:  # noqa: ARG002
            raise OSError("away")

    with pytest.raises(LLMError, match="not cleared, or not wholly: away"):
        await Remembering(Away(0), {}).clear(Selection())
